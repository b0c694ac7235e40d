"""Volumes of a real Cinder in real guests: attached, shared, booted from, imaged, and freed."""

import contextlib

import pytest

from tests.e2e.running_cloud import unused_name


@pytest.fixture
def volume(cloud):
    made = cloud.openstack("volume", "create", "--size", "1", unused_name("volume"))
    assert cloud.wait_for(lambda: status(cloud, made["id"]) == "available")
    yield made["id"]
    cloud.run("volume", "delete", made["id"])
    assert cloud.wait_for(lambda: not exists(cloud, made["id"])), "the volume is still there"


def test_a_running_guest_gets_a_disk_and_gives_it_back(cloud, volume):
    with cloud.server("disk-user") as server:
        cloud.wait_for_console(server.id, "disk-user login:")

        shown = cloud.openstack("server", "add", "volume", server.id, volume)

        assert shown["Device"] == "/dev/vdb"
        assert cloud.wait_for(lambda: status(cloud, volume) == "in-use")
        assert volume in disks(cloud, server)["vdb"]
        assert "[vdb] 2097152 512-byte logical blocks" in cloud.wait_for_console(server.id, "[vdb]")
        [attachment] = cloud.sdk().block_storage.get_volume(volume).attachments
        assert (attachment["server_id"], attachment["device"]) == (server.id, "/dev/vdb")

        cloud.run("server", "remove", "volume", server.id, volume)

        assert cloud.wait_for(lambda: status(cloud, volume) == "available")
        assert set(disks(cloud, server)) == {"vda"}


def test_a_volume_is_free_when_its_server_is_deleted(cloud, volume):
    with cloud.server("short-lived") as server:
        cloud.wait_for_console(server.id, "short-lived login:")
        cloud.run("server", "add", "volume", server.id, volume)
        assert cloud.wait_for(lambda: status(cloud, volume) == "in-use")

    assert cloud.wait_for(lambda: status(cloud, volume) == "available")


def test_the_owner_cannot_take_a_volume_from_under_its_server(cloud, volume):
    with cloud.server("holder") as server:
        cloud.wait_for_console(server.id, "holder login:")
        cloud.run("server", "add", "volume", server.id, volume)
        assert cloud.wait_for(lambda: status(cloud, volume) == "in-use")
        [attachment] = cloud.sdk().block_storage.attachments(volume_id=volume)

        refused = cloud.sdk().block_storage.delete(f"/attachments/{attachment.id}", microversion="3.27")

        assert refused.status_code == 409
        assert "vdb" in disks(cloud, server)


def test_two_servers_share_a_volume_of_a_type_for_it(cloud):
    storage = cloud.sdk().block_storage
    kind = storage.create_type(name=unused_name("shared"), extra_specs={"multiattach": "<is> True"})
    volume = storage.create_volume(size=1, name=unused_name("shared"), volume_type=kind.name)
    assert cloud.wait_for(lambda: status(cloud, volume.id) == "available")

    with cloud.server("sharer-1") as one, cloud.server("sharer-2") as other:
        for server in (one, other):
            cloud.wait_for_console(server.id, f"{server.name} login:")
            cloud.run("--os-compute-api-version", "2.60", "server", "add", "volume", server.id, volume.id)
            assert cloud.wait_for(lambda server=server: "vdb" in disks(cloud, server)), server.name
        assert cloud.wait_for(lambda: len(storage.get_volume(volume.id).attachments) == 2)

    assert cloud.wait_for(lambda: status(cloud, volume.id) == "available")
    storage.delete_volume(volume)
    assert cloud.wait_for(lambda: not exists(cloud, volume.id))
    storage.delete_type(kind)


def test_a_server_boots_from_a_volume_and_its_image_boots_too(cloud):
    before = volumes(cloud)
    with booted_from_volume(cloud, unused_name("root")) as server:
        assert "vda" in disks(cloud, server)
        assert (cloud.directory / "data" / "cinder" / "volumes").as_posix() in disks(cloud, server)["vda"]
        assert "tiny: boot 1 of this disk" in cloud.wait_for_console(server.id, " login:")
        cloud.run("server", "stop", server.id)
        assert cloud.wait_for(lambda: cloud.sdk().compute.get_server(server.id).status == "SHUTOFF")
        image = unused_name("image")

        cloud.run("server", "image", "create", "--wait", "--name", image, server.id)

        with cloud.server("of-image", image_id=cloud.sdk().image.find_image(image).id) as copy:
            assert "tiny: boot 2 of this disk" in cloud.wait_for_console(copy.id, " login:")
        # The copy's volume goes with it, as the first server's does.
        assert cloud.wait_for(lambda: volumes(cloud) == before | {root_volume(cloud, server)})
        [snapshot] = cloud.sdk().block_storage.snapshots()
        cloud.run("image", "delete", image)
        cloud.run("volume", "snapshot", "delete", snapshot.id)
        assert cloud.wait_for(lambda: not list(cloud.sdk().block_storage.snapshots()))

    assert cloud.wait_for(lambda: volumes(cloud) == before), "the volume outlives its server"
    assert cloud.leftovers() == {}


@contextlib.contextmanager
def booted_from_volume(cloud, name):
    """A server whose root volume is made of the image, and goes with it."""
    image = cloud.sdk().image.find_image("tiny").id
    device = {
        "boot_index": 0,
        "source_type": "image",
        "destination_type": "volume",
        "uuid": image,
        "volume_size": 1,
        "delete_on_termination": True,
    }
    with cloud.server(name, image_id="", block_device_mapping=[device]) as server:
        yield server


def status(cloud, volume_id):
    found = cloud.sdk().block_storage.get_volume(volume_id).status
    assert not found.startswith("error"), found
    return found


def exists(cloud, volume_id):
    return volume_id in volumes(cloud)


def volumes(cloud):
    return {one.id for one in cloud.sdk().block_storage.volumes(details=False)}


def root_volume(cloud, server):
    [attached] = cloud.sdk().compute.volume_attachments(server)
    return attached.volume_id


def disks(cloud, server):
    """The guest's block devices as its hypervisor knows them: target and source."""
    cloud.wait_for(lambda: cloud.sdk().compute.get_server(server.id).status == "ACTIVE")
    host = cloud.sdk().compute.get_server(server.id).compute_host
    lines = cloud.in_host(host, "virsh", "-q", "domblklist", server.id).splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line.strip())
