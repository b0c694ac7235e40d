"""How far each reader of the event log is. One conductor reads for all, by a lease.

Nothing is passed over: numbers are given before transactions commit, so an entry may appear behind one
with a higher number. What is missing is remembered and read when it appears. Entries that change one server
cannot overtake each other: they are written under a lock of the server's row.
"""

import datetime
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from sqlalchemy import insert, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova.clock import utcnow
from nova.db import events
from nova.db.models.operations import LogReader as Table
from nova.structs.operation import Event

_table = Table.__table__

# No transaction lasts longer: MariaDB gives up after 50 s of waiting for a lock, and ours do nothing else that waits.
_LONGEST_TRANSACTION = datetime.timedelta(seconds=60)


class Cursor(NamedTuple):
    """The last entry read, and the numbers below it that were not there, each with the time of the entry behind it."""

    position: int
    missing: dict[int, datetime.datetime]


class Standing(NamedTuple):
    """Who reads, and until when."""

    owner: str | None
    lease_until: datetime.datetime | None

    def is_held(self) -> bool:
        return self.owner is not None and self.lease_until is not None and utcnow() < self.lease_until


def begin(connection: Connection, name: str) -> None:
    """Make the reader's record, if there is none: it reads what is written from now on."""
    if connection.scalar(select(_table.c.name).where(_table.c.name == name)) is not None:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(_table).values(name=name, position=events.last_id(connection), missing="{}"))
    except IntegrityError:
        pass  # Another conductor made it first.


def standing(connection: Connection, name: str) -> Standing:
    row = connection.execute(select(_table.c.owner, _table.c.lease_until).where(_table.c.name == name)).one()
    return Standing(row.owner, row.lease_until)


def take(connection: Connection, name: str, owner: str, seconds: float) -> Cursor | None:
    """Read from now on, or go on reading; None while another does."""
    now = utcnow()
    free = or_(_table.c.owner.is_(None), _table.c.owner == owner, _table.c.lease_until <= now)
    taken = connection.execute(
        update(_table)
        .where(_table.c.name == name, free)
        .values(owner=owner, lease_until=now + datetime.timedelta(seconds=seconds))
    )
    if taken.rowcount != 1:
        return None
    row = connection.execute(select(_table.c.position, _table.c.missing).where(_table.c.name == name)).one()
    return Cursor(row.position, msgspec.json.decode(row.missing, type=dict[int, datetime.datetime]))


def advance(connection: Connection, name: str, owner: str, cursor: Cursor, seconds: float) -> bool:
    """Record how far it is; False, and nothing is recorded, when another reads meanwhile."""
    written = connection.execute(
        update(_table)
        .where(_table.c.name == name, _table.c.owner == owner)
        .values(
            position=cursor.position,
            missing=msgspec.json.encode(cursor.missing).decode(),
            lease_until=utcnow() + datetime.timedelta(seconds=seconds),
        )
    )
    return written.rowcount == 1


def release(connection: Connection, name: str, owner: str) -> None:
    """Let another read."""
    connection.execute(
        update(_table).where(_table.c.name == name, _table.c.owner == owner).values(owner=None, lease_until=None)
    )


def behind(cursor: Cursor, read: Iterable[Event]) -> Cursor:
    """Where a reader stands after it has read some entries, in their order."""
    oldest = utcnow() - _LONGEST_TRANSACTION
    missing = dict(cursor.missing)
    position = cursor.position
    for event in read:
        missing.pop(event.id, None)
        # What is missing before an old entry was purged, or its transaction broken off.
        if event.created_at > oldest:
            missing |= dict.fromkeys(range(position + 1, event.id), event.created_at)
        position = max(position, event.id)
    return Cursor(position, {number: since for number, since in missing.items() if since > oldest})
