"""Operations of all servers that are not over, for operators: what each waits for, and the two things to be done about one."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Row, Select, select, update
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.db.models.operations import Operation, StepEvent
from nova.db.operations import CANCELLED, FOR_GOOD, LEFT, NOT_BEGUN, UNDER_WAY, UNWINDING, Failure
from nova.structs.operation import OpenOperation, StepRecord

_table = Operation.__table__
_events = StepEvent.__table__

_COLUMNS = [
    _table.c[name]
    for name in (
        "uuid", "name", "instance_uuid", "project_id", "state", "step", "waiting_host", "lease_owner", "is_cancelled",
        "created_at", "wake_at", "deadline_at", "failure", "order",
    )
]  # fmt: skip
_OPEN = select(*_COLUMNS).where(_table.c.state.in_((*NOT_BEGUN, *UNDER_WAY, LEFT))).order_by(_table.c.id)


def find(connection: Connection, instance_uuid: str | None = None) -> list[OpenOperation]:
    """The oldest first. instance_uuid: of this server alone."""
    of_server = () if instance_uuid is None else (_table.c.instance_uuid == instance_uuid,)
    return _found(connection, _OPEN.where(*of_server))


def oldest(connection: Connection, limit: int) -> list[OpenOperation]:
    """The oldest first, limit of them at most."""
    return _found(connection, _OPEN.limit(limit))


def get(connection: Connection, uuid: str) -> OpenOperation:
    """Raises NotFound for one that is over, or never was."""
    row = connection.execute(
        select(*_COLUMNS).where(_table.c.uuid == uuid, _table.c.state.in_((*NOT_BEGUN, *UNDER_WAY, LEFT)))
    ).one_or_none()
    if row is None:
        raise errors.NotFound(f"Operation {uuid} is not under way.")
    return _from_row(row, _last_reasons(connection, [uuid]).get(uuid))


def steps(connection: Connection, uuid: str) -> list[StepRecord]:
    """All runs of an operation's steps, the first one first."""
    columns = [_events.c[name] for name in ("name", "host", "started_at", "finished_at", "result", "details")]
    rows = connection.execute(select(*columns).where(_events.c.operation_uuid == uuid).order_by(_events.c.id))
    return [StepRecord(**row._mapping) for row in rows]


def look_now(connection: Connection, uuid: str) -> None:
    """Let a conductor look at an operation that pauses, or has something left, at once.

    Raises NotFound; Conflict for one that a conductor works on or a host is at, which goes on by itself.
    """
    found = get(connection, uuid)
    if found.lease_owner is not None:
        raise errors.Conflict(f"Conductor {found.lease_owner} works on operation {uuid} now.")
    if found.is_ordered:
        raise errors.Conflict(f"Host {found.waiting_host} has been sent step {found.step}, and answers by itself.")
    if found.state in NOT_BEGUN:
        raise errors.Conflict(f"Operation {uuid} begins when the one before it has ended.")
    _wake(connection, uuid)


def abandon(connection: Connection, uuid: str) -> OpenOperation:
    """Let an operation go back, or end where it cannot: as a delete of its server would, without the delete.

    What is left of one is not done any more; one that has not begun does not begin. Gives it as it was. Raises NotFound;
    Conflict for one that goes back already, and for a delete that has something left, whose volumes nobody would give back.
    """
    found = get(connection, uuid)
    if found.state == UNWINDING:
        waits = (
            f", and waits for host {found.waiting_host}: force that down if it is dead" if found.waiting_host else ""
        )
        raise errors.Conflict(f"Operation {uuid} is on its way back already{waits}.")
    if found.state == LEFT and found.name in FOR_GOOD:
        raise errors.Conflict(
            f"Operation {uuid} gives back what a deleted server had: force down the host it waits for."
        )
    if found.state in (*NOT_BEGUN, LEFT):
        query = update(_table).where(_table.c.uuid == uuid, _table.c.state == found.state)
        ends = {"state": CANCELLED, "generation": _table.c.generation + 1, "active_key": None, "lease_owner": None}
        connection.execute(query.values(wake_at=None, finished_at=utcnow(), **ends))
        return found
    connection.execute(update(_table).where(_table.c.uuid == uuid).values(is_cancelled=True))
    if found.lease_owner is None:
        _wake(connection, uuid)
    return found


def _found(connection: Connection, query: Select[Any]) -> list[OpenOperation]:
    rows = connection.execute(query).all()
    reasons = _last_reasons(connection, [row.uuid for row in rows])
    return [_from_row(row, reasons.get(row.uuid)) for row in rows]


def _wake(connection: Connection, uuid: str) -> None:
    connection.execute(
        update(_table).where(_table.c.uuid == uuid, _table.c.lease_owner.is_(None)).values(wake_at=utcnow())
    )


def _last_reasons(connection: Connection, uuids: Iterable[str]) -> dict[str, str]:
    """Why the last step that failed did, by operation."""
    query = select(_events.c.operation_uuid, _events.c.details).where(
        _events.c.operation_uuid.in_(list(uuids)), _events.c.result == "Error"
    )
    return {row.operation_uuid: last_line(row.details) for row in connection.execute(query.order_by(_events.c.id))}


def last_line(details: str | None) -> str:
    """Of a step's reason, which may be a trace, what says it."""
    return (details or "").strip().rpartition("\n")[2]


def _from_row(row: Row[Any], reason: str | None) -> OpenOperation:
    failure = msgspec.json.decode(row.failure, type=Failure) if row.failure else None
    values = {name: value for name, value in row._mapping.items() if name not in ("failure", "order")}
    why = (failure.whole_message or failure.message) if failure is not None and not reason else reason
    return OpenOperation(
        **values, is_ordered=row.order is not None, left=failure.left if failure is not None else (), reason=why
    )
