"""Queries on images on their way into the Image service.

A lease is a compare-and-swap on the row, as an operation's is: every write of its holder names the generation.
"""

import datetime
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.db.models.image_imports import ImageImport as Table
from nova.structs.context import Context
from nova.structs.image_import import ImageImport, ImportRequest

_table = Table.__table__
_decode = msgspec.json.Decoder(ImportRequest).decode
_encode = msgspec.json.Encoder().encode

# ACCEPTING: its record in the Image service is being made; who dies then leaves one that is to be removed.
ACCEPTING, PENDING, FAILED = "accepting", "pending", "failed"
# Refused or cancelled: its record in the Image service is being removed.
FAILING, CANCELLED = "failing", "cancelled"
_SHOWN = (PENDING, FAILING, FAILED)
_MOST_UNDER_WAY, _MOST_FAILED = 10, 50


class LeaseLost(Exception):
    """Another conductor has it now, or its user does not want it any more."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A row that this conductor holds as of its generation."""

    id: int
    image_id: str
    project_id: str
    request_id: str
    request: ImportRequest
    state: str
    digest: str
    reason: str | None
    attempt: int
    generation: int
    deadline_at: datetime.datetime


def add(connection: Connection, context: Context, request: ImportRequest, digest: str, deadline_s: float) -> None:
    """Accept one, for which a record is to be made. Raises QuotaExceeded for one too many of a project."""
    of_project = _table.c.project_id == context.project_id
    query = select(func.count()).where(of_project, _table.c.state.not_in((FAILED, CANCELLED)))
    if connection.execute(query.select_from(_table)).scalar_one() >= _MOST_UNDER_WAY:
        raise errors.QuotaExceeded(f"A project has {_MOST_UNDER_WAY} images on their way at most.")
    failed = select(_table.c.id).where(of_project, _table.c.state == FAILED).order_by(_table.c.id.desc())
    oldest = list(connection.scalars(failed.offset(_MOST_FAILED - 1)))
    if oldest:
        connection.execute(delete(_table).where(_table.c.id.in_(oldest)))
    now = utcnow()
    connection.execute(
        insert(_table).values(
            image_id=request.image.id,
            project_id=context.project_id,
            request_id=context.request_id,
            document=_encode(request).decode(),
            state=ACCEPTING,
            step="",
            digest=digest,
            attempt=0,
            generation=1,
            # Twice as long as the call may take in which the record is made.
            wake_at=now + timedelta(minutes=10),
            deadline_at=now + timedelta(seconds=deadline_s),
            created_at=now,
        )
    )


def begin(connection: Connection, image_id: str) -> bool:
    """Its record is there. False: it took so long that it was given up."""
    mine = (_table.c.image_id == image_id, _table.c.state == ACCEPTING)
    return bool(connection.execute(update(_table).where(*mine).values(state=PENDING, wake_at=utcnow())).rowcount)


def abandon(connection: Connection, image_id: str) -> None:
    """It was refused after all: a record that there may be is removed."""
    mine = (_table.c.image_id == image_id, _table.c.state == ACCEPTING)
    connection.execute(update(_table).where(*mine).values(wake_at=utcnow()))


def due(connection: Connection) -> list[tuple[int, str]]:
    """The number and project of each whose time has come, the first one first."""
    query = select(_table.c.id, _table.c.project_id).where(_table.c.wake_at <= utcnow())
    return [(row.id, row.project_id) for row in connection.execute(query.order_by(_table.c.wake_at).limit(100))]


def lease(connection: Connection, row_id: int, lease_s: float) -> Lease | None:
    """Take hold of one whose time has come; None where somebody else has it."""
    row = connection.execute(select(_table).where(_table.c.id == row_id, _table.c.wake_at <= utcnow())).one_or_none()
    if row is None:
        return None
    held = Lease(
        request=_decode(row.document),
        generation=row.generation + 1,
        **{name: getattr(row, name) for name in Lease.__struct_fields__ if name not in ("request", "generation")},
    )
    same = (_table.c.id == row.id, _table.c.generation == row.generation)
    until = utcnow() + timedelta(seconds=lease_s)
    taken = connection.execute(update(_table).where(*same).values(generation=held.generation, wake_at=until)).rowcount
    return held if taken else None


def renew(connection: Connection, held: Lease, lease_s: float, step: str) -> None:
    """Raises LeaseLost."""
    _write(connection, held, wake_at=utcnow() + timedelta(seconds=lease_s), step=step)


def put_off(connection: Connection, held: Lease, pause_s: float, step: str) -> None:
    """Another try after a pause, of which step is to be told. Raises LeaseLost."""
    _write(connection, held, attempt=held.attempt + 1, step=step, wake_at=utcnow() + timedelta(seconds=pause_s))


def give_up(connection: Connection, held: Lease, reason: str) -> None:
    """Its record in the Image service is to go. Raises LeaseLost."""
    _write(connection, held, state=FAILING, reason=reason, attempt=0, wake_at=utcnow())


def fail(connection: Connection, held: Lease) -> None:
    """There is nothing in the Image service; why is told until the user forgets it. Raises LeaseLost."""
    _write(connection, held, state=FAILED, wake_at=None)


def finish(connection: Connection, held: Lease) -> None:
    """It has arrived, or is wanted no more. Raises LeaseLost."""
    same = (_table.c.id == held.id, _table.c.generation == held.generation)
    if not connection.execute(delete(_table).where(*same)).rowcount:
        raise LeaseLost()


def cancel(connection: Connection, project_id: str, image_id: str) -> bool:
    """The user wants it no more: whoever works on it loses its lease. False: there is none of this project."""
    mine = (_table.c.project_id == project_id, _table.c.image_id == image_id, _table.c.state.in_(_SHOWN))
    gone = connection.execute(delete(_table).where(*mine, _table.c.state == FAILED)).rowcount
    values: dict[str, Any] = {"state": CANCELLED, "wake_at": utcnow(), "attempt": 0}
    values["generation"] = _table.c.generation + 1
    return bool(gone or connection.execute(update(_table).where(*mine).values(values)).rowcount)


def of_project(connection: Connection, project_id: str) -> list[ImageImport]:
    """Those on their way and those that failed, by age."""
    query = select(_table).where(_table.c.project_id == project_id, _table.c.state.in_(_SHOWN)).order_by(_table.c.id)
    return [
        ImageImport(
            request=_decode(row.document),
            project_id=row.project_id,
            state="failed" if row.state == FAILED else "pending",
            step=row.step,
            reason=row.reason,
            created_at=row.created_at,
        )
        for row in connection.execute(query)
    ]


def forget_failed(connection: Connection, before: datetime.datetime) -> None:
    connection.execute(delete(_table).where(_table.c.state == FAILED, _table.c.created_at < before))


def _write(connection: Connection, held: Lease, **values: Any) -> None:
    same = (_table.c.id == held.id, _table.c.generation == held.generation)
    if not connection.execute(update(_table).where(*same).values(values)).rowcount:
        raise LeaseLost()
