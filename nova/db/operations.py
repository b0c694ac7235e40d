"""Queries on operations: accepting, leasing, advancing and finishing them. instance_actions has what became of them.

A lease is a compare-and-swap on the row: who holds it knows the row's generation, and every write
of the holder names it, so that one who lost the lease writes nothing.
"""

import datetime
from collections.abc import Collection
from contextlib import nullcontext
from typing import Any

import msgspec
from sqlalchemy import Row, Select, func, insert, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova.clock import utcnow
from nova.db.models.operations import Operation as Table
from nova.db.models.operations import StepEvent
from nova.structs.operation import StepOrder

_table = Table.__table__
_events = StepEvent.__table__
_encode = msgspec.json.Encoder().encode
_decode_order = msgspec.json.Decoder(StepOrder).decode

# An operation that nobody has begun, one going forward, one going back. The others are ends.
QUEUED, RUNNING, UNWINDING = "queued", "running", "unwinding"
SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
UNDER_WAY = (RUNNING, UNWINDING)
# QUEUED is begun when the one under way has been unwound for it, WAITING whenever that is over.
WAITING = "waiting"
NOT_BEGUN = (QUEUED, WAITING)
# Over for its user, but for some steps behind its point of no return: they are tried now and then.
LEFT = "left"
# Operations after which there is no server.
FOR_GOOD = frozenset({"delete", "forceDelete"})
_CAN_GO_ON = (*UNDER_WAY, LEFT)


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an operation is unwinding. resume_at: the name of the step to go forward from again, None to give up.

    message is for users; whole_message, where users are not told everything, and details are for administrators.
    function, module: of the step that failed.

    left: the names of the steps that are still to be done, in order; given_up: of those that never will be. is_settled:
    the server is what the operation was to make of it. rounds: how often what is left has been tried. refused: the
    steps among them that were refused by somebody who is there again. hosts: those that did not do what is left.
    """

    error: str
    message: str
    whole_message: str | None = None
    details: str | None = None
    # Releases before 2027 stored an index.
    resume_at: str | int | None = None
    status: int = 500
    function: str = ""
    module: str = ""
    left: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    is_settled: bool = False
    rounds: int = 0
    refused: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class NewOperation(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for. project_id and user_id asked for it; owner_project_id is the server's. step: the first one."""

    uuid: str
    name: str
    instance_uuid: str
    project_id: str
    user_id: str
    owner_project_id: str
    request_id: str
    step: str
    document: str
    deadline_at: datetime.datetime


class Lease(NewOperation, frozen=True, kw_only=True):
    """An operation's row, held by this conductor as of its generation. step: the one that it is at."""

    state: str = RUNNING
    attempt: int = 0
    generation: int = 1
    is_cancelled: bool = False
    order: StepOrder | None = None
    wake_at: datetime.datetime | None = None
    failure: Failure | None = None
    # Whom it was taken from, when that conductor's lease had run out.
    lease_owner: str | None = None


class LeaseLost(Exception):
    """Another conductor took the operation over; whatever this one was doing is not its business any more."""


def add(
    connection: Connection,
    new: NewOperation,
    state: str = RUNNING,
    owner: str | None = None,
    lease_until: datetime.datetime | None = None,
    is_first: bool = False,
) -> bool:
    """Store a new operation, leased to owner when it is given; False when another is under way.

    is_first: of a server that was made in the same transaction, which has no other.
    """
    waits = state in NOT_BEGUN
    values = {
        **_new_row(new, state),
        "active_key": None if waits else new.instance_uuid,
        "lease_owner": owner,
        "wake_at": None if waits else lease_until or utcnow(),
    }
    try:
        with nullcontext() if is_first else connection.begin_nested():
            connection.execute(insert(_table).values(**values))
    except IntegrityError:
        if is_first:
            raise
        return False
    return True


def add_done(connection: Connection, new: NewOperation) -> None:
    """Record an action that was over as soon as it was accepted: it changed the record alone."""
    connection.execute(insert(_table).values(**_new_row(new, SUCCEEDED), finished_at=utcnow()))


def _new_row(new: NewOperation, state: str) -> dict[str, Any]:
    now = utcnow()
    return {
        **msgspec.structs.asdict(new),
        "state": state,
        "attempt": 0,
        "is_cancelled": False,
        "generation": 1,
        "created_at": now,
        "updated_at": now,
    }


def active(connection: Connection, instance_uuid: str, for_update: bool = False) -> Row[Any, Any, Any, Any] | None:
    """uuid, name and state of the operation under way on a server, and the waiting_host that has it in hand."""
    query = select(_table.c.uuid, _table.c.name, _table.c.state, _table.c.waiting_host).where(
        _table.c.active_key == instance_uuid
    )
    return connection.execute(query.with_for_update() if for_update else query).one_or_none()


def open_documents(connection: Connection, instance_uuid: str, name: str) -> list[str]:
    """The documents of a server's operations of one name that have not ended."""
    not_ended = _table.c.state.in_((*NOT_BEGUN, *_CAN_GO_ON))
    return list(
        connection.scalars(
            select(_table.c.document).where(_table.c.instance_uuid == instance_uuid, _table.c.name == name, not_ended)
        )
    )


def queued(connection: Connection, instance_uuid: str) -> Row[Any, Any] | None:
    """uuid and name of the operation that waits for the one under way to unwind."""
    query = select(_table.c.uuid, _table.c.name).where(
        _table.c.instance_uuid == instance_uuid, _table.c.state == QUEUED
    )
    return connection.execute(query.order_by(_table.c.id).limit(1)).one_or_none()


def is_to_go(connection: Connection, instance_uuid: str) -> bool:
    """Whether the operation that waits for the one under way deletes the server for good."""
    coming = queued(connection, instance_uuid)
    return coming is not None and coming.name in FOR_GOOD


def waiting(connection: Connection, instance_uuid: str) -> str | None:
    """The first of the operations that wait for the one under way to end as it will."""
    query = select(_table.c.uuid).where(_table.c.instance_uuid == instance_uuid, _table.c.state == WAITING)
    return connection.scalar(query.order_by(_table.c.id).limit(1))


def drop_waiting(connection: Connection, instance_uuid: str) -> None:
    """What waits will never begin: the server is gone."""
    _drop(connection, instance_uuid, WAITING)


def drop_queued(connection: Connection, instance_uuid: str) -> None:
    """What is queued will never begin: another takes its place."""
    _drop(connection, instance_uuid, QUEUED)


def _drop(connection: Connection, instance_uuid: str, state: str) -> None:
    connection.execute(
        update(_table)
        .where(_table.c.instance_uuid == instance_uuid, _table.c.state == state)
        .values(state=CANCELLED, finished_at=utcnow())
    )


def cancel(connection: Connection, uuid: str) -> None:
    """Tell an operation to unwind; whoever holds it sees it at the next step."""
    connection.execute(update(_table).where(_table.c.uuid == uuid).values(is_cancelled=True))


def promote(connection: Connection, uuid: str, instance_uuid: str, deadline_at: datetime.datetime) -> None:
    """Let a queued or waiting operation begin, its predecessor being over."""
    connection.execute(
        update(_table)
        .where(_table.c.uuid == uuid, _table.c.state.in_(NOT_BEGUN))
        .values(state=RUNNING, active_key=instance_uuid, wake_at=utcnow(), deadline_at=deadline_at)
    )


def lease(connection: Connection, uuid: str, owner: str, seconds: float) -> Lease | None:
    """Take an operation nobody holds, or whose holder's lease has run out; None when it cannot be had.

    What is left of one is under way while somebody holds it; it lets an operation that is under way go first.
    """
    now = utcnow()
    free = or_(_table.c.lease_owner.is_(None), _table.c.wake_at <= now)
    query = (
        select(*(_table.c[name] for name in _LEASED))
        .where(_table.c.uuid == uuid, _table.c.state.in_(_CAN_GO_ON), free)
        .with_for_update()
    )
    row = connection.execute(query).one_or_none()
    if row is None or (row.state == LEFT and not _begin_left(connection, uuid, row.instance_uuid, seconds)):
        return None
    taken = connection.execute(
        update(_table)
        .where(_table.c.uuid == uuid, _table.c.generation == row.generation)
        .values(
            lease_owner=owner,
            generation=row.generation + 1,
            wake_at=now + datetime.timedelta(seconds=seconds),
        )
    )
    if taken.rowcount != 1:
        return None
    return _lease_from(row, row.generation + 1)


def _begin_left(connection: Connection, uuid: str, instance_uuid: str, seconds: float) -> bool:
    """Let what is left of an operation be the one under way; False, and looked at later, where there is another."""
    own = update(_table).where(_table.c.uuid == uuid)
    try:
        with connection.begin_nested():
            connection.execute(own.values(active_key=instance_uuid))
    except IntegrityError:
        connection.execute(own.values(wake_at=utcnow() + datetime.timedelta(seconds=seconds)))
        return False
    return True


_LEASED = (
    "uuid", "name", "instance_uuid", "project_id", "user_id", "owner_project_id", "request_id", "state", "step",
    "attempt", "document", "generation", "is_cancelled", "deadline_at", "order", "wake_at", "failure", "lease_owner",
)  # fmt: skip


def renew(connection: Connection, owner: str, uuids: list[str], seconds: float) -> None:
    """Keep the leases of the operations this conductor is working on."""
    until = utcnow() + datetime.timedelta(seconds=seconds)
    mine = (_table.c.lease_owner == owner, _table.c.uuid.in_(uuids))
    connection.execute(update(_table).where(*mine).values(wake_at=until))


def advance(connection: Connection, held: Lease, **changes: Any) -> bool:
    """Write the next state of a held operation; whether it is cancelled by now.

    Raises LeaseLost, and then nothing may be committed.
    """
    values = dict(changes)
    for name in ("order", "failure"):
        if name in values:
            values[name] = None if values[name] is None else _encode(values[name]).decode()
    write = (
        update(_table)
        .where(_table.c.uuid == held.uuid, _table.c.generation == held.generation)
        .values(updated_at=utcnow(), **values)
    )
    # What is known already need not be asked: the row is written as long as it still holds.
    if connection.execute(write.where(_table.c.is_cancelled.is_(held.is_cancelled))).rowcount == 1:
        return held.is_cancelled
    if connection.execute(write).rowcount != 1:
        raise LeaseLost(held.uuid)
    return True


def close(connection: Connection, held: Lease, state: str, document: str, message: str | None) -> bool:
    """End a held operation; whether it was cancelled. Raises LeaseLost."""
    return _let_server_go(
        connection, held, state=state, document=document, message=message, wake_at=None, finished_at=utcnow()
    )


def leave(connection: Connection, held: Lease, document: str, message: str | None, until: datetime.datetime) -> bool:
    """Let go of an operation that has something left, until then; whether it is cancelled. Raises LeaseLost."""
    return _let_server_go(connection, held, state=LEFT, document=document, message=message, wake_at=until)


def _let_server_go(connection: Connection, held: Lease, **changes: Any) -> bool:
    """The operation is not under way any more: another may begin."""
    return advance(
        connection,
        held,
        failure=held.failure,
        active_key=None,
        order=None,
        waiting_host=None,
        lease_owner=None,
        **changes,
    )


def left(connection: Connection, instance_uuid: str) -> Row[Any, Any, Any, Any] | None:
    """uuid, name, failure and message of the operation on a server that has something left, and is not under way."""
    query = select(_table.c.uuid, _table.c.name, _table.c.failure, _table.c.message)
    return connection.execute(
        query.where(_table.c.instance_uuid == instance_uuid, _table.c.state == LEFT, _table.c.active_key.is_(None))
        .order_by(_table.c.id)
        .limit(1)
    ).one_or_none()


def servers_with_left() -> Select[tuple[str]]:
    """The uuids of the servers of whose operations something is left, as part of another query."""
    return select(_table.c.instance_uuid).where(_table.c.state == LEFT)


def end_left(connection: Connection, instance_uuid: str) -> None:
    """What is left of a server's operations is not done any more: another request makes it needless."""
    connection.execute(
        update(_table)
        .where(_table.c.instance_uuid == instance_uuid, _table.c.state == LEFT, _table.c.active_key.is_(None))
        .values(
            state=CANCELLED, generation=_table.c.generation + 1, lease_owner=None, wake_at=None, finished_at=utcnow()
        )
    )


def newest_done(connection: Connection, instance_uuid: str, names: Collection[str]) -> str | None:
    """Which of these operations was done on a server last; None: none was."""
    is_one = (_table.c.instance_uuid == instance_uuid, _table.c.state == SUCCEEDED, _table.c.name.in_(names))
    return connection.scalar(select(_table.c.name).where(*is_one).order_by(_table.c.id.desc()).limit(1))


def had_left(connection: Connection, instance_uuid: str) -> bool:
    """Whether any operation on a server has, or had when it ended, something left to do."""
    query = select(_table.c.failure).where(_table.c.instance_uuid == instance_uuid, _table.c.failure.is_not(None))
    return any(msgspec.json.decode(text, type=Failure).left for text in connection.scalars(query))


def count_left(connection: Connection) -> int:
    """Operations that ended with something left to do, which is tried again."""
    is_left = (_table.c.wake_at.is_not(None), _table.c.state == LEFT)
    return connection.scalar(select(func.count()).select_from(_table).where(*is_left))  # type: ignore[return-value]


def due(connection: Connection, limit: int = 200) -> list[str]:
    """Operations somebody should look at: a lease, a deadline or a pause is over."""
    query = select(_table.c.uuid).where(_table.c.wake_at <= utcnow()).order_by(_table.c.wake_at).limit(limit)
    return list(connection.scalars(query))


def awaits(connection: Connection, uuid: str, number: int) -> bool:
    """Whether an operation still waits for the answer to its order of this number."""
    query = select(_table.c.attempt).where(_table.c.uuid == uuid, _table.c.order.is_not(None))
    return connection.scalar(query) == number


def oldest_due(connection: Connection) -> datetime.datetime | None:
    """Since when the operation that waits longest is due; None when none is."""
    since: datetime.datetime | None = connection.scalar(
        select(func.min(_table.c.wake_at)).where(_table.c.wake_at <= utcnow())
    )
    return since


def waiting_on(connection: Connection, hosts: list[str]) -> list[StepOrder]:
    """The orders some hosts have not answered."""
    waiting = _table.c.waiting_host.in_(hosts) if len(hosts) <= 500 else _table.c.waiting_host.is_not(None)
    query = select(_table.c.order).where(waiting, _table.c.order.is_not(None)).order_by(_table.c.id)
    names = frozenset(hosts)
    return [order for text in connection.scalars(query) if (order := _decode_order(text)).host in names]


def waiting_for(connection: Connection, host: str) -> list[str]:
    """Operations that go on when a host does, or is known to be dead; with those that have something left there."""
    for_host = (_table.c.waiting_host == host) & _table.c.order.is_(None)
    is_left = (_table.c.state == LEFT) & _table.c.active_key.is_(None)
    query = select(_table.c.uuid, _table.c.waiting_host, _table.c.failure)
    query = query.where(or_(for_host, is_left), _table.c.lease_owner.is_(None)).order_by(_table.c.id)
    return [
        uuid
        for uuid, waiting_host, failure in connection.execute(query)
        if waiting_host == host or host in msgspec.json.decode(failure, type=Failure).hosts
    ]


def under_way(connection: Connection) -> dict[str, tuple[int, datetime.datetime]]:
    """How many operations of each name have not ended, and when the oldest of them was accepted."""
    query = (
        select(_table.c.name, func.count(), func.min(_table.c.created_at))
        .where(_table.c.active_key.is_not(None))
        .group_by(_table.c.name)
    )
    return {name: (count, since) for name, count, since in connection.execute(query)}


def put_off_for(connection: Connection, host: str) -> list[str]:
    """Operations that wait for a host to answer, or to be forced down."""
    return list(connection.scalars(select(_table.c.uuid).where(_table.c.waiting_host == host)))


def naming(connection: Connection, host: str) -> list[str]:
    """Operations that are not over, and name a host in what they remember."""
    is_open = _table.c.state.in_((*NOT_BEGUN, *_CAN_GO_ON))
    name = _encode(host).decode()
    return list(
        connection.scalars(select(_table.c.uuid).where(is_open, _table.c.document.contains(name, autoescape=True)))
    )


def count_under_way(connection: Connection) -> int:
    return len(connection.execute(select(_table.c.id).where(_table.c.active_key.is_not(None))).all())


def purge(connection: Connection, instance_uuids: list[str]) -> None:
    """Remove what is left of servers that are purged."""
    chosen = select(_table.c.uuid).where(_table.c.instance_uuid.in_(instance_uuids))
    connection.execute(_events.delete().where(_events.c.operation_uuid.in_(chosen)))
    connection.execute(_table.delete().where(_table.c.instance_uuid.in_(instance_uuids)))


def _lease_from(row: Row[Any], generation: int) -> Lease:
    values = dict(row._mapping)
    values["generation"] = generation
    values["order"] = _decode_order(values["order"]) if values["order"] else None
    values["failure"] = msgspec.json.decode(values["failure"], type=Failure) if values["failure"] else None
    return Lease(**values)
