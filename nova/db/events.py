"""The event log: what happened, in the order it was committed."""

from typing import Any

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.engine import Connection

from nova.clock import utcnow
from nova.db.models.operations import Decision as DecisionTable
from nova.db.models.operations import Event as Table
from nova.structs.operation import Event
from nova.structs.schedule import Decision

_table = Table.__table__
_decisions = DecisionTable.__table__


def append(
    connection: Connection,
    kind: str,
    project_id: str,
    payload: dict[str, Any],
    instance_uuid: str | None = None,
    request_id: str | None = None,
) -> None:
    connection.execute(
        insert(_table).values(
            created_at=utcnow(),
            kind=kind,
            project_id=project_id,
            instance_uuid=instance_uuid,
            request_id=request_id,
            payload=msgspec.json.encode(payload).decode(),
        )
    )


def after(connection: Connection, event_id: int, project_id: str | None = None, limit: int = 500) -> list[Event]:
    """The entries behind event_id, oldest first."""
    query = select(_table).where(_table.c.id > event_id).order_by(_table.c.id).limit(limit)
    if project_id is not None:
        query = query.where(_table.c.project_id == project_id)
    return [Event(**{**row._mapping, "payload": msgspec.json.decode(row.payload)}) for row in connection.execute(query)]


def last_id(connection: Connection) -> int:
    return connection.scalar(select(_table.c.id).order_by(_table.c.id.desc()).limit(1)) or 0


def add_decision(connection: Connection, instance_uuid: str, operation_uuid: str, decision: Decision) -> None:
    connection.execute(
        insert(_decisions).values(
            instance_uuid=instance_uuid,
            operation_uuid=operation_uuid,
            created_at=utcnow(),
            document=msgspec.json.encode(decision).decode(),
        )
    )


def decisions(connection: Connection, instance_uuid: str) -> list[Decision]:
    """How this server's hosts were chosen, newest first."""
    query = select(_decisions.c.document).where(_decisions.c.instance_uuid == instance_uuid)
    texts = connection.scalars(query.order_by(_decisions.c.id.desc()))
    return [msgspec.json.decode(text, type=Decision) for text in texts]
