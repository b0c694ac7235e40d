"""The event log: what happened, in the order it was committed.

An entry has a payload, which users may read, and details, which say what it was about as it was
then. These are stored while somebody tells of events outside this cloud, and cost nothing otherwise.
An entry about a server holds the server's states as they are with it.
"""

import datetime
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from nova.clock import utcnow
from nova.db.models.operations import Decision as DecisionTable
from nova.db.models.operations import Event as Table
from nova.db.models.servers import Instance as InstanceTable
from nova.structs.event_details import EventDetails
from nova.structs.instance import BlockDevice, Instance
from nova.structs.operation import Event
from nova.structs.schedule import Decision

_table = Table.__table__
_decisions = DecisionTable.__table__
_instances = InstanceTable.__table__
_STATES = [_instances.c[name] for name in ("vm_state", "task_state", "power_state")]
_SHOWN = [column for column in _table.c if column.name != "details"]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(EventDetails).decode


class Entry(NamedTuple):
    """An event with its details; None: it was appended while nobody told of events."""

    event: Event
    details: EventDetails | None


def append(
    connection: Connection,
    kind: str,
    project_id: str | None,
    payload: dict[str, Any],
    instance_uuid: str | None = None,
    request_id: str | None = None,
    details: EventDetails | None = None,
) -> None:
    """Add an entry in the caller's transaction: it is there if and only if the change is.

    With instance_uuid, the states of the server as the transaction has them are put into the payload, unless it has its
    own. details are dropped while nobody outside this cloud is told of events.
    """
    if instance_uuid is not None:
        payload = _states(connection, instance_uuid) | payload
    kept = None
    if details is not None and connection.get_execution_options().get("keeps_event_details"):
        kept = _encode(_fit_to_keep(details)).decode()
    connection.execute(
        insert(_table).values(
            created_at=utcnow(),
            kind=kind,
            project_id=project_id,
            instance_uuid=instance_uuid,
            request_id=request_id,
            payload=_encode(payload).decode(),
            details=kept,
        )
    )


def _states(connection: Connection, instance_uuid: str) -> dict[str, Any]:
    row = connection.execute(select(*_STATES).where(_instances.c.uuid == instance_uuid)).one_or_none()
    return {} if row is None else dict(row._mapping)


def after(
    connection: Connection, position: int, upto: int, project_id: str | None = None, limit: int = 500
) -> list[Event]:
    """The entries about servers behind position, up to one, oldest first; of all projects without project_id."""
    query = select(*_SHOWN).where(_table.c.id > position, _table.c.id <= upto, _table.c.instance_uuid.is_not(None))
    if project_id is not None:
        query = query.where(_table.c.project_id == project_id)
    return [_event(row) for row in connection.execute(query.order_by(_table.c.id).limit(limit))]


def among(connection: Connection, numbers: Iterable[int]) -> list[Entry]:
    """Those of the numbered entries that are there, in their order."""
    wanted = sorted(numbers)
    rows: list[Any] = []
    # No database takes any number of values in one IN.
    for start in range(0, len(wanted), 500):
        query = select(_table).where(_table.c.id.in_(wanted[start : start + 500])).order_by(_table.c.id)
        rows.extend(connection.execute(query))
    return [_entry(row) for row in rows]


def unread(connection: Connection, position: int, missing: Iterable[int], limit: int) -> list[Entry]:
    """The entries behind position, and those of the missing ones that are there by now; these come first."""
    late = among(connection, missing)
    query = select(_table).where(_table.c.id > position).order_by(_table.c.id).limit(limit)
    return [*late, *(_entry(row) for row in connection.execute(query))]


def written_since(connection: Connection, position: int, since: datetime.datetime) -> list[Any]:
    """The numbers and times (id, created_at) of the entries behind position that were written since then."""
    query = select(_table.c.id, _table.c.created_at).where(_table.c.id > position, _table.c.created_at > since)
    return list(connection.execute(query.order_by(_table.c.id)))


def server_then(connection: Connection, entry: Entry) -> tuple[Instance, Instance] | None:
    """A server before an event and after it; None for an event of which that is not known.

    An entry that says only what it changed goes on from those before it.
    """
    details = entry.details
    if details is None or entry.event.instance_uuid is None:
        return None
    before = details.server or _server_before(connection, entry.event)
    if before is None:
        return None
    return before, _changed(before, {"updated_at": entry.event.created_at, **details.changes})


def _server_before(connection: Connection, event: Event) -> Instance | None:
    query = (
        select(_table.c.details, _table.c.created_at)
        .where(_table.c.instance_uuid == event.instance_uuid, _table.c.id < event.id)
        .where(_table.c.details.is_not(None))
        .order_by(_table.c.id.desc())
    )
    changes: dict[str, Any] = {}
    for row in connection.execute(query):
        found = _decode(row.details)
        changes = {"updated_at": row.created_at, **found.changes, **changes}
        if found.server is not None:
            return _changed(found.server, changes)
    return None


def _changed(server: Instance, changes: dict[str, Any]) -> Instance:
    return msgspec.convert({**msgspec.to_builtins(server), **changes}, Instance)


_NOT_KEPT = ("user_data", "system_metadata")


def _fit_to_keep(details: EventDetails) -> EventDetails:
    """Without what is large, secret, or no business of anybody outside."""
    changes = {name: value for name, value in details.changes.items() if name not in _NOT_KEPT}
    if "block_devices" in changes:
        changes["block_devices"] = _without_connections(changes["block_devices"])
    server = details.server
    if server is not None:
        devices = _without_connections(server.block_devices)
        server = msgspec.structs.replace(server, user_data=None, system_metadata={}, block_devices=devices)
    return msgspec.structs.replace(details, changes=changes, server=server)


def _without_connections(devices: Iterable[BlockDevice]) -> tuple[BlockDevice, ...]:
    return tuple(msgspec.structs.replace(one, connection_info=None) for one in devices)


def last_id(connection: Connection, below: int | None = None) -> int:
    """The number of the newest entry, or of the newest below another; 0 without one."""
    query = select(_table.c.id).order_by(_table.c.id.desc()).limit(1)
    return connection.scalar(query if below is None else query.where(_table.c.id < below)) or 0


def first_id(connection: Connection) -> int:
    """The number of the oldest entry; 0 without one."""
    return connection.scalar(select(_table.c.id).order_by(_table.c.id).limit(1)) or 0


def purge(connection: Connection, before: datetime.datetime, limit: int) -> int:
    """Remove the oldest entries written before a time; how many. The newest stays, so that numbers only grow."""
    newest = last_id(connection)
    oldest = select(_table.c.id).where(_table.c.created_at < before, _table.c.id < newest)
    numbers = list(connection.scalars(oldest.order_by(_table.c.created_at).limit(limit)))
    if numbers:
        connection.execute(delete(_table).where(_table.c.id.in_(numbers)))
    return len(numbers)


def _entry(row: Any) -> Entry:
    return Entry(_event(row), _decode(row.details) if row.details else None)


def _event(row: Any) -> Event:
    return Event(
        id=row.id,
        created_at=row.created_at,
        kind=row.kind,
        project_id=row.project_id,
        payload=msgspec.json.decode(row.payload),
        instance_uuid=row.instance_uuid,
        request_id=row.request_id,
    )


def add_decision(connection: Connection, instance_uuid: str, operation_uuid: str, decision: Decision) -> None:
    """Keep how a host was chosen for an operation; users read it among the server's decisions."""
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
