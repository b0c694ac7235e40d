"""A guest keeps a volume, or a port, whose attachment has failed: its server is free, what it has is nobody else's."""

import pytest

from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle
from tests.functional.operation_set_ups import an_active_server, attaches_a_volume, attaches_an_interface

SETTINGS = "\n[conductor]\npoll_interval_s = 0.1\nstep_pauses_s = 0.01\nleft_pauses_s = 36000\n"


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud(SETTINGS, ("host-1",))
    yield cloud
    settle(cloud)
    assert leftovers(cloud) == []


@pytest.fixture
def user(cloud):
    return cloud.client("admin", "project")


@pytest.fixture
def hypervisor(cloud):
    return cloud.hypervisor("host-1")


@pytest.fixture
def half(cloud, user, hypervisor):
    """Attach something that the guest neither takes nor gives back; the server's id."""

    def make(attach, what):
        server_id = an_active_server(user)
        hypervisor.fail(f"attach_{what}")
        hypervisor.fail(f"detach_{what}", times=1000)
        attach(user, server_id)
        wait(lambda: user.server(server_id)["OS-EXT-STS:task_state"] is None, "the server is free")
        settle(cloud)
        return server_id

    return make


def volumes(user, server_id):
    return [
        one["volumeId"] for one in user.get(f"/servers/{server_id}/os-volume_attachments").json()["volumeAttachments"]
    ]


def ports(user, server_id):
    return [one["port_id"] for one in user.get(f"/servers/{server_id}/os-interface").json()["interfaceAttachments"]]


def test_a_server_whose_guest_keeps_a_volume_is_free_and_the_volume_is_nobody_elses(cloud, user, half):
    server_id = half(attaches_a_volume, "volume")

    [volume] = volumes(user, server_id)
    other = an_active_server(user)
    body = {"volumeAttachment": {"volumeId": volume}}

    assert cloud.cinder.volumes[volume]["status"] == "in-use"
    assert user.post(f"/servers/{other}/os-volume_attachments", body).status_code == 400
    assert user.post(f"/servers/{server_id}/os-volume_attachments", body).status_code == 400
    assert user.act(server_id, "os-stop").status_code == 202
    assert user.wait(server_id, "SHUTOFF")
    action = next(
        one
        for one in user.get(f"/servers/{server_id}/os-instance-actions").json()["instanceActions"]
        if one["action"] == "attach_volume"
    )
    assert "detach it later" in action["message"]


def test_a_volume_that_a_guest_kept_is_detached_when_it_lets_go(cloud, user, half, hypervisor):
    server_id = half(attaches_a_volume, "volume")
    [volume] = volumes(user, server_id)

    assert user.delete(f"/servers/{server_id}/os-volume_attachments/{volume}").status_code == 202
    settle(cloud)
    assert volumes(user, server_id) == [volume]
    assert cloud.cinder.volumes[volume]["status"] == "in-use"
    hypervisor.mend()
    assert user.delete(f"/servers/{server_id}/os-volume_attachments/{volume}").status_code == 202
    settle(cloud)

    assert volumes(user, server_id) == []
    assert cloud.cinder.volumes[volume]["status"] == "available"
    assert user.server(server_id)["status"] == "ACTIVE"


def test_a_port_that_a_guest_kept_is_detached_when_it_lets_go(cloud, user, half, hypervisor):
    server_id = half(attaches_an_interface, "vif")

    assert len(ports(user, server_id)) == 2
    assert user.act(server_id, "os-stop").status_code == 202
    user.wait(server_id, "SHUTOFF")
    hypervisor.mend()
    kept = ports(user, server_id)[-1]
    assert user.delete(f"/servers/{server_id}/os-interface/{kept}").status_code == 202
    settle(cloud)

    assert len(ports(user, server_id)) == 1


@pytest.mark.parametrize(
    "attach, what", [(attaches_a_volume, "volume"), (attaches_an_interface, "vif")], ids=["volume", "port"]
)
def test_a_delete_takes_what_a_guest_kept_with_it(cloud, user, half, attach, what):
    server_id = half(attach, what)

    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)
    settle(cloud)

    assert "in-use" not in [one["status"] for one in cloud.cinder.volumes.values()]
    assert cloud.cinder.attachments == {}
    left = user.get("/v2.0/ports", url="http://network").json()["ports"]
    assert [one["id"] for one in left if one["device_id"] == server_id] == []


def test_a_server_with_a_volume_that_its_guest_kept_moves_with_it(make_cloud):
    cloud = make_cloud(SETTINGS, ("host-1", "host-2"))
    user = cloud.client("admin", "project")
    server_id = an_active_server(user)
    for name in cloud.hosts:
        cloud.hypervisor(name).fail("attach_volume")
        cloud.hypervisor(name).fail("detach_volume", times=1000)
    attaches_a_volume(user, server_id)
    settle(cloud)
    cloud.calm()
    [volume] = volumes(user, server_id)

    assert user.act(server_id, "migrate").status_code == 202
    user.wait(server_id, "VERIFY_RESIZE")
    assert user.act(server_id, "confirmResize").status_code == 204
    settle(cloud)
    assert cloud.cinder.volumes[volume]["status"] == "in-use"
    assert user.delete(f"/servers/{server_id}/os-volume_attachments/{volume}").status_code == 202
    settle(cloud)

    assert cloud.cinder.volumes[volume]["status"] == "available"
    assert leftovers(cloud) == []
