"""Guests do things nobody asked the API for; the records follow, and nothing is left over."""

import pytest

from nova import errors
from nova.structs.instance import PowerState
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle


def test_a_guest_that_shuts_itself_down_becomes_a_stopped_server(cloud):
    host = cloud.add_host()
    user = cloud.client()
    server = user.create_server()

    host.guests[server["id"]].power_state = PowerState.SHUTDOWN

    stopped = user.wait(server["id"], "SHUTOFF")
    assert stopped["OS-EXT-STS:power_state"] == 4
    actions = user.get(f"/servers/{server['id']}/os-instance-actions").json()["instanceActions"]
    assert [one["action"] for one in actions] == ["stop", "create"]


def test_a_report_older_than_the_guests_last_start_does_not_stop_its_server(cloud):
    host = cloud.add_host()
    user = cloud.client()
    server = user.create_server()
    calls = list(host.calls)

    cloud.conductor_calls.report_power_states(host.name, {server["id"]: int(PowerState.SHUTDOWN)})

    settle(cloud)
    assert user.server(server["id"])["status"] == "ACTIVE"
    assert user.server(server["id"])["OS-EXT-STS:power_state"] == 1
    assert host.calls == calls


def test_a_guest_that_is_paused_behind_our_back_shows_it(cloud):
    host = cloud.add_host()
    user = cloud.client()
    server = user.create_server()

    host.guests[server["id"]].power_state = PowerState.PAUSED

    wait(lambda: user.server(server["id"])["OS-EXT-STS:power_state"] == 3, "the power state is known")
    assert user.server(server["id"])["status"] == "ACTIVE"


def test_a_host_that_was_away_removes_what_was_deleted_meanwhile(cloud):
    host = cloud.add_host()
    user, admin = cloud.client(), cloud.client("admin", "admin")
    server = user.create_server()
    cloud.stop_host("host-1")
    service = admin.get("/os-services?binary=nova-compute").json()["services"][0]
    assert admin.put(f"/os-services/{service['id']}", {"forced_down": True}).status_code == 200

    assert user.delete(f"/servers/{server['id']}").status_code == 204
    user.wait_gone(server["id"])
    assert list(host.guests) == [server["id"]]

    admin.put(f"/os-services/{service['id']}", {"forced_down": False})
    cloud.start_host("host-1")

    wait(lambda: host.guests == {}, "the guest is gone")
    settle(cloud)
    assert leftovers(cloud) == []


def test_guests_start_again_with_their_host_where_the_operator_wants_it(make_cloud):
    cloud = make_cloud("[DEFAULT]\nresume_guests_state_on_host_boot = true\n")
    host = cloud.add_host()
    user = cloud.client()
    server = user.create_server()
    cloud.stop_host("host-1")
    host.crash()

    cloud.start_host("host-1")

    assert host.guests[server["id"]].power_state is PowerState.RUNNING
    assert user.server(server["id"])["status"] == "ACTIVE"


@pytest.mark.parametrize("error", [errors.GuestFailed(reason="its disk is broken"), errors.ImageNotFound(image_id="x")])
def test_a_guest_that_cannot_start_keeps_neither_its_host_nor_the_others(make_cloud, error):
    cloud = make_cloud("[DEFAULT]\nresume_guests_state_on_host_boot = true\n")
    host = cloud.add_host()
    user = cloud.client()
    servers = [user.create_server()["id"] for _ in range(3)]
    cloud.stop_host("host-1")
    host.crash()
    host.fail("set_power", error)

    cloud.start_host("host-1")

    wait(
        lambda: sorted(user.server(one)["status"] for one in servers) == ["ACTIVE", "ACTIVE", "SHUTOFF"],
        "the record says which of them runs",
    )
    user.create_server()


def test_a_guest_that_an_operation_has_stopped_does_not_start_with_its_host(make_cloud):
    cloud = make_cloud("[DEFAULT]\nresume_guests_state_on_host_boot = true\nshelved_offload_time = 0\n")
    host = cloud.add_host()
    user = cloud.client()
    server_id = user.create_server()["id"]
    cloud.write(server_id)
    host.hold("snapshot")
    user.act(server_id, "shelve")
    wait(lambda: ("snapshot", server_id) in host.calls, "its disk is being copied")
    assert host.guests[server_id].power_state is PowerState.SHUTDOWN

    [watch] = cloud.hosts["host-1"].agent._watches.values()
    watch.resume(lambda uuid, function: function())

    assert host.guests[server_id].power_state is PowerState.SHUTDOWN
    host.release("snapshot")
    user.wait(server_id, "SHELVED_OFFLOADED")


def test_a_host_that_was_not_heard_gives_up_what_is_not_its_own_any_more(make_cloud, monkeypatch):
    """Its nova-compute ran all the while: no start of its own tells it to look."""
    cloud = make_cloud("[DEFAULT]\nrunning_deleted_instance_poll_interval = 0\n")
    host = cloud.add_host()
    user, admin = cloud.client(), cloud.client("admin", "admin")
    server_id = user.create_server()["id"]
    [service] = [one for one in admin.get("/os-services").json()["services"] if one["binary"] == "nova-compute"]
    admin.put(f"/os-services/{service['id']}", {"forced_down": True})
    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)
    admin.put(f"/os-services/{service['id']}", {"forced_down": False})
    cloud.beat()
    assert list(host.guests) == [server_id]

    agent = cloud.hosts["host-1"].agent
    monkeypatch.setattr(agent, "_heard_at", agent._heard_at - cloud.conf.service_down_time)
    cloud.beat()

    wait(lambda: host.guests == {}, "the guest is gone")
