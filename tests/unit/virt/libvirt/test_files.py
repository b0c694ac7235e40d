"""Which disk of a guest is which file, and under which name QEMU opens it."""

from pathlib import Path

import msgspec
import pytest

from nova.structs.flavor import Flavor
from nova.structs.guest import Disk, GuestSpec
from nova.structs.image import Image
from nova.structs.instance import BlockDevice
from nova.virt.libvirt.domain_xml.facts import Drive, Host
from nova.virt.libvirt.files import DiskOptions, plan_drives

ROOT = Disk(kind="root", device_name="/dev/vda", boot_index=0)
VOLUME = Disk(
    kind="volume",
    device_name="vdb",
    volume=BlockDevice(id="bdm", source="volume", destination="volume", volume_id="v"),
)
HOST = Host()


def plan(*disks, properties=None, disk_format="qcow2", host=HOST, options=DiskOptions(), **changes):  # noqa: B008
    spec = GuestSpec(
        uuid="u",
        name="n",
        display_name="d",
        project_id="p",
        user_id="u",
        flavor=Flavor(id="1", name="f", vcpus=1, memory_mb=1),
        image=Image(id="i", disk_format=disk_format, properties=properties or {}),
        disks=disks,
    )
    volumes = {"v": Drive(target="", bus="", path="/dev/sdx", type="block", serial="v")}
    return plan_drives(msgspec.structs.replace(spec, **changes), Path("/i"), host, options, volumes)


def test_each_kind_of_disk_has_its_file():
    disks = [
        Disk(kind=kind, device_name=f"vd{letter}")
        for letter, kind in zip("bcd", ("ephemeral", "ephemeral", "swap"), strict=True)
    ]

    drives = plan(ROOT, *disks)

    assert [Path(drive.path).name for drive in drives] == ["disk", "disk.eph0", "disk.eph1", "disk.swap0"]
    assert [drive.format for drive in drives] == ["qcow2", "raw", "raw", "raw"]


def test_root_disk_is_raw_where_overlays_are_off():
    assert plan(ROOT, options=DiskOptions(is_overlay=False))[0].format == "raw"


def test_volume_is_opened_where_the_host_found_it():
    _, volume = plan(ROOT, VOLUME)

    assert (volume.path, volume.target, volume.bus, volume.boot_order) == ("/dev/sdx", "vdb", "virtio", None)


def test_bus_of_the_image_gives_fitting_names():
    drives = plan(ROOT, Disk(kind="swap", device_name="/dev/vdb"), properties={"hw_disk_bus": "scsi"})

    assert [(drive.bus, drive.target) for drive in drives] == [("scsi", "sda"), ("scsi", "sdb")]


@pytest.mark.parametrize(
    "properties, host, place",
    [
        ({}, HOST, ("ide", "hdd")),
        ({"hw_machine_type": "q35"}, HOST, ("sata", "sdf")),
        ({}, Host(machine_types={"x86_64": "q35"}), ("sata", "sdf")),
        ({"hw_cdrom_bus": "scsi"}, HOST, ("scsi", "sdf")),
    ],
)
def test_config_drive_hangs_on_a_bus_the_machine_has(properties, host, place):
    drive = plan(ROOT, properties=properties, host=host, config_drive={})[-1]

    assert (drive.bus, drive.target) == place
    assert drive.device == "cdrom" and drive.is_read_only


def test_config_drive_can_be_a_disk():
    drive = plan(ROOT, options=DiskOptions(config_drive_format="vfat"), config_drive={})[-1]

    assert (drive.device, drive.bus, drive.target) == ("disk", "virtio", "vdz")


def test_iso_image_is_booted_from_a_cdrom():
    (drive,) = plan(ROOT, disk_format="iso")

    assert (drive.device, drive.bus, drive.target, drive.boot_order) == ("cdrom", "ide", "hda", 1)


def test_boot_order_follows_the_boot_index():
    second = msgspec.structs.replace(VOLUME, boot_index=1)

    assert [drive.boot_order for drive in plan(ROOT, second)] == [1, 2]


def test_guest_without_any_boot_index_boots_from_its_root_disk():
    root = msgspec.structs.replace(ROOT, boot_index=None)

    assert [drive.boot_order for drive in plan(VOLUME, root)] == [None, 1]


def test_two_disks_never_share_a_name():
    drives = plan(ROOT, Disk(kind="swap", device_name="/dev/vda"), Disk(kind="ephemeral", device_name=""))

    assert [drive.target for drive in drives] == ["vda", "vdb", "vdc"]
