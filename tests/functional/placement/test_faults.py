"""What clients are told when the database goes away, and that all is well when it is back."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from nova.placement import sync_database
from tests.functional.placement.cloud import Placement, configure
from tests.functional.placement.conftest import MariaDB, PostgreSQL
from tests.functional.tcp_proxy import TcpProxy

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


@pytest.mark.parametrize("word", ["UPDATE placement_clock", "COMMIT"])
def test_a_claim_is_made_once_or_told_to_be_unknown(server: MariaDB | PostgreSQL, tmp_path: Path, word: str) -> None:
    """The connection breaks in the middle of the claim's transaction, or between its COMMIT and the answer."""
    url = make_url(server.new_database())
    sync_database(configure(tmp_path, url.render_as_string()))
    proxy = TcpProxy(url.port or 0)
    placement = Placement(tmp_path, url.set(port=proxy.port).render_as_string())
    host = placement.add_host("host", VCPU=8)
    consumer = str(uuid.uuid4())
    proxy.break_at(word, is_word_forwarded=True)

    claimed = placement.claim(host, consumer, VCPU=2)

    if word == "COMMIT":
        assert claimed.status == 503
        assert "unknown" in claimed.error["detail"]
    else:
        assert claimed.status == 204
    assert placement.usage(host) == {"VCPU": 2}
    assert placement.get(f"/allocations/{consumer}")["consumer_generation"] == 1
    assert placement.claim(host, VCPU=1).status == 204
    proxy.close()
