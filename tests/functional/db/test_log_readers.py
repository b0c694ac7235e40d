"""Reading the event log on each database: one reads, nothing is passed over, old entries go."""

import datetime
import sys
import uuid
from pathlib import Path

import pytest
from sqlalchemy import update

from nova.clock import utcnow
from nova.db import events, log_readers, migrations
from nova.db.engine import Database
from nova.db.models.operations import Event
from nova.structs.operation import Event as Entry
from nova.structs.operation import LogCursor

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent / "tools"))

from throwaway_databases import database as throwaway


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql"])
def url(request):
    with throwaway(request.param) as url:
        migrations.sync(url)
        yield url


@pytest.fixture
def database(url):
    opened = Database(url)
    yield opened
    opened.close()


def append(connection, kind):
    events.append(connection, kind, None, {})


def read(database, name, owner):
    """What the reader has not read yet; it has then."""
    cursor = database.write(lambda c: log_readers.take(c, name, owner, 60))
    found = database.read(lambda c: events.unread(c, cursor.position, cursor.missing, 100))
    behind = log_readers.behind(cursor, [entry.event for entry in found])
    assert database.write(lambda c: log_readers.advance(c, name, owner, behind, 60))
    return [entry.event.kind for entry in found]


def test_a_reader_reads_what_is_written_after_it_began_and_reads_it_once(database):
    database.write(lambda c: append(c, "before"))
    database.write(lambda c: log_readers.begin(c, "once"))
    database.write(lambda c: append(c, "first"))

    assert read(database, "once", "a") == ["first"]
    database.write(lambda c: append(c, "second"))
    assert read(database, "once", "a") == ["second"]
    assert read(database, "once", "a") == []


# On SQLite one transaction writes at a time: numbers are given in the order of the commits.
@pytest.mark.parametrize("url", ["mariadb", "postgresql"], indirect=True)
def test_an_entry_that_is_committed_late_is_read_late(database):
    database.write(lambda c: log_readers.begin(c, "late"))
    with database.transaction() as slow:
        append(slow, "slow")
        database.write(lambda c: append(c, "quick"))

        assert read(database, "late", "a") == ["quick"]

    assert read(database, "late", "a") == ["slow"]
    assert read(database, "late", "a") == []


@pytest.mark.parametrize("url", ["mariadb", "postgresql"], indirect=True)
def test_a_watcher_hears_each_event_once_however_late_it_is_committed(database):
    server = str(uuid.uuid4())

    def change(connection, kind, project="project"):
        events.append(connection, kind, project, {}, server)

    def watch(cursor, project="project", limit=10):
        page = database.read(lambda c: log_readers.watch(c, cursor, project, limit))
        return [event.kind for event in page.events], page.cursor

    with database.transaction() as slow:
        change(slow, "before")
        cursor = database.read(log_readers.end)
        change(slow, "slow")
        change(slow, "elsewhere", "another")
        for kind in ("quick", "quicker"):
            database.write(lambda c, kind=kind: change(c, kind))

        first, cursor = watch(cursor, limit=1)
        second, cursor = watch(cursor)
        nothing, cursor = watch(cursor)
        from_token = LogCursor(position=cursor.settled)

    late, cursor = watch(cursor)
    assert (first, second, nothing) == (["quick"], ["quicker"], [])
    assert [kind for kind in late if kind != "before"] == ["slow"]
    assert watch(cursor)[0] == []
    assert [kind for kind in watch(from_token)[0] if kind != "before"] == ["slow", "quick", "quicker"]


def test_a_watcher_who_was_away_for_long_reads_all_that_was_written(database):
    server = str(uuid.uuid4())
    begin = database.read(log_readers.end)
    for kind in ("old", "older", "new"):
        database.write(lambda c, kind=kind: events.append(c, kind, "project", {}, server))
    long_ago = utcnow() - datetime.timedelta(days=1)
    old = Event.__table__.c.kind.in_(["old", "older"])
    database.write(lambda c: c.execute(update(Event.__table__).where(old).values(created_at=long_ago)))

    pages = []
    cursor = LogCursor(position=begin.position)
    while True:
        page = database.read(lambda c, at=cursor: log_readers.watch(c, at, "project", 2))
        if not page.events:
            break
        pages.append([event.kind for event in page.events])
        cursor = page.cursor

    assert pages == [["old", "older"], ["new"]]


def test_a_number_that_was_given_back_is_not_waited_for_for_ever():
    now = utcnow()

    def entry(number, minutes_ago):
        written = now - datetime.timedelta(minutes=minutes_ago)
        return Entry(id=number, created_at=written, kind="kind", project_id=None, payload={})

    fresh = log_readers.behind(LogCursor(position=3), [entry(5, minutes_ago=0)])
    purged = log_readers.behind(LogCursor(position=3), [entry(5_000_000_000, minutes_ago=5)])
    waited_for = LogCursor(position=5, missing={4: now - datetime.timedelta(minutes=5)})

    assert (fresh.position, set(fresh.missing)) == (5, {4})
    assert (purged.position, purged.missing) == (5_000_000_000, {})
    assert log_readers.behind(waited_for, []).missing == {}


def test_one_reads_until_it_lets_go_or_falls_silent(database):
    database.write(lambda c: log_readers.begin(c, "lease"))

    def take(owner, seconds=60.0):
        return database.write(lambda c: log_readers.take(c, "lease", owner, seconds)) is not None

    assert take("a")
    assert not take("b")
    assert take("a", seconds=-1)
    assert take("b")
    assert not database.write(lambda c: log_readers.advance(c, "lease", "a", LogCursor(position=0), 60))
    database.write(lambda c: log_readers.release(c, "lease", "b"))
    assert take("a")


def test_old_entries_are_purged_and_numbers_only_grow(database):
    for kind in ("old", "older", "newest"):
        database.write(lambda c, kind=kind: append(c, kind))
    newest = database.read(events.last_id)
    long_ago = utcnow() - datetime.timedelta(days=100)
    database.write(lambda c: c.execute(update(Event.__table__).values(created_at=long_ago)))

    while database.write(lambda c: events.purge(c, utcnow() - datetime.timedelta(days=90), 2)):
        pass
    database.write(lambda c: append(c, "next"))

    assert database.read(events.last_id) > newest
    assert len(database.read(lambda c: events.unread(c, 0, (), 100))) == 2
