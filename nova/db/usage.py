"""Queries on what servers used: a life is from launched_at to terminated_at."""

import datetime

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.engine import Connection

from nova import errors
from nova.db.models.servers import Instance
from nova.structs.flavor import Flavor
from nova.structs.usage import ServerUsage

_table = Instance.__table__
_decode = msgspec.json.Decoder(Flavor).decode
_COLUMNS = tuple(
    _table.c[name] for name in ("uuid", "name", "project_id", "vm_state", "launched_at", "terminated_at", "flavor")
)


def find(
    connection: Connection,
    begin: datetime.datetime,
    end: datetime.datetime,
    project_id: str | None = None,
    limit: int | None = None,
    marker: str | None = None,
) -> list[ServerUsage]:
    """Servers that lived in a period, by project and age. Raises Invalid for a marker that is no server."""
    query = select(*_COLUMNS).where(
        _table.c.launched_at < end, or_(_table.c.terminated_at.is_(None), _table.c.terminated_at >= begin)
    )
    if project_id is not None:
        query = query.where(_table.c.project_id == project_id)
    if marker is not None:
        named = select(_table.c.project_id, _table.c.id).where(_table.c.uuid == marker)
        if project_id is not None:
            named = named.where(_table.c.project_id == project_id)
        place = connection.execute(named).one_or_none()
        if place is None:
            raise errors.Invalid(f"marker [{marker}] not found")
        query = query.where(
            or_(
                _table.c.project_id > place.project_id,
                (_table.c.project_id == place.project_id) & (_table.c.id > place.id),
            )
        )
    rows = connection.execute(query.order_by(_table.c.project_id, _table.c.id).limit(limit))
    return [_usage(row) for row in rows]


def _usage(row: object) -> ServerUsage:
    values = dict(row._mapping)  # type: ignore[attr-defined]
    flavor = _decode(values.pop("flavor"))
    return ServerUsage(
        **values,
        flavor=flavor.name,
        vcpus=flavor.vcpus,
        memory_mb=flavor.memory_mb,
        disk_gb=flavor.root_gb + flavor.ephemeral_gb,
    )
