"""A host that is to have no servers, before it is mended."""

import threading

import pytest

from nova import errors
from nova.cmd.manage import drain
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle


@pytest.fixture
def source(cloud):
    """The full name of the host that has all servers; there are two others."""
    cloud.add_host("source")
    yield cloud.hypervisor("source").name


def moved(cloud, user, server_id):
    return user.server(server_id)["OS-EXT-SRV-ATTR:host"] != cloud.hypervisor("source").name


def test_a_host_is_drained_of_what_can_move_and_what_stays_is_named(cloud, operator, source):
    user = cloud.client("admin", "project")
    running, paused_, off, rescued = (user.create_server()["id"] for _ in range(4))
    user.act(paused_, "pause")
    user.act(off, "os-stop")
    user.act(rescued, "rescue")
    for server_id, status in ((paused_, "PAUSED"), (off, "SHUTOFF"), (rescued, "RESCUE")):
        user.wait(server_id, status)
    cloud.add_host("other-1")
    cloud.add_host("other-2")

    status, said = operator("host", "drain", source)

    assert status == 3
    assert f"{rescued}, -: stays: it is rescued" in said
    [service] = user.get(f"/os-services?binary=nova-compute&host={source}").json()["services"]
    assert (service["status"], service["disabled_reason"]) == ("disabled", "drained by nova-manage")
    assert [moved(cloud, user, one) for one in (running, paused_, off, rescued)] == [True, True, True, False]
    assert [user.server(one)["status"] for one in (running, paused_, off)] == ["ACTIVE", "PAUSED", "SHUTOFF"]
    assert cloud.hypervisor("source").shelf.names() == [rescued]
    user.act(rescued, "unrescue")
    user.wait(rescued, "ACTIVE")
    assert operator("host", "drain", source, "--to", cloud.hypervisor("other-2").name)[0] == 0
    assert user.server(rescued)["OS-EXT-SRV-ATTR:host"] == cloud.hypervisor("other-2").name
    settle(cloud)
    assert leftovers(cloud) == []


def test_a_drain_stops_servers_only_when_it_may(cloud, operator, source):
    user = cloud.client("admin", "project")
    server_id = user.create_server()["id"]
    cloud.add_host("other-1")
    cloud.hypervisor("source").fail("migrate", times=1000)

    status, said = operator("host", "drain", source)
    assert (status, moved(cloud, user, server_id)) == (3, False)
    assert f"{server_id}, live-migration: stays: " in said
    assert user.wait(server_id, "ACTIVE")["status"] == "ACTIVE"
    status, said = operator("host", "drain", source, "--cold")

    assert (status, moved(cloud, user, server_id)) == (0, True)
    assert "migrate, as live-migration failed" in said
    assert user.server(server_id)["status"] == "ACTIVE"


def test_a_drain_that_was_broken_off_is_gone_on_with(cloud, operator, source):
    """It was ended between a cold migration and its confirmation, and while another server moved."""
    user = cloud.client("admin", "project")
    off, running = user.create_server()["id"], user.create_server()["id"]
    user.act(off, "os-stop")
    user.wait(off, "SHUTOFF")
    cloud.add_host("other-1")
    work = drain.Drain(cloud.conductor_calls, source, at_once=1)
    work.conductor = BreaksOff(cloud.conductor_calls)
    with pytest.raises(KeyboardInterrupt):
        list(work.run())
    user.wait(off, "VERIFY_RESIZE")
    cloud.hypervisor("source").hold("migrate")
    user.act(running, "os-migrateLive", {"host": None, "block_migration": "auto"})
    wait(lambda: user.server(running)["OS-EXT-STS:task_state"] == "migrating", "it is on its way")

    threading.Timer(1, cloud.hypervisor("source").release, ["migrate"]).start()
    status, said = operator("host", "drain", source)

    assert status == 0, said
    assert [user.server(one)["status"] for one in (off, running)] == ["SHUTOFF", "ACTIVE"]
    assert cloud.hypervisor("source").shelf.names() == []


class BreaksOff:
    """A conductor whose asker is interrupted when it asks what became of a migration."""

    def __init__(self, conductor):
        self._conductor = conductor

    def __getattr__(self, name):
        return getattr(self._conductor, name)

    def outcome(self, *arguments):
        raise KeyboardInterrupt


@pytest.mark.parametrize("words", [("nobody",), ("source", "--to", "nobody")])
def test_no_host_is_disabled_for_a_drain_that_cannot_be(cloud, operator, source, words):
    user = cloud.client("admin", "project")

    with pytest.raises(errors.HostNotFound):
        operator("host", "drain", *(source if word == "source" else word for word in words))

    assert {one["status"] for one in user.get("/os-services?binary=nova-compute").json()["services"]} == {"enabled"}
