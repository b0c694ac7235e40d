"""Why a host was chosen, and what happens to servers, as users and operators read it."""

import json
import sys
import uuid
from pathlib import Path

import pytest

from nova.db import events, migrations

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))

from throwaway_databases import database as throwaway


def test_an_owner_reads_counts_and_an_operator_reads_hosts(cloud):
    cloud.add_host("host-1")
    server = cloud.client().create_server()

    owners = cloud.client().get(f"/servers/{server['id']}/scheduling").json()["decisions"]
    operators = cloud.client("admin", "admin").get(f"/servers/{server['id']}/scheduling").json()["decisions"]

    assert owners[0]["found"] == 1
    assert "host" not in json.dumps([list(one) for one in owners])
    assert operators[0]["host"].endswith("host-1")


def test_a_dry_run_says_what_is_missing_and_keeps_nothing(cloud):
    cloud.add_host("host-1")
    user = cloud.client()
    flavor = {"name": "giant", "id": "giant", "ram": 1 << 30, "vcpus": 1, "disk": 1}
    cloud.client("admin", "admin").post("/flavors", {"flavor": flavor})

    fits = user.post("/scheduling/explain", {"server": user.wanted()})
    giant = user.post("/scheduling/explain", {"server": user.wanted(flavor="giant")})

    assert fits.json()["decision"]["reason"] is None
    assert giant.json()["decision"]["reason"]
    assert user.get("/servers").json()["servers"] == []


def test_a_watcher_hears_of_its_own_servers_alone_and_can_resume(cloud):
    cloud.add_host("host-1")
    user, stranger = cloud.client(), cloud.client("stranger", "elsewhere")
    server = user.create_server()

    heard = _events(user.get("/servers/events?after=0&timeout=1").text)
    strangers = _events(stranger.get("/servers/events?after=0&timeout=1").text)
    rest = _events(user.get("/servers/events?timeout=1", headers={"Last-Event-ID": heard[-1]["id"]}).text)

    assert {one["data"]["server_id"] for one in heard} == {server["id"]}
    assert heard[0]["event"] == "instance.create.start"
    assert strangers == []
    assert rest == []


@pytest.fixture(params=["mariadb", "postgresql"])
def busy_cloud(request, make_cloud):
    """On a database in which one transaction does not wait for another."""
    with throwaway(request.param) as url:
        migrations.sync(url)
        yield make_cloud(f"[database]\nconnection = {url}\n")


def test_a_watcher_who_resumes_hears_what_was_committed_while_it_was_away(busy_cloud):
    user = busy_cloud.client()
    server = str(uuid.uuid4())

    def change(connection, kind):
        events.append(connection, kind, "project", {}, server)

    with busy_cloud.db.transaction() as slow:
        change(slow, "slow")
        busy_cloud.db.write(lambda c: change(c, "quick"))
        heard = _events(user.get("/servers/events?after=0&timeout=0").text)
    resumed = _events(user.get("/servers/events?timeout=0", headers={"Last-Event-ID": heard[-1]["id"]}).text)

    assert [event["event"] for event in heard] == ["quick"]
    assert [event["event"] for event in resumed] == ["slow", "quick"]
    assert resumed[1]["data"]["number"] == heard[0]["data"]["number"]


def _events(text):
    """The events of a stream, without its comments."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in lines:
            found.append({**lines, "data": json.loads(lines["data"])})
    return found
