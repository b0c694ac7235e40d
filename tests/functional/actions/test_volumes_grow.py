"""A volume that the Block Storage service has extended is as large in the guests that have it."""

import pytest

from tests.functional.actions.history import history
from tests.functional.cloud import wait
from tests.functional.invariants import settle
from tests.functional.operation_set_ups import a_server_with_a_volume

pytestmark = pytest.mark.usefixtures("in_order")
GIB = 1024**3


@pytest.fixture
def host(cloud):
    return cloud.add_host()


@pytest.fixture
def admin(cloud):
    return cloud.client("admin", "project")


@pytest.fixture
def server_id(cloud, admin, host):
    cloud.add_network()
    return a_server_with_a_volume(admin)


@pytest.fixture
def volume_id(cloud, server_id):
    [volume_id] = cloud.cinder.of(server_id)
    cloud.cinder.volumes[volume_id]["size"] = 3
    return volume_id


def tell(client, server_id, volume_id, **changes):
    event = {"name": "volume-extended", "server_uuid": server_id, "tag": volume_id, **changes}
    answer = client.post("/os-server-external-events", {"events": [event]})
    assert answer.status_code in (200, 207), answer.text
    [told] = answer.json()["events"]
    return told["code"]


def seen(host, server_id):
    return host.guests[server_id].volume_sizes


def test_a_real_cinder_extends_a_volume_under_its_guest(make_cloud, real_cinder):
    cloud = make_cloud()
    cloud.stand_beside(cinder=real_cinder)
    host, admin = cloud.add_host(), cloud.client("admin", "project")
    cloud.add_network()
    server_id = a_server_with_a_volume(admin)
    [volume_id] = cloud.cinder.of(server_id)

    real_cinder.ask("POST", f"/volumes/{volume_id}/action", {"os-extend": {"new_size": 3}})
    wait(lambda: seen(host, server_id) == {volume_id: 3 * GIB}, "the guest sees the volume's new size")
    settle(cloud)

    assert history(cloud, server_id)[0] == ("extend_volume", "succeeded")
    assert real_cinder.volume(volume_id)["status"] == "in-use"


def test_the_size_is_what_the_block_storage_service_says(cloud, admin, host, server_id, volume_id):
    assert tell(admin, server_id, volume_id) == 200
    settle(cloud)

    assert seen(host, server_id) == {volume_id: 3 * GIB}
    assert history(cloud, server_id)[0] == ("extend_volume", "succeeded")
    assert admin.server(server_id)["status"] == "ACTIVE"


def test_a_server_that_is_busy_sees_it_when_it_is_not(cloud, admin, host, server_id, volume_id):
    with cloud.boundary.held():
        assert admin.act(server_id, "pause").status_code == 202
        assert tell(admin, server_id, volume_id) == 200
        assert seen(host, server_id) == {}
    wait(lambda: seen(host, server_id) == {volume_id: 3 * GIB}, "the guest sees the volume's new size")
    settle(cloud)

    assert history(cloud, server_id)[:2] == [("extend_volume", "succeeded"), ("pause", "succeeded")]
    assert admin.server(server_id)["status"] == "PAUSED"


def test_a_busy_server_that_is_deleted_waits_for_nothing(cloud, admin, host, server_id, volume_id):
    with cloud.boundary.held():
        assert admin.act(server_id, "pause").status_code == 202
        assert tell(admin, server_id, volume_id) == 200
        assert admin.delete(f"/servers/{server_id}").status_code == 204
    admin.wait_gone(server_id)
    settle(cloud)

    assert cloud.cinder.volumes[volume_id]["status"] == "available"
    assert ("extend_volume", "cancelled") in history(cloud, server_id)


def test_a_volume_that_is_being_extended_still_is_waited_for(make_cloud):
    cloud = make_cloud("[conductor]\nstep_pauses_s = 0.01\npoll_interval_s = 0.1\n")
    host, admin = cloud.add_host(), cloud.client("admin", "project")
    cloud.add_network()
    server_id = a_server_with_a_volume(admin)
    [volume_id] = cloud.cinder.of(server_id)
    volume = cloud.cinder.volumes[volume_id]
    volume |= {"status": "extending", "size": 3}

    assert tell(admin, server_id, volume_id) == 200
    volume["status"] = "in-use"
    settle(cloud)

    assert seen(host, server_id) == {volume_id: 3 * GIB}


def test_what_concerns_no_volume_of_the_server_changes_nothing(cloud, admin, host, server_id, volume_id):
    before = history(cloud, server_id)
    missing = "7a9b1f0e-0000-4000-8000-000000000000"

    assert tell(admin, server_id, missing) == 200
    assert tell(admin, missing, volume_id) == 404
    assert tell(admin, server_id, "") == 400
    settle(cloud)

    assert (seen(host, server_id), history(cloud, server_id)) == ({}, before)


def test_a_server_without_a_host_has_nothing_to_see(make_cloud):
    cloud = make_cloud("[DEFAULT]\nshelved_offload_time = 0\n")
    cloud.add_host()
    cloud.add_network()
    admin = cloud.client("admin", "project")
    server_id = a_server_with_a_volume(admin)
    [volume_id] = cloud.cinder.of(server_id)
    admin.act(server_id, "shelve")
    admin.wait(server_id, "SHELVED_OFFLOADED")

    assert tell(admin, server_id, volume_id) == 422


def test_users_tell_nothing_and_old_versions_do_not_know_the_event(cloud, user, server_id, volume_id):
    event = {"name": "volume-extended", "server_uuid": server_id, "tag": volume_id}

    assert user.post("/os-server-external-events", {"events": [event]}).status_code == 403
    old = cloud.client("admin", "project", version="2.50")
    assert old.post("/os-server-external-events", {"events": [event]}).status_code == 400
