"""A running guest is moved between the files of a volume, as the Block Storage service wants it."""

import datetime
import subprocess
import uuid

import msgspec
import pytest

from nova import errors
from nova.structs.guest import Disk, RebootKind, VolumeFile
from nova.structs.instance import BlockDevice, PowerState

NOW = datetime.timedelta()


@pytest.fixture
def volume(tmp_path):
    """A raw file of 4 MiB that is a volume."""
    (tmp_path / "volume").write_bytes(b"\0" * (4 << 20))
    return at(tmp_path / "volume", str(uuid.uuid4()))


def at(path, volume_id, image_format="raw"):
    """A volume whose guest writes to this file."""
    device = BlockDevice(
        id=str(uuid.uuid4()),
        source="volume",
        destination="volume",
        volume_id=volume_id,
        connection_info={
            "driver_volume_type": "local",
            "data": {"device_path": str(path), "format": image_format},
        },
    )
    return Disk(kind="volume", device_name="vdb", volume=device)


def over(base, name, base_format="qcow2"):
    """A new file of the volume that stands on another, as the service makes it."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", base_format, "-b", base.name, base.with_name(name)]
    subprocess.run(command, check=True, cwd=base.parent)
    return base.with_name(name)


def files_of(host, spec):
    shown = [line.split() for line in host.virsh("domblklist", spec.uuid).splitlines()]
    return [path.rpartition("/")[2] for name, path in shown if name == "vdb"]


@pytest.fixture
def guest(driver, make_spec, volume, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    driver.attach_volume(spec.uuid, volume)
    return spec


def test_a_guest_goes_on_with_the_new_file_and_back_to_the_first(driver, host, guest, volume, tmp_path):
    over(tmp_path / "volume", "first", "raw")

    taken = driver.snapshot_volume(guest.uuid, volume, "first")
    again = driver.snapshot_volume(guest.uuid, volume, "first")

    assert taken == again == VolumeFile(name="first", format="qcow2")
    assert files_of(host, guest) == ["first"]

    merged = driver.merge_volume_snapshot(guest.uuid, volume, "first", "volume")
    again = driver.merge_volume_snapshot(guest.uuid, volume, "first", "volume")

    assert merged == again == VolumeFile(name="volume", format="raw")
    assert files_of(host, guest) == ["volume"]
    assert driver.guest(guest.uuid).power_state == PowerState.RUNNING


def test_a_file_in_the_middle_goes_down_and_the_lowest_goes_up(driver, host, guest, volume, tmp_path):
    for base, name, base_format in (("volume", "first", "raw"), ("first", "second", "qcow2")):
        over(tmp_path / base, name, base_format)
        driver.snapshot_volume(guest.uuid, volume, name)

    assert driver.merge_volume_snapshot(guest.uuid, volume, "first", "volume").name == "second"
    assert driver.merge_volume_snapshot(guest.uuid, volume, "volume", None).name == "second"

    info = subprocess.run(["qemu-img", "info", "-U", tmp_path / "second"], capture_output=True, text=True).stdout
    assert "backing file" not in info


def test_the_next_start_finds_the_file_the_guest_wrote_to(driver, host, guest, volume, tmp_path, wait_for_output):
    driver.snapshot_volume(guest.uuid, volume, over(tmp_path / "volume", "first", "raw").name)
    disks = (*guest.disks, at(tmp_path / "first", volume.volume.volume_id, "qcow2"))

    driver.reboot(msgspec.structs.replace(guest, disks=disks), RebootKind.HARD, NOW)

    wait_for_output(guest.uuid, "guest is up", times=2)
    assert files_of(host, guest) == ["first"]
    assert "type='qcow2'" in host.virsh("dumpxml", guest.uuid).partition("vdb")[0].rpartition("<disk")[2]


def test_a_guest_that_is_off_tells_the_file_it_wrote_to(driver, guest, volume, tmp_path):
    driver.snapshot_volume(guest.uuid, volume, over(tmp_path / "volume", "first", "raw").name)

    assert driver.merge_volume_snapshot(guest.uuid, volume, "", None).name == "first"
    driver.set_power(guest.uuid, PowerState.SHUTDOWN)
    assert driver.merge_volume_snapshot(guest.uuid, volume, "", None) == VolumeFile(name="first", format="qcow2")


def test_what_cannot_be_done_leaves_the_guest_as_it_was(driver, host, guest, volume):
    with pytest.raises(errors.GuestFailed):
        driver.snapshot_volume(guest.uuid, volume, "missing")
    with pytest.raises(errors.GuestFailed, match="not below"):
        driver.merge_volume_snapshot(guest.uuid, volume, "volume", "nothing")

    assert files_of(host, guest) == ["volume"]
    driver.set_power(guest.uuid, PowerState.SHUTDOWN)
    with pytest.raises(errors.GuestFailed, match="running"):
        driver.snapshot_volume(guest.uuid, volume, "missing")
