"""What became of a server's operations, step by step: the instance actions of the API.

A step's event is open while the step is under way; how often one failed decides whether it is tried again.
"""

import datetime

import msgspec
from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.db.models.operations import Operation, StepEvent
from nova.db.operations import FAILED, NOT_BEGUN, SUCCEEDED, UNDER_WAY, Failure
from nova.structs.operation import OperationRecord, Outcome, StepRecord

_table = Operation.__table__
_events = StepEvent.__table__

# Among how many of the newest operations failed ones are looked for.
_LOOKED_AT = 10_000
_RECORD = [
    _table.c[name]
    for name in (
        "uuid", "name", "instance_uuid", "project_id", "user_id", "request_id", "state", "created_at", "updated_at",
        "finished_at", "message",
    )
]  # fmt: skip


def begin_event(connection: Connection, operation_uuid: str, name: str, host: str | None = None) -> None:
    """Record that a step has begun."""
    values = {"operation_uuid": operation_uuid, "name": name, "host": host, "started_at": utcnow()}
    connection.execute(insert(_events).values(**values))


def record_event(
    connection: Connection,
    operation_uuid: str,
    name: str,
    started_at: datetime.datetime,
    result: str,
    host: str | None = None,
    details: str | None = None,
) -> None:
    """Record a step that is over."""
    connection.execute(
        insert(_events).values(
            operation_uuid=operation_uuid,
            name=name,
            host=host,
            started_at=started_at,
            finished_at=utcnow(),
            result=result,
            details=details,
        )
    )


def end_event(connection: Connection, operation_uuid: str, result: str, details: str | None = None) -> None:
    """Close the step event that is open."""
    connection.execute(
        update(_events)
        .where(_events.c.operation_uuid == operation_uuid, _events.c.finished_at.is_(None))
        .values(finished_at=utcnow(), result=result, details=details)
    )


def failures(connection: Connection, operation_uuid: str, name: str) -> int:
    """How often a step of an operation has failed."""
    query = select(func.count()).select_from(_events)
    return connection.scalar(
        query.where(_events.c.operation_uuid == operation_uuid, _events.c.name == name, _events.c.result == "Error")
    )  # type: ignore[return-value]


def has_begun(connection: Connection, operation_uuid: str, name: str, host: str | None = None) -> bool:
    """Whether a step of an operation was tried before; host: by this one."""
    query = select(_events.c.id).where(_events.c.operation_uuid == operation_uuid, _events.c.name == name)
    if host is not None:
        query = query.where(_events.c.host == host)
    return connection.scalar(query.limit(1)) is not None


def outcome(
    connection: Connection, instance_uuid: str, request_id: str, name: str, step: str | None = None
) -> Outcome | None:
    """How an operation ended; None while it has not. step: success once this step of it is done, whatever comes later."""
    query = select(_table.c.uuid, _table.c.state, _table.c.failure).where(
        _table.c.instance_uuid == instance_uuid, _table.c.request_id == request_id, _table.c.name == name
    )
    row = connection.execute(query.order_by(_table.c.id.desc()).limit(1)).one_or_none()
    if row is None or row.state in NOT_BEGUN:
        return None
    if step is not None and _has_done(connection, row.uuid, step):
        return Outcome()
    if row.state in UNDER_WAY:
        return None
    if row.state == SUCCEEDED or row.failure is None:
        return Outcome()
    failure = msgspec.json.decode(row.failure, type=Failure)
    return Outcome(error=failure.error, message=failure.message, whole_message=failure.whole_message)


def _has_done(connection: Connection, operation_uuid: str, step: str) -> bool:
    query = select(_events.c.id).where(_events.c.operation_uuid == operation_uuid, _events.c.name == step)
    return connection.scalar(query.where(_events.c.result == "Success").limit(1)) is not None


def history(
    connection: Connection,
    instance_uuid: str,
    limit: int | None = None,
    marker: str | None = None,
    changes_since: datetime.datetime | None = None,
    changes_before: datetime.datetime | None = None,
) -> list[OperationRecord]:
    """A server's operations, newest first. Raises Invalid for a marker that is none of theirs."""
    query = select(*_RECORD).where(_table.c.instance_uuid == instance_uuid).order_by(_table.c.id.desc())
    if marker is not None:
        named = select(_table.c.id).where(_table.c.instance_uuid == instance_uuid, _table.c.request_id == marker)
        position = connection.scalar(named.order_by(_table.c.id).limit(1))
        if position is None:
            raise errors.Invalid(f"marker [{marker}] not found")
        query = query.where(_table.c.id < position)
    if changes_since is not None:
        query = query.where(_table.c.updated_at >= changes_since)
    if changes_before is not None:
        query = query.where(_table.c.updated_at <= changes_before)
    return [OperationRecord(**row._mapping) for row in connection.execute(query.limit(limit))]


def failed(connection: Connection, limit: int) -> list[OperationRecord]:
    """The last operations of all servers that failed, newest first. No index serves this: older ones are not looked at."""
    newest = connection.scalar(select(func.max(_table.c.id))) or 0
    query = select(*_RECORD).where(_table.c.id > newest - _LOOKED_AT, _table.c.state == FAILED)
    rows = connection.execute(query.order_by(_table.c.id.desc()).limit(limit))
    return [OperationRecord(**row._mapping) for row in rows]


def record(connection: Connection, instance_uuid: str, request_id: str) -> OperationRecord | None:
    """One of them, with its steps."""
    query = select(*_RECORD).where(_table.c.instance_uuid == instance_uuid, _table.c.request_id == request_id)
    row = connection.execute(query.order_by(_table.c.id).limit(1)).one_or_none()
    if row is None:
        return None
    columns = (
        _events.c.name,
        _events.c.host,
        _events.c.started_at,
        _events.c.finished_at,
        _events.c.result,
        _events.c.details,
    )
    steps = connection.execute(select(*columns).where(_events.c.operation_uuid == row.uuid).order_by(_events.c.id))
    return OperationRecord(**row._mapping, events=tuple(StepRecord(**step._mapping) for step in steps))
