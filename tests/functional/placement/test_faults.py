"""What clients are told when the database goes away, and that all is well when it is back."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova.placement import sync_database
from tests.functional.placement.cloud import Placement, configure
from tests.functional.placement.conftest import MariaDB, PostgreSQL

SERVERS = {"mariadb": MariaDB, "postgresql": PostgreSQL}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[MariaDB | PostgreSQL]:
    started = SERVERS[request.param]()
    yield started
    started.stop()


def test_restart_of_the_database_costs_requests_but_no_claims(server: MariaDB | PostgreSQL, tmp_path: Path) -> None:
    url = server.new_database()
    sync_database(configure(tmp_path, url))
    placement = Placement(tmp_path, url)
    host = placement.add_host("host", VCPU=8)
    placement.claim(host, VCPU=2)

    server.pause()
    refused = [placement.call("GET", f"/resource_providers/{host}"), placement.claim(host, VCPU=1)]
    server.resume()
    consumer = str(uuid.uuid4())
    claimed = placement.claim(host, consumer, VCPU=1)

    assert [answer.status for answer in refused] == [503, 503]
    assert "database" in refused[0].error["detail"]
    assert claimed.status == 204
    assert placement.usage(host) == {"VCPU": 3}
    assert placement.get(f"/allocations/{consumer}")["consumer_generation"] == 1
