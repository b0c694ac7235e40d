"""The tables on each database: migrations make what the models declare, and sync may run again."""

import json
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from nova import errors
from nova.clock import utcnow
from nova.db import addresses, instances, migrations, operations, quotas
from nova.db.engine import Database
from nova.db.models import Base
from nova.structs.requests import ServerQuery

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent / "tools"))

from throwaway_databases import database as throwaway


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql"])
def url(request):
    with throwaway(request.param) as url:
        yield url


@pytest.fixture
def database(url):
    migrations.sync(url)
    opened = Database(url)
    yield opened
    opened.close()


def test_migrations_make_what_the_models_declare(url, database):
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)

    assert differences == []
    assert migrations.version(url) == migrations.newest()


def test_subnets_of_an_older_release_know_what_they_have_to_give():
    pools = [{"start": "10.20.0.1", "end": "10.20.0.4"}, {"start": "10.20.0.8", "end": "10.20.0.9"}]
    subnet = {"gateway_ip": "10.20.0.1", "allocation_pools": pools}
    common = {"project_id": "p", "name": "", "revision_number": 0}
    rows = {
        "networks": {"id": "n", **common, "shared": False, "is_external": False, "bridge": "br", "document": "{}"},
        "subnets": {"id": "s", **common, "network_id": "n", "document": json.dumps(subnet)},
        "ports": {
            "id": "p",
            **common,
            "network_id": "n",
            "mac_address": "m",
            "device_id": "",
            "device_owner": "",
            "host": "",
            "document": "{}",
        },
        "port_addresses": {"subnet_id": "s", "address": "10.20.0.3", "port_id": "p"},
    }
    with throwaway("sqlite") as url:
        migrations.sync(url, "0007")
        old = Database(url)
        with old.transaction() as connection:
            for name, values in rows.items():
                connection.execute(Base.metadata.tables[name].insert().values(**values))
        migrations.sync(url)
        given = []
        while (address := old.read(lambda c: addresses.lowest(c, "s", given))) is not None:
            given.append(address)
        old.close()

    assert given == ["10.20.0.2", "10.20.0.4", "10.20.0.8", "10.20.0.9"]


def test_sync_may_run_again(url, database):
    migrations.sync(url)

    assert migrations.version(url) == migrations.newest()


def test_the_quota_counter_never_passes_the_limit(database):
    def take(_):
        try:
            database.write(lambda c: quotas.take(c, "crowded", {"instances": 1}, {"instances": 7}))
        except errors.QuotaExceeded:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        taken = sum(pool.map(take, range(32)))

    assert taken == 7
    assert database.read(lambda c: quotas.usage(c, "crowded")) == {"instances": 7}


def test_one_lease_is_given_to_one_conductor(database):
    operation = str(uuid.uuid4())
    facts = {"name": "create", "project_id": "p", "user_id": "u", "request_id": "r", "document": "{}"}
    facts |= {"owner_project_id": "p", "step": "claim_host"}
    new = operations.NewOperation(uuid=operation, instance_uuid=str(uuid.uuid4()), deadline_at=utcnow(), **facts)
    assert database.write(lambda c: operations.add(c, new))

    with ThreadPoolExecutor(16) as pool:
        leases = list(
            pool.map(
                lambda n: database.write(lambda c: operations.lease(c, operation, f"conductor-{n}", 30)), range(16)
            )
        )

    assert len([one for one in leases if one is not None]) == 1


def test_an_empty_list_of_servers_is_a_list(database):
    everything = ServerQuery(name_pattern="^web", tags=("a",), not_tags_any=("b",), changes_since=None, marker=None)

    assert database.read(lambda c: instances.find(c, everything)) == []
