"""Servers that wait for their time: found without reading those whose time has not come, on each database."""

import datetime
import sys
import uuid
from pathlib import Path

import pytest
from sqlalchemy import MetaData, insert, select, text

from nova.clock import utcnow
from nova.db import instances, migrations
from nova.db.engine import Database
from nova.structs.flavor import Flavor
from nova.structs.instance import Instance, Properties, ResizedFrom, VmState

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent / "tools"))

from throwaway_databases import database as throwaway

HOUR = datetime.timedelta(hours=1)
FLAVOR = Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=1)


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def url(request):
    with throwaway(request.param) as url:
        yield url


@pytest.fixture
def database(url):
    migrations.sync(url)
    opened = Database(url)
    yield opened
    opened.close()


def server(**fields):
    values = {"project_id": "p", "user_id": "u", "name": "s", "hostname": "s", "flavor": FLAVOR}
    return Instance(
        id=0,
        uuid=str(uuid.uuid4()),
        created_at=utcnow(),
        vm_state=VmState.ACTIVE,
        reservation_id="r",
        **values,
        **fields,
    )


def add(database, state, since, count=1, **fields):
    """Servers that have been in a state for some time (None: nobody knows since when); their uuids."""
    write = text("UPDATE instances SET state_since = :since WHERE uuid = :uuid")
    added = []
    for _ in range(count):
        one = database.write(lambda c: instances.add(c, server(**fields)))
        database.write(lambda c, one=one: instances.change(c, one.uuid, vm_state=state))
        when = {"since": None if since is None else utcnow() - since, "uuid": one.uuid}
        database.write(lambda c, when=when: c.execute(write, when))
        added.append(one.uuid)
    return added


def waiting(database, before=HOUR, limit=100):
    def read(connection):
        return instances.waiting_since(connection, VmState.SHELVED, utcnow() - before, 0, limit)

    return [one.uuid for one in database.read(read)]


def test_only_idle_servers_whose_time_may_have_come_are_read(database):
    due = add(database, VmState.SHELVED, 2 * HOUR, 3)
    unknown = add(database, VmState.SHELVED, None)
    add(database, VmState.SHELVED, HOUR / 2, 5)
    add(database, VmState.ACTIVE, 2 * HOUR)
    add(database, VmState.SHELVED, 2 * HOUR, task_state="shelving_offloading")
    add(database, VmState.SHELVED, 2 * HOUR, deleted_at=utcnow())

    assert waiting(database) == [*due, *unknown]
    assert waiting(database, limit=2) == due[:2]


def test_the_time_is_that_of_the_last_change_of_state(database):
    [shelved] = add(database, VmState.SHELVED, 2 * HOUR)

    database.write(lambda c: instances.change(c, shelved, vm_state=VmState.SHELVED, power_state=0))
    assert waiting(database) == [shelved]

    database.write(lambda c: instances.change(c, shelved, vm_state=VmState.ACTIVE))
    database.write(lambda c: instances.change(c, shelved, vm_state=VmState.SHELVED))
    assert waiting(database) == []


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_work_does_not_grow_with_the_servers_whose_time_has_not_come(database):
    add(database, VmState.SHELVED, 2 * HOUR, 3)
    add(database, VmState.SHELVED, HOUR / 2, 10)
    few = instructions(database)

    add(database, VmState.SHELVED, HOUR / 2, 400)

    assert instructions(database) <= 1.2 * few


def instructions(database):
    """How many instructions of SQLite's machine one look takes."""
    count = []

    def look(connection):
        raw = connection.connection.dbapi_connection
        raw.set_progress_handler(lambda: count.append(1), 1)
        try:
            return instances.waiting_since(connection, VmState.SHELVED, utcnow() - HOUR, 0, 100)
        finally:
            raw.set_progress_handler(None, 1)

    assert len(database.read(look)) == 3
    return len(count)


def test_servers_that_waited_before_the_upgrade_keep_their_time(url):
    migrations.sync(url, "0004")
    then = datetime.datetime(2026, 1, 2, 3, 4, 5, 678)
    resized = ResizedFrom(
        migration_id="m", flavor=FLAVOR, host="h", node="h", zone=None, was_running=True, resized_at=then
    )
    servers = {
        "resized": server(properties=Properties(resized_from=resized)),
        "shelved": server(system_metadata={"shelved_at": then.isoformat()}),
        "soft-delete": server(system_metadata={"soft_deleted_at": then.isoformat()}),
        "active": server(),
    }
    database = Database(url)
    for state, one in servers.items():
        database.write(lambda c, state=state, one=one: add_as_before(c, one, state))

    migrations.sync(url)

    table = instances.Table.__table__
    found = database.read(lambda c: c.execute(select(table.c.vm_state, table.c.state_since)).all())
    database.close()
    assert dict(map(tuple, found)) == {"resized": then, "shelved": then, "soft-delete": then, "active": None}


def add_as_before(connection, one, state):
    """As a release wrote it that knew no state_since."""
    names = [name for name in one.__struct_fields__ if name not in ("id", "host_status", "moves_from")]
    values = instances._to_columns({name: getattr(one, name) for name in names}) | {"vm_state": state}
    metadata = MetaData()
    metadata.reflect(connection, only=["instances"])
    connection.execute(insert(metadata.tables["instances"]).values(**values))
