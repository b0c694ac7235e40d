"""Local disks that a request names: those of the flavor, or none."""

import pytest

LOCAL = {"source_type": "blank", "destination_type": "local", "boot_index": -1}
SWAP = {**LOCAL, "guest_format": "swap"}


@pytest.fixture
def user(cloud):
    """A user of flavors with and without local disks: 4 GiB, and 512 MiB of swap."""
    cloud.add_host()
    sizes = {"vcpus": 1, "ram": 512, "disk": 1}
    for name, more in (("local", {"OS-FLV-EXT-DATA:ephemeral": 4, "swap": 512}), ("bare", {})):
        cloud.client("admin").post("/flavors", {"flavor": {"name": name, "id": name, **sizes, **more}})
    return cloud.client()


@pytest.mark.parametrize(
    "devices",
    [[LOCAL], [SWAP], [{**LOCAL, "volume_size": 4}, {**SWAP, "volume_size": 512}]],
    ids=["ephemeral", "swap", "both"],
)
def test_what_the_flavor_gives_may_be_named(cloud, user, devices):
    volume = {"source_type": "volume", "destination_type": "volume", "uuid": cloud.cinder.add()}

    server = user.create_server(flavor="local", block_device_mapping_v2=[*devices, volume])

    [attached] = user.get(f"/servers/{server['id']}/os-volume_attachments").json()["volumeAttachments"]
    # Behind root disk, ephemeral disk and swap.
    assert attached["device"] == "/dev/vdd"


@pytest.mark.parametrize(
    "devices, why",
    [
        ([{**LOCAL, "volume_size": 5}], "exceed the 4 GiB"),
        ([{**LOCAL, "volume_size": 3}, {**LOCAL, "volume_size": 3}], "exceed the 4 GiB"),
        ([{**LOCAL, "volume_size": 2}, {**LOCAL, "volume_size": 2}], "one ephemeral disk"),
        ([{**LOCAL, "volume_size": 3}], "smaller than the 4 GiB"),
        ([{**SWAP, "volume_size": 513}], "exceed the 512 MiB"),
        ([{**SWAP, "volume_size": 256}], "smaller than the 512 MiB"),
        ([{**LOCAL, "guest_format": "ext4"}], "guest_format"),
        ([{**LOCAL, "disk_bus": "scsi"}], "disk_bus"),
        ([{**LOCAL, "device_type": "cdrom"}], "device_type"),
        ([{**LOCAL, "tag": "scratch"}], "tag"),
        ([{**LOCAL, "boot_index": 1}], "boot_index"),
    ],
)
def test_other_local_disks_are_refused_with_what_was_made_for_them(cloud, user, devices, why):
    volume = {"source_type": "blank", "destination_type": "volume", "volume_size": 1}

    wanted = user.wanted(flavor="local", block_device_mapping_v2=[*devices, volume])
    answer = user.post("/servers", {"server": wanted})

    assert (answer.status_code, why in answer.text) == (400, True), answer.text
    assert user.get("/servers").json()["servers"] == []
    assert cloud.cinder.volumes == {}


@pytest.mark.parametrize("device", [LOCAL, SWAP], ids=["ephemeral", "swap"])
def test_a_flavor_without_local_disks_gives_none(user, device):
    wanted = user.wanted(flavor="bare", block_device_mapping_v2=[device])

    assert user.post("/servers", {"server": wanted}).status_code == 400


@pytest.mark.parametrize("boot_index", [1, -1, 0])
def test_no_local_disk_is_made_of_an_image_but_the_root_disk(user, cloud, boot_index):
    image = next(iter(cloud.glance.images))
    device = {"source_type": "image", "destination_type": "local", "uuid": image, "boot_index": boot_index}
    wanted = user.wanted(block_device_mapping_v2=[device])
    if boot_index == 0:
        del wanted["imageRef"]

    assert user.post("/servers", {"server": wanted}).status_code == 400
    assert user.get("/servers").json()["servers"] == []
