"""Volumes: attached, detached, swapped, booted from, carried along, and left as their owner wants them."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from nova.concurrency import wait_for
from tests.functional.actions.history import history
from tests.functional.cloud import wait
from tests.functional.invariants import settle

pytestmark = pytest.mark.usefixtures("in_order")


@pytest.fixture
def host(cloud):
    return cloud.add_host()


def attach(user, server_id, volume_id, **options):
    body = {"volumeAttachment": {"volumeId": volume_id, **options}}
    return user.post(f"/servers/{server_id}/os-volume_attachments", body)


def detach(user, server_id, volume_id):
    return user.delete(f"/servers/{server_id}/os-volume_attachments/{volume_id}")


def attachments(user, server_id):
    return user.get(f"/servers/{server_id}/os-volume_attachments").json()["volumeAttachments"]


def status(cloud, volume_id):
    return cloud.cinder.volumes[volume_id]["status"]


def boot_from(volume_id=None, **options):
    return [
        {"boot_index": 0, "source_type": "volume", "destination_type": "volume", "uuid": volume_id, **options}
    ]  # fmt: skip


def booted(user, devices, **options):
    """A server that boots from a volume."""
    wanted = user.wanted(block_device_mapping_v2=devices, **options)
    del wanted["imageRef"]
    answer = user.post("/servers", {"server": wanted})
    assert answer.status_code == 202, answer.text
    return user.wait(answer.json()["server"]["id"], "ACTIVE")


def test_a_volume_is_attached_and_detached(cloud, user, host):
    server_id = user.create_server()["id"]
    volume_id = cloud.cinder.add()

    answer = attach(user, server_id, volume_id, tag="data", delete_on_termination=True)
    settle(cloud)

    assert (answer.status_code, answer.text) == (202, "")
    [shown] = attachments(user, server_id)
    assert (shown["volumeId"], shown["device"], shown["tag"]) == (volume_id, "/dev/vdb", "data")
    assert (status(cloud, volume_id), list(host.guests[server_id].volumes)) == ("in-use", [volume_id])

    assert user.delete(f"/servers/{server_id}/os-volume_attachments/{volume_id}").status_code == 202
    settle(cloud)

    assert (status(cloud, volume_id), host.guests[server_id].volumes) == ("available", {})
    assert (attachments(user, server_id), cloud.cinder.of(server_id)) == ([], [])


def test_a_volume_is_detaching_when_the_request_is_answered(cloud, user, host):
    server_id = user.create_server()["id"]
    volume_id = cloud.cinder.add()
    attach(user, server_id, volume_id)
    settle(cloud)
    host.hold("detach_volume")

    answer = detach(user, server_id, volume_id)

    assert (answer.status_code, status(cloud, volume_id)) == (202, "detaching")
    host.release("detach_volume")
    settle(cloud)
    assert status(cloud, volume_id) == "available"


def test_a_volume_that_its_service_has_in_no_use_is_not_detached(cloud, user, host):
    server_id = user.create_server()["id"]
    volume_id = cloud.cinder.add()
    attach(user, server_id, volume_id)
    settle(cloud)
    cloud.cinder.volumes[volume_id]["status"] = "error"

    answer = detach(user, server_id, volume_id)

    assert answer.status_code == 400, answer.text
    assert [one["volumeId"] for one in attachments(user, server_id)] == [volume_id]
    assert list(host.guests[server_id].volumes) == [volume_id]
    cloud.cinder.volumes[volume_id]["status"] = "in-use"


def test_before_2_101_the_attachment_is_in_the_answer(cloud, user, host):
    server_id = user.create_server()["id"]

    answer = attach(cloud.client(version="2.89"), server_id, cloud.cinder.add())
    settle(cloud)

    assert answer.status_code == 200
    assert answer.json()["volumeAttachment"]["device"] == "/dev/vdb"


def test_volumes_that_come_and_go_at_once_take_turns(cloud, user, host):
    server_id = user.create_server()["id"]
    first, second = cloud.cinder.add(), cloud.cinder.add()
    host.hold("attach_volume")

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(attach, user, server_id, volume_id) for volume_id in (first, second)]
        wait(lambda: len(history(cloud, server_id)) == 2, "one of them is accepted")
        # Nothing is made of the other one until its turn has come.
        assert len(attachments(user, server_id)) == 1
        host.release("attach_volume")
    settle(cloud)
    host.hold("detach_volume")
    gone = [detach(user, server_id, first).status_code for _ in range(2)]
    host.release("detach_volume")
    settle(cloud)

    assert [one.result().status_code for one in asked] == [202, 202]
    assert gone == [202, 400]
    assert [one["volumeId"] for one in attachments(user, server_id)] == [second]
    assert (status(cloud, first), status(cloud, second)) == ("available", "in-use")
    assert list(host.guests[server_id].volumes) == [second]


def test_who_waits_for_a_turn_that_does_not_come_is_refused_and_nothing_is_made(cloud, user, host, monkeypatch):
    monkeypatch.setattr("nova.api.compute.operate._TURN_S", 0.5)
    server_id = user.create_server()["id"]
    first, second = cloud.cinder.add(), cloud.cinder.add()
    host.hold("attach_volume")
    attach(user, server_id, first)

    refused = attach(user, server_id, second, delete_on_termination=True)
    user.delete(f"/servers/{server_id}")
    host.release("attach_volume")
    settle(cloud)

    assert refused.status_code == 409
    assert (status(cloud, first), status(cloud, second)) == ("available", "available")
    assert cloud.cinder.of(server_id) == []


def test_few_wait_for_a_turn_and_the_others_are_refused_at_once(cloud, user, host, monkeypatch):
    server_id = user.create_server()["id"]
    host.hold("attach_volume")
    attach(user, server_id, cloud.cinder.add())
    monkeypatch.setattr("nova.api.compute.operate._waiters", threading.BoundedSemaphore(1))

    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(attach, user, server_id, cloud.cinder.add()) for _ in range(3)]
        wait(lambda: sum(one.done() for one in asked) == 2, "two are refused")
        host.release("attach_volume")
    settle(cloud)

    assert sorted(one.result().status_code for one in asked) == [202, 409, 409]


def test_a_volume_that_a_swap_brings_is_not_attached_beside(cloud, user, admin, host, monkeypatch):
    monkeypatch.setattr("nova.api.compute.operate._TURN_S", 0.5)
    server_id = user.create_server()["id"]
    old, new = cloud.cinder.add(), cloud.cinder.add()
    attach(user, server_id, old)
    settle(cloud)
    host.hold("swap_volume")
    path = f"/servers/{server_id}/os-volume_attachments/{old}"
    assert admin.put(path, {"volumeAttachment": {"volumeId": new}}).status_code == 202

    refused = attach(user, server_id, new)
    host.release("swap_volume")
    settle(cloud)

    assert refused.status_code in (400, 409)
    assert [one["volumeId"] for one in attachments(user, server_id)] == [new]


def test_a_volume_does_not_wait_for_what_shows_in_the_servers_status(cloud, user, host):
    server_id, volume_id = user.create_server()["id"], cloud.cinder.add()
    host.hold("reboot")
    user.act(server_id, "reboot", {"type": "HARD"})

    answer = attach(user, server_id, volume_id)
    host.release("reboot")
    settle(cloud)

    assert answer.status_code == 409
    assert (attachments(user, server_id), status(cloud, volume_id)) == ([], "available")


def test_a_volume_the_host_cannot_plug_in_is_free_again(cloud, user, host):
    server_id = user.create_server()["id"]
    volume_id = cloud.cinder.add()
    host.fail("attach_volume")

    attach(user, server_id, volume_id)
    settle(cloud)

    assert (status(cloud, volume_id), attachments(user, server_id)) == ("available", [])
    assert history(cloud, server_id)[0] == ("attach_volume", "failed")


@pytest.mark.parametrize("volume, code", [("missing", 404), ("taken", 400), ("twice", 400)])
def test_a_volume_that_cannot_be_attached_is_refused(cloud, user, host, volume, code):
    server_id = user.create_server()["id"]
    taken = cloud.cinder.add(status="in-use")
    mine = cloud.cinder.add()
    attach(user, server_id, mine)
    settle(cloud)
    ids = {"missing": "7a9b1f0e-0000-4000-8000-000000000000", "taken": taken, "twice": mine}

    assert attach(user, server_id, ids[volume]).status_code == code


def test_one_volume_takes_the_place_of_another(cloud, user, admin, host):
    server_id = user.create_server()["id"]
    old, new = cloud.cinder.add(), cloud.cinder.add()
    attach(user, server_id, old)
    settle(cloud)
    path = f"/servers/{server_id}/os-volume_attachments/{old}"

    assert user.put(path, {"volumeAttachment": {"volumeId": new}}).status_code == 403
    assert admin.put(path, {"volumeAttachment": {"volumeId": new}}).status_code == 202
    settle(cloud)

    assert list(host.guests[server_id].volumes) == [new]
    assert (status(cloud, old), status(cloud, new)) == ("available", "in-use")
    assert [one["volumeId"] for one in attachments(user, server_id)] == [new]


SHARED = {"multiattach": True, "attachments": [{"server_id": "one"}, {"server_id": "other"}]}


@pytest.mark.parametrize(
    "facts, old_facts, says",
    [
        ({"size": 1}, {}, "same size or larger"),
        ({"size": 2, "status": "in-use"}, {}, "must be 'available'"),
        ({"size": 2, "status": "error"}, {}, "must be 'available'"),
        ({"size": 2, "project": "another"}, {}, "could not be found"),
        ({"size": 2}, SHARED, "more than one read/write attachment"),
    ],
)
def test_a_volume_that_cannot_take_the_place_is_refused(cloud, admin, host, facts, old_facts, says):
    owner = cloud.client("admin", "project")
    server_id = owner.create_server()["id"]
    old = cloud.cinder.add(size=2)
    attach(owner, server_id, old)
    settle(cloud)
    new = cloud.cinder.add(**facts)
    cloud.cinder.volumes[old] |= old_facts
    before = status(cloud, new)

    body = {"volumeAttachment": {"volumeId": new}}
    answer = cloud.client("admin", "project").put(f"/servers/{server_id}/os-volume_attachments/{old}", body)
    settle(cloud)

    assert (answer.status_code, says in answer.json()["badRequest"]["message"]) == (400, True), answer.text
    assert (status(cloud, old), status(cloud, new)) == ("in-use", before)
    assert list(host.guests[server_id].volumes) == [old]
    assert history(cloud, server_id)[0] == ("attach_volume", "succeeded")


@pytest.mark.parametrize("version", ["2.84", "2.89"])
def test_a_volume_does_not_take_its_own_place(cloud, host, version):
    owner = cloud.client("admin", "project", version=version)
    server_id = owner.create_server()["id"]
    volume_id = cloud.cinder.add()
    attach(owner, server_id, volume_id)
    settle(cloud)

    body = {"volumeAttachment": {"volumeId": volume_id}}
    answer = owner.put(f"/servers/{server_id}/os-volume_attachments/{volume_id}", body)
    settle(cloud)

    assert answer.status_code == (400 if version == "2.84" else 202)
    assert [name for name, _ in history(cloud, server_id)] == ["attach_volume", "create"]


def test_an_owner_says_what_becomes_of_a_volume_when_the_server_goes(cloud, user, host):
    server_id = user.create_server()["id"]
    kept, deleted = cloud.cinder.add(), cloud.cinder.add()
    for volume_id in (kept, deleted):
        attach(user, server_id, volume_id)
        settle(cloud)

    body = {"volumeAttachment": {"volumeId": deleted, "delete_on_termination": True}}
    assert user.put(f"/servers/{server_id}/os-volume_attachments/{deleted}", body).status_code == 202
    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)

    assert list(cloud.cinder.volumes) == [kept]
    assert (status(cloud, kept), cloud.cinder.attachments) == ("available", {})


def test_a_volume_an_image_needs_outlives_its_server(cloud, user, host):
    volume_id = cloud.cinder.add(bootable="true")
    server_id = booted(user, boot_from(volume_id, delete_on_termination=True))["id"]
    user.act(server_id, "createImage", {"name": "copy"})
    settle(cloud)

    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)

    assert (status(cloud, volume_id), cloud.cinder.attachments) == ("available", {})


def test_a_server_deleted_while_its_volume_is_being_made_takes_it_along(cloud, user, host):
    cloud.cinder.volumes_are = "creating"
    image_id = next(iter(cloud.glance.images))
    root = {"source_type": "image", "destination_type": "volume", "uuid": image_id, "boot_index": 0, "volume_size": 3}
    wanted = user.wanted(block_device_mapping_v2=[{**root, "delete_on_termination": True}])
    del wanted["imageRef"]
    server_id = user.post("/servers", {"server": wanted}).json()["server"]["id"]

    user.delete(f"/servers/{server_id}")
    assert wait_for(lambda: cloud.cinder.refused_deletions, timeout_s=90)
    [volume] = cloud.cinder.volumes.values()
    volume["status"] = "available"
    user.wait_gone(server_id)

    assert cloud.cinder.volumes == {}


def test_a_volume_that_is_made_just_after_its_deletion_was_refused_goes_too(cloud, user, host):
    cloud.cinder.volumes_are = "creating"
    cloud.cinder.after_refusal = lambda volume: volume.update(status="available")
    image_id = next(iter(cloud.glance.images))
    root = {"source_type": "image", "destination_type": "volume", "uuid": image_id, "boot_index": 0, "volume_size": 3}
    wanted = user.wanted(block_device_mapping_v2=[{**root, "delete_on_termination": True}])
    del wanted["imageRef"]
    server_id = user.post("/servers", {"server": wanted}).json()["server"]["id"]

    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)

    assert cloud.cinder.refused_deletions == 1
    assert cloud.cinder.volumes == {}


def test_servers_share_a_volume_that_allows_it(cloud, user, host):
    volume_id = cloud.cinder.add(multiattach=True)
    servers = [user.create_server()["id"] for _ in range(2)]

    for server_id in servers:
        attach(user, server_id, volume_id)
        settle(cloud)

    for server_id in servers:
        disk = host.guests[server_id].volumes[volume_id]
        assert disk.volume.connection_info["multiattach"]


def test_a_server_boots_from_a_volume(cloud, user, host):
    volume_id = cloud.cinder.add(bootable="true", size=5)

    server = booted(user, boot_from(volume_id))

    assert server["image"] == ""
    assert [one["id"] for one in server["os-extended-volumes:volumes_attached"]] == [volume_id]
    [disk] = host.guests[server["id"]].spec.disks
    assert (disk.kind, disk.device_name, disk.volume.volume_id) == ("volume", "vda", volume_id)
    assert status(cloud, volume_id) == "in-use"


def test_a_volume_is_made_of_an_image_to_boot_from(cloud, user, host):
    image_id = next(iter(cloud.glance.images))
    root = {"source_type": "image", "destination_type": "volume", "uuid": image_id, "boot_index": 0, "volume_size": 3}

    server = booted(user, [{**root, "delete_on_termination": True}])
    [volume_id] = cloud.cinder.volumes
    user.delete(f"/servers/{server['id']}")
    user.wait_gone(server["id"])

    assert cloud.cinder.volumes == {}
    assert volume_id


def test_a_build_no_host_could_do_leaves_the_volume_free(cloud, user, host):
    volume_id = cloud.cinder.add(bootable="true")
    host.fail("create", times=5)
    wanted = user.wanted(block_device_mapping_v2=boot_from(volume_id))
    del wanted["imageRef"]

    server_id = user.post("/servers", {"server": wanted}).json()["server"]["id"]
    user.wait(server_id, "ERROR")

    assert (status(cloud, volume_id), cloud.cinder.attachments) == ("available", {})


def test_an_image_of_a_server_that_boots_from_a_volume_maps_snapshots_of_all_its_volumes(cloud, user, host):
    server_id = booted(user, boot_from(cloud.cinder.add(bootable="true", size=5)))["id"]
    attach(user, server_id, cloud.cinder.add(size=2))
    settle(cloud)

    image_id = user.act(server_id, "createImage", {"name": "copy"}).json()["image_id"]
    settle(cloud)

    image = cloud.glance.images[image_id]
    mapping = json.loads(image["block_device_mapping"])
    assert (image["status"], image["size"], image["min_disk"], image["bdm_v2"]) == ("active", 0, 0, "True")
    assert [(one["source_type"], one["volume_size"], one.get("boot_index")) for one in mapping] == [
        ("snapshot", 5, 0),
        ("snapshot", 2, None),
    ]
    assert {one["snapshot_id"] for one in mapping} == set(cloud.cinder.snapshots)
    assert user.server(server_id)["status"] == "ACTIVE"


def test_a_server_boots_from_an_image_that_maps_snapshots(cloud, user, host):
    first = booted(user, boot_from(cloud.cinder.add(bootable="true", size=5)))["id"]
    image_id = user.act(first, "createImage", {"name": "copy"}).json()["image_id"]
    settle(cloud)

    server = user.create_server(image=image_id)

    [disk] = host.guests[server["id"]].spec.disks
    assert server["image"] == ""
    assert (disk.kind, disk.device_name) == ("volume", "vda")
    assert cloud.cinder.volumes[disk.volume.volume_id]["snapshot_id"] in cloud.cinder.snapshots
    assert cloud.cinder.volumes[disk.volume.volume_id]["size"] == 5


def test_what_a_request_says_of_a_disk_counts_more_than_the_image(cloud, user, host):
    first = booted(user, boot_from(cloud.cinder.add(bootable="true", size=5)))["id"]
    image_id = user.act(first, "createImage", {"name": "copy"}).json()["image_id"]
    settle(cloud)
    [snapshot_id] = cloud.cinder.snapshots
    larger = {"source_type": "snapshot", "destination_type": "volume", "uuid": snapshot_id, "boot_index": 0}

    server = user.create_server(image=image_id, block_device_mapping_v2=[{**larger, "volume_size": 9}])

    [disk] = host.guests[server["id"]].spec.disks
    assert cloud.cinder.volumes[disk.volume.volume_id]["size"] == 9


def test_a_snapshot_that_fails_leaves_no_image_and_no_snapshot(cloud, user, host):
    server_id = booted(user, boot_from(cloud.cinder.add(bootable="true")))["id"]
    cloud.cinder.snapshots_are = "error"

    image_id = user.act(server_id, "createImage", {"name": "copy"}).json()["image_id"]
    settle(cloud)

    assert image_id not in cloud.glance.images
    assert cloud.cinder.snapshots == {}
    assert history(cloud, server_id)[0] == ("createImage", "failed")


def test_an_image_is_usable_only_when_its_snapshots_are(cloud, user, host):
    server_id = booted(user, boot_from(cloud.cinder.add(bootable="true")))["id"]
    cloud.cinder.snapshots_are = "creating"

    image_id = user.act(server_id, "createImage", {"name": "copy"}).json()["image_id"]
    wait(lambda: user.server(server_id)["OS-EXT-STS:task_state"] == "image_snapshot", "the snapshot is being made")
    assert cloud.glance.images[image_id]["status"] == "queued"
    for snapshot in cloud.cinder.snapshots.values():
        snapshot["status"] = "available"
    settle(cloud)

    assert cloud.glance.images[image_id]["status"] == "active"


def test_a_rebuilt_server_boots_from_the_same_volume_with_another_image_on_it(cloud, user, host):
    volume_id = cloud.cinder.add(bootable="true")
    server_id = booted(user, boot_from(volume_id))["id"]
    image_id = cloud.glance.add("newer")
    cloud.cinder.reimaged_are = "downloading"

    assert user.act(server_id, "rebuild", {"imageRef": image_id, "name": "new"}).status_code == 202
    wait(lambda: cloud.cinder.volumes[volume_id]["status"] == "downloading", "the image is being written")
    assert server_id not in host.guests
    cloud.cinder.volumes[volume_id]["status"] = "reserved"
    server = user.wait(server_id, "ACTIVE")

    assert (server["image"], server["name"]) == ("", "new")
    assert (cloud.cinder.volumes[volume_id]["reimaged_with"], status(cloud, volume_id)) == (image_id, "in-use")
    [disk] = host.guests[server_id].spec.disks
    assert disk.volume.volume_id == volume_id
    assert disk.volume.attachment_id in cloud.cinder.attachments


def test_an_image_that_cannot_be_written_to_the_volume_is_an_error(cloud, user, host):
    server_id = booted(user, boot_from(cloud.cinder.add(bootable="true")))["id"]
    cloud.cinder.reimaged_are = "error"

    user.act(server_id, "rebuild", {"imageRef": cloud.glance.add("newer")})

    assert "could not be written" in user.wait(server_id, "ERROR")["fault"]["message"]


def events(user, server_id):
    """The steps of the newest action that have begun."""
    path = f"/servers/{server_id}/os-instance-actions"
    [newest, *_] = user.get(path).json()["instanceActions"]
    return [one["event"] for one in user.get(f"{path}/{newest['request_id']}").json()["instanceAction"]["events"]]


def test_a_server_whose_new_image_the_volume_service_refuses_is_started_again_from_its_volume(cloud, user, host):
    volume_id = cloud.cinder.add(bootable="true")
    server_id = booted(user, boot_from(volume_id))["id"]
    cloud.cinder.refuses_images = "Image is too big for the volume"

    user.act(server_id, "rebuild", {"imageRef": cloud.glance.add("newer")})
    assert "too big" in user.wait(server_id, "ERROR")["fault"]["message"]
    assert user.act(server_id, "reboot", {"type": "HARD"}).status_code == 202
    user.wait(server_id, "ACTIVE")

    assert "reimaged_with" not in cloud.cinder.volumes[volume_id]
    assert status(cloud, volume_id) == "in-use"
    [attachment] = cloud.cinder.attachments.values()
    [disk] = host.guests[server_id].spec.disks
    assert (disk.volume.attachment_id, disk.volume.connection_info["data"]["host"]) == (attachment["id"], host.name)


def test_a_volume_that_an_image_is_written_to_is_not_opened_by_a_hard_reboot(cloud, user, host):
    volume_id = cloud.cinder.add(bootable="true")
    server_id = booted(user, boot_from(volume_id))["id"]
    cloud.cinder.refuses_images = "busy"
    user.act(server_id, "rebuild", {"imageRef": cloud.glance.add("newer")})
    user.wait(server_id, "ERROR")
    # By somebody else, or by the request whose refusal was all that was heard of it.
    cloud.cinder.volumes[volume_id]["status"] = "downloading"

    assert user.act(server_id, "reboot", {"type": "HARD"}).status_code == 202
    wait(lambda: any(step == "open_volumes" for step in events(user, server_id)), "the reboot has looked at the volume")
    assert server_id not in host.guests
    assert status(cloud, volume_id) == "downloading"
    cloud.cinder.volumes[volume_id]["status"] = "reserved"
    user.wait(server_id, "ACTIVE")

    assert server_id in host.guests


@pytest.mark.parametrize("facts", [{"min_disk": 2}, {"size": (1 << 30) + 1}])
def test_an_image_that_the_volume_has_no_room_for_leaves_the_guest_running(cloud, user, host, facts):
    server_id = booted(user, boot_from(cloud.cinder.add(bootable="true")))["id"]
    runs = host.guests[server_id]

    assert user.act(server_id, "rebuild", {"imageRef": cloud.glance.add("larger", **facts)}).status_code == 202
    settle(cloud)

    assert user.server(server_id)["status"] == "ACTIVE"
    assert host.guests[server_id] is runs
    assert history(cloud, server_id)[0] == ("rebuild", "failed")


def test_a_backup_of_a_server_that_boots_from_a_volume_is_refused(cloud, user, host):
    server_id = booted(user, boot_from(cloud.cinder.add(bootable="true")))["id"]

    refused = user.act(server_id, "createBackup", {"name": "b", "backup_type": "daily", "rotation": 1})

    assert refused.status_code == 400
    assert cloud.cinder.snapshots == {}


@pytest.mark.parametrize(
    "mapping", ["no JSON", '{"boot_index": 0}', '[{"boot_index": "first"}]', '[{"boot_index": 0}]']
)
def test_an_image_with_a_mapping_nobody_can_read_makes_no_server(cloud, user, host, mapping):
    image_id = cloud.glance.add("broken", block_device_mapping=mapping, bdm_v2="True")

    assert user.post("/servers", {"server": user.wanted(image=image_id)}).status_code == 400
    assert user.get("/servers").json()["servers"] == []


@pytest.mark.parametrize(
    "devices",
    [
        [{"source_type": "volume", "destination_type": "local", "uuid": "x", "boot_index": 0}],
        [{"source_type": "blank", "destination_type": "volume", "boot_index": 0}],
        [{"source_type": "volume", "destination_type": "volume", "uuid": "none", "boot_index": 0}],
        [{"source_type": "image", "destination_type": "volume", "uuid": "IMAGE", "boot_index": 1, "volume_size": 1}],
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused_and_makes_nothing(cloud, user, host, devices):
    image_id = next(iter(cloud.glance.images))
    given = [{**one, "uuid": image_id} if one.get("uuid") == "IMAGE" else one for one in devices]
    wanted = user.wanted(block_device_mapping_v2=given)
    del wanted["imageRef"]

    assert user.post("/servers", {"server": wanted}).status_code == 400
    assert cloud.cinder.volumes == {}


@pytest.mark.parametrize("is_multiattach", [False, True])
@pytest.mark.parametrize("spelling", [str, str.upper])
def test_a_volume_is_one_disk_of_a_server(cloud, user, host, is_multiattach, spelling):
    volume_id = cloud.cinder.add(multiattach=is_multiattach)
    # A Block Storage service whose database ignores case.
    cloud.cinder.volumes[volume_id.upper()] = cloud.cinder.volumes[volume_id]
    devices = [{"source_type": "volume", "destination_type": "volume", "uuid": one} for one in (volume_id, spelling(volume_id))]  # fmt: skip

    second = user.post("/servers", {"server": user.wanted(block_device_mapping_v2=devices)})
    first = user.post(
        "/servers", {"server": user.wanted(block_device_mapping=[{"volume_id": one["uuid"]} for one in devices])}
    )

    assert [(answer.status_code, "named twice" in answer.text) for answer in (first, second)] == [(400, True)] * 2
    assert user.get("/servers").json()["servers"] == []


@pytest.mark.parametrize("counts", [{"min_count": 2}, {"max_count": 2}])
def test_a_volume_of_one_server_is_given_to_no_two(cloud, user, host, counts):
    own, shared = cloud.cinder.add(), cloud.cinder.add(multiattach=True)

    def answer(volume_id):
        devices = [{"source_type": "volume", "destination_type": "volume", "uuid": volume_id}]
        return user.post("/servers", {"server": user.wanted(block_device_mapping_v2=devices, **counts)})

    refused = answer(own)
    assert (refused.status_code, "to multiple instances" in refused.text) == (400, True)
    assert user.get("/servers").json()["servers"] == []
    assert answer(shared).status_code == 202


@pytest.mark.parametrize("way", ["resize", "os-migrateLive", "shelve"])
def test_a_volume_follows_its_server(cloud, user, admin, host, way):
    cloud.add_host("host-2")
    server_id = user.create_server()["id"]
    volume_id = cloud.cinder.add()
    attach(user, server_id, volume_id)
    settle(cloud)

    if way == "resize":
        user.act(server_id, "resize", {"flavorRef": "m1.small"})
        user.wait(server_id, "VERIFY_RESIZE")
        user.act(server_id, "revertResize")
    elif way == "shelve":
        user.act(server_id, "shelve")
        user.wait(server_id, "SHELVED_OFFLOADED")
        assert status(cloud, volume_id) == "reserved"
        user.act(server_id, "unshelve")
    else:
        admin.act(server_id, way, {"host": None, "block_migration": "auto"})
    user.wait(server_id, "ACTIVE")
    settle(cloud)

    [attachment] = cloud.cinder.attachments.values()
    place = admin.server(server_id)["OS-EXT-SRV-ATTR:host"]
    assert (attachment["host"], attachment["status"], status(cloud, volume_id)) == (place, "attached", "in-use")
    [shown] = attachments(user, server_id)
    assert shown["attachment_id"] == attachment["id"]
    wait(lambda: server_id in cloud.guests(), "the guest is there")
