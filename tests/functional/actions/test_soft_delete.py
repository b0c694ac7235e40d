"""Deleted servers that can be restored for a while."""

import contextlib
import datetime

import pytest

from nova.clock import utcnow
from nova.conductor.acceptance import told
from nova.conductor.reconcilers import waiting
from nova.conductor.workflows.soft_delete import SINCE
from nova.db import instances
from nova.structs.instance import PowerState, VmState
from tests.functional.invariants import leftovers, settle


@pytest.fixture
def cloud(make_cloud):
    return make_cloud("[DEFAULT]\nreclaim_instance_interval = 3600\n")


def test_a_deleted_server_is_restored(cloud):
    host = cloud.add_host()
    user = cloud.client()
    server_id = user.create_server()["id"]

    user.delete(f"/servers/{server_id}")
    user.wait(server_id, "SOFT_DELETED")
    assert host.guests[server_id].power_state == PowerState.SHUTDOWN
    assert user.act(server_id, "restore").status_code == 202

    assert user.wait(server_id, "ACTIVE")["OS-EXT-STS:power_state"] == PowerState.RUNNING


def test_a_deleted_server_is_gone_for_good_when_that_is_asked_for(cloud):
    host = cloud.add_host()
    user = cloud.client()
    server_id = user.create_server()["id"]
    user.delete(f"/servers/{server_id}")
    user.wait(server_id, "SOFT_DELETED")

    assert user.act(server_id, "forceDelete").status_code == 202
    user.wait_gone(server_id)

    assert (host.guests, cloud.allocations(server_id)) == ({}, {})


def test_nobody_restores_it_and_it_goes_by_itself(make_cloud):
    cloud = make_cloud("[DEFAULT]\nreclaim_instance_interval = 1\nservice_down_time = 4\n")
    host = cloud.add_host()
    user = cloud.client()
    server_id = user.create_server()["id"]

    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)

    assert host.guests == {}


@pytest.mark.parametrize("is_under_way", [True, False])
def test_one_that_its_user_restores_just_in_time_stays(cloud, monkeypatch, is_under_way):
    cloud.add_host()
    user = cloud.client()
    server_id = user.create_server()["id"]
    cloud.write(server_id)
    user.delete(f"/servers/{server_id}")
    user.wait(server_id, "SOFT_DELETED")
    let_it_have_waited(cloud, server_id)
    begin = told.begin

    def after_its_user(*what):
        with cloud.boundary.held() if is_under_way else contextlib.nullcontext():
            assert user.act(server_id, "restore").status_code == 202
            if not is_under_way:
                user.wait(server_id, "ACTIVE")
            begin(*what)

    # Between reading whose time is over and asking for it.
    monkeypatch.setattr(told, "begin", after_its_user)
    waiting.reconcile(cloud.conductors[0].core)

    user.wait(server_id, "ACTIVE")
    settle(cloud)
    assert user.server(server_id)["status"] == "ACTIVE"
    assert leftovers(cloud) == []


def let_it_have_waited(cloud, server_id):
    long_ago = utcnow() - datetime.timedelta(days=1)

    def work(connection):
        instances.change(connection, server_id, system_metadata={SINCE: long_ago.isoformat()})
        instances.set_state_since(connection, server_id, VmState.SOFT_DELETED, long_ago)

    cloud.db.write(work)


def deletes_at(cloud, user, server_id, operation, step):
    """The server is asked to be deleted while the last step of an operation is done, which cannot be undone."""
    cloud.boundary.call_at(operation, step, "done", lambda: user.delete(f"/servers/{server_id}"))


@pytest.fixture
def moving_cloud(make_cloud):
    cloud = make_cloud("[DEFAULT]\nreclaim_instance_interval = 3600\nshelved_offload_time = 0\n")
    for name in ("host-1", "host-2"):
        cloud.add_host(name)
    yield cloud
    settle(cloud)
    assert leftovers(cloud) == []


def test_a_server_that_was_offloaded_when_it_was_to_be_deleted_stays_as_it_is(moving_cloud):
    cloud, user = moving_cloud, moving_cloud.client("admin", "project")
    server_id = user.create_server()["id"]
    cloud.write(server_id, "first")
    deletes_at(cloud, user, server_id, "shelve", "release_allocations")

    assert user.act(server_id, "shelve").status_code == 202
    settle(cloud)

    assert user.server(server_id)["status"] == "SHELVED_OFFLOADED"
    actions = user.get(f"/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    assert "shelved_offloaded" in next(one["message"] for one in actions if one["action"] == "softDelete")
    assert user.act(server_id, "unshelve").status_code == 202
    user.wait(server_id, "ACTIVE")
    assert leftovers(cloud) == []


def test_a_server_that_was_resized_when_it_was_to_be_deleted_stays_as_it_is(moving_cloud):
    cloud, user = moving_cloud, moving_cloud.client("admin", "project")
    server_id = user.create_server()["id"]
    deletes_at(cloud, user, server_id, "resize", "disconnect_source")

    assert user.act(server_id, "resize", {"flavorRef": "m1.small"}).status_code == 202
    settle(cloud)

    assert user.server(server_id)["status"] == "VERIFY_RESIZE"
    assert cloud.guests()[server_id].power_state is PowerState.RUNNING
    assert user.act(server_id, "revertResize").status_code == 202
    user.wait(server_id, "ACTIVE")


def test_a_server_is_gone_at_once_when_that_is_asked_for_after_a_delete_that_waits(moving_cloud):
    cloud, user = moving_cloud, moving_cloud.client("admin", "project")
    server_id = user.create_server()["id"]
    host = next(cloud.hypervisor(name) for name in cloud.hosts if server_id in cloud.hypervisor(name).guests)
    host.hold("set_power")
    assert user.act(server_id, "shelve").status_code == 202

    assert user.delete(f"/servers/{server_id}").status_code == 204
    assert user.act(server_id, "forceDelete").status_code == 202
    host.release("set_power")

    user.wait_gone(server_id)


def test_nothing_comes_after_a_delete_at_once(moving_cloud):
    cloud, user = moving_cloud, moving_cloud.client("admin", "project")
    server_id = user.create_server()["id"]
    cloud.boundary.call_at("forceDelete", "destroy_guest", "ordered", lambda: user.delete(f"/servers/{server_id}"))

    assert user.act(server_id, "forceDelete").status_code == 202

    user.wait_gone(server_id)


@pytest.mark.parametrize("status", ["SHELVED_OFFLOADED", "VERIFY_RESIZE"])
def test_what_an_earlier_release_has_deleted_is_restored_as_what_it_was(moving_cloud, status):
    cloud, user = moving_cloud, moving_cloud.client("admin", "project")
    server_id = user.create_server()["id"]
    cloud.write(server_id, "first")
    user.act(server_id, *(("shelve",) if status == "SHELVED_OFFLOADED" else ("resize", {"flavorRef": "m1.small"})))
    user.wait(server_id, status)
    cloud.db.write(lambda c: instances.change(c, server_id, vm_state=VmState.SOFT_DELETED))

    assert user.act(server_id, "restore").status_code == 202

    user.wait(server_id, status)
    assert leftovers(cloud) == []


def test_a_soft_delete_that_is_undone_leaves_the_guest_as_it_was(moving_cloud):
    """It had to wait for another operation, which it overtook."""
    cloud, user = moving_cloud, moving_cloud.client("admin", "project")
    server_id = user.create_server()["id"]
    host = next(cloud.hypervisor(name) for name in cloud.hosts if server_id in cloud.hypervisor(name).guests)
    host.hold("reboot")
    user.act(server_id, "reboot", {"type": "SOFT"})
    assert user.delete(f"/servers/{server_id}").status_code == 204
    host.fail("set_power")

    host.release("reboot")
    settle(cloud)

    assert user.server(server_id)["status"] == "ACTIVE"
    assert cloud.guests()[server_id].power_state is PowerState.RUNNING
