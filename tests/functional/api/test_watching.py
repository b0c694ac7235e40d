"""Why a host was chosen, and what happens to servers, as users and operators read it."""

import json


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


def _events(text):
    """The events of a stream, without its comments."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in lines:
            found.append({**lines, "data": json.loads(lines["data"])})
    return found
