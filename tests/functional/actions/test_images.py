"""Rebuild, rescue, and images and backups made of a server."""

import hashlib
from datetime import timedelta

import pytest

from nova.db import instances
from nova.structs.instance import PowerState, VmState
from nova.virt.fake.driver import FakeDriver
from tests.functional.actions.history import history
from tests.functional.cloud import wait

pytestmark = pytest.mark.usefixtures("in_order")


def image_is_active(cloud, image_id):
    wait(lambda: cloud.glance.images[image_id]["status"] == "active", f"image {image_id} is active")
    return cloud.glance.images[image_id]


def test_a_rebuilt_server_has_the_new_image_and_all_else_it_was_given(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server(name="old", metadata={"a": "1"})["id"]
    image_id = cloud.glance.add("newer")

    answer = user.act(
        server_id,
        "rebuild",
        {"imageRef": image_id, "name": "new", "metadata": {"b": "2"}, "description": "fresh", "adminPass": "word"},
    )
    rebuilt = user.wait(server_id, "ACTIVE")

    assert answer.status_code == 202
    assert answer.json()["server"]["adminPass"] == "word"
    assert answer.json()["server"]["status"] == "REBUILD"
    assert (rebuilt["image"]["id"], rebuilt["name"], rebuilt["description"]) == (image_id, "new", "fresh")
    assert rebuilt["metadata"] == {"b": "2"}
    assert host.guests[server_id].spec.image.id == image_id


@pytest.mark.parametrize("boots_from_volume", [False, True])
def test_a_server_that_is_rebuilt_with_an_image_that_needs_a_config_drive_has_one(cloud, user, boots_from_volume):
    host = cloud.add_host()
    root = {"boot_index": 0, "source_type": "volume", "destination_type": "volume"}
    wanted = user.wanted()
    if boots_from_volume:
        devices = [{**root, "uuid": cloud.cinder.add(bootable="true")}]
        wanted |= {"imageRef": "", "block_device_mapping_v2": devices}
    server_id = user.post("/servers", {"server": wanted}).json()["server"]["id"]
    user.wait(server_id, "ACTIVE")
    before = (user.server(server_id)["config_drive"], host.guests[server_id].spec.config_drive)

    # A drive that is there stays when the next image does not need it.
    for image_id in (cloud.glance.add("needy", img_config_drive="mandatory"), cloud.glance.add("other")):
        assert user.act(server_id, "rebuild", {"imageRef": image_id}).status_code == 202
        rebuilt = user.wait(server_id, "ACTIVE")

        assert rebuilt["config_drive"] == "True"
        assert host.guests[server_id].spec.config_drive

    assert before == ("", None)


def test_a_stopped_server_is_stopped_again_after_a_rebuild(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server()["id"]
    user.act(server_id, "os-stop")
    user.wait(server_id, "SHUTOFF")

    user.act(server_id, "rebuild", {"imageRef": cloud.glance.add("newer")})
    user.wait(server_id, "SHUTOFF")

    assert host.guests[server_id].power_state == PowerState.SHUTDOWN


def test_a_rebuild_that_fails_is_an_error_and_may_be_asked_for_again(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server()["id"]
    # As often as it is tried: the old guest is gone.
    host.fail("create", times=3)
    image_id = cloud.glance.add("newer")

    user.act(server_id, "rebuild", {"imageRef": image_id})
    broken = user.wait(server_id, "ERROR")
    user.act(server_id, "rebuild", {"imageRef": image_id})
    user.wait(server_id, "ACTIVE")

    assert "fail create" in broken["fault"]["message"]


def test_a_host_that_cannot_run_the_new_image_keeps_the_old_server(cloud, user):
    cloud.add_host()
    server = user.create_server()
    foreign = cloud.glance.add("foreign", hw_architecture="ppc64le")

    assert user.act(server["id"], "rebuild", {"imageRef": foreign, "name": "other"}).status_code == 202
    after = user.wait(server["id"], "ACTIVE")

    assert (after["image"]["id"], after["name"]) == (server["image"]["id"], server["name"])
    assert history(cloud, server["id"])[0] == ("rebuild", "failed")


def test_an_image_that_is_too_large_is_refused_at_once(cloud, user):
    cloud.add_host()
    server_id = user.create_server()["id"]

    refused = user.act(server_id, "rebuild", {"imageRef": cloud.glance.add("large", min_disk=50)})

    assert refused.status_code == 400
    assert user.server(server_id)["status"] == "ACTIVE"


@pytest.mark.parametrize(
    "version, keys, missing",
    [("2.1", set(), {"locked", "key_name"}), ("2.54", {"locked", "key_name"}, {"config_drive"}), ("2.75", {"config_drive"}, set())],
)  # fmt: skip
def test_a_rebuild_answers_with_what_its_version_shows(cloud, version, keys, missing):
    cloud.add_host()
    user = cloud.client(version=version)
    server_id = cloud.client().create_server()["id"]

    server = user.act(server_id, "rebuild", {"imageRef": next(iter(cloud.glance.images))}).json()["server"]
    cloud.client().wait(server_id, "ACTIVE")

    assert keys <= server.keys()
    assert not missing & server.keys()


def test_a_rescued_server_is_not_stopped(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server()["id"]
    user.act(server_id, "rescue", {})
    user.wait(server_id, "RESCUE")

    assert user.act(server_id, "os-stop").status_code == 409

    assert host.guests[server_id].power_state is PowerState.RUNNING


@pytest.mark.parametrize("status", ["ACTIVE", "SHUTOFF"])
def test_a_server_that_an_earlier_release_stopped_on_its_rescue_disk_can_be_unrescued(cloud, user, status):
    host = cloud.add_host()
    server_id = user.create_server()["id"]
    user.act(server_id, "rescue", {})
    user.wait(server_id, "RESCUE")
    cloud.db.write(lambda c: instances.change(c, server_id, vm_state=VmState.ACTIVE))
    if status == "SHUTOFF":
        user.act(server_id, "os-stop")
    user.wait(server_id, status)

    assert user.act(server_id, "unrescue").status_code == 202

    user.wait(server_id, status)
    assert not host.guests[server_id].is_rescued
    assert user.act(server_id, "unrescue").status_code == 409


def test_a_rescued_server_runs_from_another_disk_until_that_ends(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server()["id"]

    answer = user.act(server_id, "rescue", {"adminPass": "word"})
    user.wait(server_id, "RESCUE")

    assert (answer.status_code, answer.json()) == (200, {"adminPass": "word"})
    assert host.guests[server_id].is_rescued

    assert user.act(server_id, "unrescue").status_code == 202
    user.wait(server_id, "ACTIVE")
    assert not host.guests[server_id].is_rescued


def test_a_rescue_that_fails_leaves_a_stopped_server_stopped(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server()["id"]
    user.act(server_id, "os-stop")
    user.wait(server_id, "SHUTOFF")
    host.fail("rescue")

    user.act(server_id, "rescue")
    user.wait(server_id, "SHUTOFF")

    assert host.guests[server_id].power_state == PowerState.SHUTDOWN


def test_a_guest_has_time_to_shut_down_before_it_is_rescued(cloud, user, monkeypatch):
    asked = []
    set_power = FakeDriver.set_power

    def listen(driver, uuid, target, grace=timedelta()):
        asked.append((target, grace))
        set_power(driver, uuid, target, grace)

    monkeypatch.setattr(FakeDriver, "set_power", listen)
    host = cloud.add_host()
    image_id = cloud.glance.add("slow", os_shutdown_timeout="7")
    server_id = user.create_server(image=image_id)["id"]

    user.act(server_id, "rescue")
    user.wait(server_id, "RESCUE")

    assert asked == [(PowerState.SHUTDOWN, timedelta(seconds=7))]
    assert host.guests[server_id].is_rescued
    assert host.guests[server_id].power_state == PowerState.RUNNING


def test_a_guest_that_cannot_be_shut_down_is_rescued_all_the_same(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server()["id"]
    host.fail("set_power")

    user.act(server_id, "rescue")
    user.wait(server_id, "RESCUE")

    assert host.guests[server_id].is_rescued


def test_an_image_of_a_server_inherits_and_is_the_users(cloud, user):
    cloud.add_host()
    source = cloud.glance.add("source", hw_disk_bus="scsi", cache_in_nova="yes")
    server_id = user.create_server(image=source)["id"]
    cloud.hypervisor().write(server_id, "what the user wrote")

    answer = user.act(server_id, "createImage", {"name": "copy", "metadata": {"season": "autumn"}})
    image = image_is_active(cloud, answer.json()["image_id"])
    user.wait(server_id, "ACTIVE")

    assert answer.status_code == 202
    assert (image["name"], image["owner"], image["visibility"]) == ("copy", "project", "private")
    assert (image["image_type"], image["season"], image["hw_disk_bus"]) == ("snapshot", "autumn", "scsi")
    assert (image["instance_uuid"], image["base_image_ref"]) == (server_id, source)
    assert "cache_in_nova" not in image
    assert cloud.glance.data[image["id"]] == b"what the user wrote"


def test_before_2_45_the_image_is_named_by_a_header(cloud):
    cloud.add_host()
    old = cloud.client(version="2.44")
    server_id = cloud.client().create_server()["id"]

    answer = old.act(server_id, "createImage", {"name": "copy"})

    assert answer.text == ""
    image_is_active(cloud, answer.headers["Location"].rsplit("/", 1)[1])


def test_an_image_that_could_not_be_made_is_not_there(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server()["id"]
    host.fail("snapshot")

    image_id = user.act(server_id, "createImage", {"name": "copy"}).json()["image_id"]
    user.wait(server_id, "ACTIVE")

    assert image_id not in cloud.glance.images


@pytest.mark.parametrize(
    ("stores", "is_hashed"),
    [(lambda body: body[:-1], False), (lambda body: b"x" * len(body), True)],
    ids=["part", "other"],
)
def test_what_the_image_service_did_not_get_whole_is_no_image(cloud, user, stores, is_hashed):
    cloud.add_host()
    server_id = user.create_server()["id"]
    cloud.write(server_id, "what the user wrote")
    cloud.glance.stores = stores
    if is_hashed:
        cloud.glance.hashes = sha512

    image_id = user.act(server_id, "createImage", {"name": "copy"}).json()["image_id"]
    user.wait(server_id, "ACTIVE")

    assert image_id not in cloud.glance.images


def test_an_image_with_the_hash_of_the_copy_is_kept(cloud, user):
    cloud.add_host()
    server_id = user.create_server()["id"]
    cloud.write(server_id, "what the user wrote")
    cloud.glance.hashes = sha512

    image_id = user.act(server_id, "createImage", {"name": "copy"}).json()["image_id"]

    assert image_is_active(cloud, image_id)["size"] == len("what the user wrote")
    user.wait(server_id, "ACTIVE")
    assert image_id in cloud.glance.images


def sha512(body):
    return {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(body).hexdigest()}


def test_a_refused_request_makes_no_image(cloud, user):
    cloud.add_host()
    server_id = user.create_server()["id"]
    user.act(server_id, "rescue")
    user.wait(server_id, "RESCUE")
    before = set(cloud.glance.images)

    refused = user.act(server_id, "createImage", {"name": "copy"})

    assert refused.status_code == 409
    assert set(cloud.glance.images) == before


def test_old_backups_make_room_for_new_ones(cloud, user):
    cloud.add_host()
    server_id = user.create_server()["id"]
    made = []

    for number in range(3):
        body = {"name": f"backup-{number}", "backup_type": "daily", "rotation": 2}
        made.append(user.act(server_id, "createBackup", body).json()["image_id"])
        user.wait(server_id, "ACTIVE")

    kept = [one for one in cloud.glance.images.values() if one.get("image_type") == "backup"]
    assert [one["id"] for one in kept] == made[1:]
    assert {one["backup_type"] for one in kept} == {"daily"}
