"""A server's record says since when it is in its vm_state: what waits for a time is found without reading what does not.

An older release neither reads nor writes it. Servers that wait get what their record says of it; the others have none
until their state changes.
"""

import datetime
import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
_BATCH = 500
_SINCE = {"shelved": "shelved_at", "soft-delete": "soft_deleted_at"}


def upgrade() -> None:
    op.add_column("instances", sa.Column("state_since", _TIME, nullable=True))
    _fill(op.get_bind())
    op.create_index("ix_instances_state_since", "instances", ["vm_state", "state_since"])


def _fill(connection: sa.Connection) -> None:
    columns: list[Any] = [sa.column(name) for name in ("id", "vm_state", "deleted_at", "system_metadata", "properties")]
    table = sa.table("instances", *columns, sa.column("state_since", _TIME))
    last = 0
    waiting = table.c.vm_state.in_(["resized", *_SINCE]) & table.c.deleted_at.is_(None)
    while rows := connection.execute(
        sa.select(*columns).where(waiting, table.c.id > last).order_by(table.c.id).limit(_BATCH)
    ).all():
        for row in rows:
            since = _since(row)
            if since is not None:
                connection.execute(table.update().where(table.c.id == row.id).values(state_since=since))
        last = rows[-1].id


def _since(row: Any) -> datetime.datetime | None:
    if row.vm_state == "resized":
        text = (json.loads(row.properties).get("resized_from") or {}).get("resized_at")
    else:
        text = json.loads(row.system_metadata).get(_SINCE[row.vm_state])
    if not text:
        return None
    when = datetime.datetime.fromisoformat(text)
    return when if when.tzinfo is None else when.astimezone(datetime.UTC).replace(tzinfo=None)
