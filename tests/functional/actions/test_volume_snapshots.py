"""Snapshots that the Block Storage service has made of attached volumes by their host."""

import json

import pytest

from tests.functional.actions.history import history
from tests.functional.invariants import settle

pytestmark = pytest.mark.usefixtures("in_order")

PATH = "/os-assisted-volume-snapshots"


@pytest.fixture
def host(cloud):
    return cloud.add_host()


@pytest.fixture
def service(cloud):
    """The Block Storage service."""
    return cloud.client("cinder", "service", roles=["service"])


@pytest.fixture
def attached(cloud, user, host):
    """A server, and the volume it has."""
    server_id, volume_id = user.create_server()["id"], cloud.cinder.add()
    user.post(f"/servers/{server_id}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume_id}})
    settle(cloud)
    return server_id, volume_id


def snapshot(client, volume_id, snapshot_id=None, **info):
    info = {"snapshot_id": snapshot_id or "a", "type": "qcow2", "new_file": f"volume.{snapshot_id}", **info}
    answer = client.post(PATH, {"snapshot": {"volume_id": volume_id, "create_info": info}})
    settle(client.cloud)
    return answer


def merge(client, volume_id, snapshot_id, **files):
    info = json.dumps({"volume_id": volume_id, "type": "qcow2", **files})
    answer = client.delete(f"{PATH}/{snapshot_id}", params={"delete_info": info})
    settle(client.cloud)
    return answer


def file_of(user, cloud, server_id):
    """Which file of its volume a server has, by its record."""
    [device] = cloud.conductors[0].core.step_context.instance(server_id).block_devices
    data = device.connection_info["data"]
    return data["name"], data.get("format", "raw")


def told(cloud, snapshot_id):
    found = cloud.cinder.snapshots[snapshot_id]
    return found["status"], found.get("progress")


def test_a_guest_goes_on_with_the_new_file_and_back(cloud, user, service, host, attached):
    server_id, volume_id = attached
    snapshot_id = cloud.cinder.add_snapshot(volume_id)

    answer = snapshot(service, volume_id, snapshot_id, id=snapshot_id)

    assert (answer.status_code, answer.json()) == (200, {"snapshot": {"id": snapshot_id, "volumeId": volume_id}})
    assert told(cloud, snapshot_id) == ("creating", "90%")
    assert host.guests[server_id].files[volume_id] == [f"volume-{volume_id}", f"volume.{snapshot_id}"]
    assert file_of(user, cloud, server_id) == (f"volume.{snapshot_id}", "qcow2")

    files = {"file_to_merge": f"volume.{snapshot_id}", "merge_target_file": f"volume-{volume_id}"}
    answer = merge(service, volume_id, snapshot_id, **files)

    assert (answer.status_code, answer.text) == (204, "")
    assert told(cloud, snapshot_id) == ("deleting", "90%")
    assert file_of(user, cloud, server_id) == (f"volume-{volume_id}", "raw")


def test_a_snapshot_that_fails_is_told_so_and_changes_nothing(cloud, user, service, host, attached):
    server_id, volume_id = attached
    snapshot_id = cloud.cinder.add_snapshot(volume_id)
    host.fail("snapshot_volume")

    assert snapshot(service, volume_id, snapshot_id).status_code == 200

    assert told(cloud, snapshot_id) == ("error", "90%")
    assert file_of(user, cloud, server_id) == (f"volume-{volume_id}", "raw")
    assert history(cloud, server_id)[0] == ("volume_snapshot_create", "failed")


def test_a_merge_that_fails_is_told_so(cloud, user, service, host, attached):
    server_id, volume_id = attached
    snapshot_id = cloud.cinder.add_snapshot(volume_id)
    snapshot(service, volume_id, snapshot_id)
    host.fail("merge_volume_snapshot")

    merge(service, volume_id, snapshot_id, file_to_merge=f"volume-{volume_id}", merge_target_file=None)

    assert told(cloud, snapshot_id) == ("error_deleting", "90%")
    assert file_of(user, cloud, server_id) == (f"volume.{snapshot_id}", "qcow2")


def test_a_locked_server_is_no_obstacle_and_a_busy_or_stopped_one_is(cloud, user, service, host, attached):
    server_id, volume_id = attached
    user.act(server_id, "lock")
    assert snapshot(service, volume_id, cloud.cinder.add_snapshot(volume_id)).status_code == 200
    user.act(server_id, "unlock")
    user.act(server_id, "os-stop")
    user.wait(server_id, "SHUTOFF")
    refused = cloud.cinder.add_snapshot(volume_id)

    assert snapshot(service, volume_id, refused).status_code == 400
    cloud.cinder.snapshots.pop(refused)


def test_a_snapshot_without_a_file_to_merge_is_not_deleted(cloud, service, host, attached):
    server_id, volume_id = attached
    snapshot_id = cloud.cinder.add_snapshot(volume_id)

    assert merge(service, volume_id, snapshot_id).status_code == 204

    assert told(cloud, snapshot_id)[0] == "error_deleting"
    assert history(cloud, server_id)[0] == ("volume_snapshot_delete", "failed")


def test_a_server_does_not_wait_for_a_snapshot_the_service_has_not(cloud, user, service, host, attached):
    server_id, volume_id = attached
    host.fail("snapshot_volume")

    snapshot(service, volume_id, "unknown")
    merge(service, volume_id, "unknown")
    user.delete(f"/servers/{server_id}/os-volume_attachments/{volume_id}")
    settle(cloud)

    assert cloud.cinder.volumes[volume_id]["status"] == "available"


def test_a_volume_no_server_has_is_refused(cloud, user, service, host, attached):
    free = cloud.cinder.add()

    assert snapshot(service, free).status_code == 400
    assert merge(service, free, "a", file_to_merge="b").status_code == 404


def test_users_ask_the_block_storage_service_instead(cloud, user, host, attached):
    _, volume_id = attached

    assert snapshot(user, volume_id).status_code == 403
    assert merge(user, volume_id, "a", file_to_merge="b").status_code == 403


@pytest.mark.parametrize("change", [{"type": "raw"}, {"new_file": ""}, {"new_file": "../etc/passwd"}, {"new_file": ".."}, {"more": 1}], ids=str)  # fmt: skip
def test_what_makes_no_sense_is_refused(cloud, service, host, attached, change):
    assert snapshot(service, attached[1], **change).status_code == 400


@pytest.mark.parametrize("info", [None, "", "no JSON", "[]", '{"volume_id": "x", "file_to_merge": "a/b"}'])
def test_delete_info_nobody_can_read_is_refused(cloud, service, host, attached, info):
    query = {} if info is None else {"delete_info": info}

    assert service.delete(f"{PATH}/a", params=query).status_code == 400
