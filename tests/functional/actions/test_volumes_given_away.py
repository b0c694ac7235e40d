"""A volume that is given to another project after a request for it was accepted is that project's."""

import pytest

from tests.functional.cloud import wait
from tests.functional.invariants import settle

OWNER = "os-vol-tenant-attr:tenant_id"


@pytest.fixture(autouse=True)
def host(cloud):
    return cloud.add_host()


def test_a_volume_that_was_given_away_while_a_build_waited_is_not_attached(cloud):
    mine = cloud.client("mallory", "mallory")
    data = cloud.cinder.add(multiattach=True, **{OWNER: "mallory"})
    cloud.cinder.volumes_are = "creating"
    root = {"boot_index": 0, "source_type": "image", "destination_type": "volume", "volume_size": 1}
    root |= {"uuid": next(iter(cloud.glance.images))}
    other = {"boot_index": None, "source_type": "volume", "destination_type": "volume", "uuid": data}
    body = mine.wanted(block_device_mapping_v2=[root, other])
    del body["imageRef"]
    server_id = mine.post("/servers", {"server": body}).json()["server"]["id"]
    # The first volume is being made, and the second is free until then.
    wait(lambda: mine.server(server_id)["OS-EXT-STS:task_state"] == "block_device_mapping", "the build waits")

    cloud.cinder.volumes[data][OWNER] = "victim"
    for volume in cloud.cinder.volumes.values():
        volume["status"] = "available"
    mine.wait(server_id, "ERROR")
    settle(cloud)

    assert cloud.cinder.of(server_id) == []
    assert cloud.cinder.volumes[data]["status"] == "available"


@pytest.mark.parametrize("owner, is_attached", [("mallory", True), ("victim", False)])
def test_a_volume_that_is_anothers_by_the_time_it_is_reserved_is_not_attached(cloud, owner, is_attached):
    mine = cloud.client("mallory", "mallory")
    server_id = mine.create_server()["id"]
    data = cloud.cinder.add(**{OWNER: owner})

    answer = mine.post(f"/servers/{server_id}/os-volume_attachments", {"volumeAttachment": {"volumeId": data}})
    assert answer.status_code == 202
    settle(cloud)

    assert (cloud.cinder.of(server_id) == [data]) == is_attached
    assert (cloud.cinder.volumes[data]["status"] == "in-use") == is_attached
    assert (
        data in [one["id"] for one in mine.server(server_id)["os-extended-volumes:volumes_attached"]]
    ) == is_attached


@pytest.mark.parametrize("owner, is_there", [("mallory", False), ("victim", True)])
def test_a_volume_that_was_given_away_does_not_go_with_the_server_that_could_not_be_built(cloud, owner, is_there):
    mine = cloud.client("mallory", "mallory")
    data = cloud.cinder.add(**{OWNER: "mallory"})
    device = {"boot_index": None, "source_type": "volume", "destination_type": "volume", "uuid": data}
    device["delete_on_termination"] = True
    image = {"boot_index": 0, "source_type": "image", "destination_type": "local"}
    image |= {"uuid": next(iter(cloud.glance.images)), "delete_on_termination": True}
    cloud.hypervisor().fail("create", times=10)
    server_id = mine.create_server(block_device_mapping_v2=[image, device], wait_for="ERROR")["id"]
    assert cloud.cinder.volumes[data]["status"] == "available"

    cloud.cinder.volumes[data][OWNER] = owner
    mine.delete(f"/servers/{server_id}")
    mine.wait_gone(server_id)
    settle(cloud)

    assert (data in cloud.cinder.volumes) == is_there
