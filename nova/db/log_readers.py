"""Reading the event log, by those whose position is kept here and by users who watch it.

Nothing is passed over: numbers are given before transactions commit, so an entry may appear behind one
with a higher number. What is missing is remembered and read when it appears. Entries that change one server
cannot overtake each other: they are written under a lock of the server's row.

For a reader whose position is kept, one conductor reads at a time, by a lease. A watcher keeps its own (LogCursor).
"""

import datetime
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec
from sqlalchemy import insert, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova.clock import utcnow
from nova.db import events
from nova.db.models.operations import LogReader as Table
from nova.structs.operation import EventPage, LogCursor

_table = Table.__table__

# No transaction lasts longer: MariaDB gives up after 50 s of waiting for a lock, and ours do nothing else that waits.
_LONGEST_TRANSACTION = datetime.timedelta(seconds=60)


class Numbered(Protocol):
    """An entry of the log, as far as a cursor goes."""

    @property
    def id(self) -> int: ...

    @property
    def created_at(self) -> datetime.datetime: ...


class Standing(NamedTuple):
    """Who reads, and until when."""

    owner: str | None
    lease_until: datetime.datetime | None

    def is_held(self) -> bool:
        """By whoever owner is, by this machine's clock."""
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
    """begin() must have made the reader's record."""
    row = connection.execute(select(_table.c.owner, _table.c.lease_until).where(_table.c.name == name)).one()
    return Standing(row.owner, row.lease_until)


def take(connection: Connection, name: str, owner: str, seconds: float) -> LogCursor | None:
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
    missing = msgspec.json.decode(row.missing, type=dict[int, datetime.datetime])
    return LogCursor(position=row.position, missing=missing)


def advance(connection: Connection, name: str, owner: str, cursor: LogCursor, seconds: float) -> bool:
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


def behind(cursor: LogCursor, read: Iterable[Numbered]) -> LogCursor:
    """Where a reader stands after it has read some entries, in their order."""
    oldest = utcnow() - _LONGEST_TRANSACTION
    missing = dict(cursor.missing)
    position = cursor.position
    for entry in read:
        missing.pop(entry.id, None)
        # What is missing before an old entry was purged, or its transaction broken off.
        if entry.created_at > oldest:
            missing |= dict.fromkeys(range(position + 1, entry.id), entry.created_at)
        position = max(position, entry.id)
    return LogCursor(position=position, missing={number: since for number, since in missing.items() if since > oldest})


def end(connection: Connection) -> LogCursor:
    """Where a watcher begins who wants to see what is committed from now on."""
    return msgspec.structs.replace(_at_end(connection, LogCursor(position=0)), first=events.first_id(connection))


def watch(connection: Connection, cursor: LogCursor, project_id: str | None, limit: int) -> EventPage:
    """The entries about servers that a watcher has not read, of all projects without project_id."""
    # First how far, then what is there: what is committed between the two is not lost, whichever it belongs to.
    ahead = _at_end(connection, cursor)
    late = [entry.event for entry in events.among(connection, cursor.missing)]
    fresh = events.after(connection, cursor.position, ahead.position, project_id, limit)
    position = fresh[-1].id if len(fresh) == limit else ahead.position
    read = {event.id for event in (*late, *fresh)}
    missing = {number: since for number, since in ahead.missing.items() if number < position and number not in read}
    wanted = [event for event in late if event.instance_uuid and project_id in (None, event.project_id)]
    return EventPage(events=(*wanted, *fresh), cursor=LogCursor(position=position, missing=missing))


def has_news(connection: Connection, cursor: LogCursor) -> bool:
    """Whether there may be entries that a watcher has not read; cheaper than watch()."""
    return bool(cursor.missing) or events.last_id(connection) > cursor.position


def _at_end(connection: Connection, cursor: LogCursor) -> LogCursor:
    """The cursor moved to the end of the log, with what is missing there."""
    newest = events.last_id(connection)
    young = events.written_since(connection, cursor.position, utcnow() - _LONGEST_TRANSACTION)
    if not young:
        return behind(LogCursor(position=max(cursor.position, newest), missing=cursor.missing), ())
    # Nothing is to come before an entry that is old.
    old = events.last_id(connection, below=young[0].id)
    return behind(LogCursor(position=max(cursor.position, old), missing=cursor.missing), young)
