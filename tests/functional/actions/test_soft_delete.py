"""Deleted servers that can be restored for a while."""

import pytest

from nova.structs.instance import PowerState


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
