"""A running guest sees that a volume has grown; none is ever cut off."""

import json
import os

import pytest

from nova import errors
from nova.structs.instance import PowerState
from tests.functional.libvirt.test_libvirt_volume_snapshots import at, guest, over, volume

__all__ = ("guest", "volume")
MIB = 1 << 20


def extended(path, size_bytes):
    """What the Block Storage service does."""
    os.truncate(path, size_bytes)
    return size_bytes


def seen_by_qemu(host, spec, volume):
    """How large the guest's disk is, as QEMU says that it is to the guest."""
    asked = json.dumps({"execute": "query-block"})
    answer = json.loads(host.virsh("qemu-monitor-command", spec.uuid, asked))
    name = volume.volume.connection_info["data"]["device_path"]
    [device] = [one for one in answer["return"] if name in json.dumps(one)]
    return device["inserted"]["image"]["virtual-size"]


def capacity(host, spec):
    [line] = [line for line in host.virsh("domblkinfo", spec.uuid, "vdb").splitlines() if line.startswith("Capacity")]
    return int(line.split()[-1])


def test_a_running_guest_sees_the_new_size(driver, host, guest, volume, tmp_path):
    assert capacity(host, guest) == 4 * MIB

    size = extended(tmp_path / "volume", 8 * MIB)
    assert seen_by_qemu(host, guest, volume) == 4 * MIB
    for _ in range(2):
        driver.extend_volume(guest.uuid, volume, size)

    assert (capacity(host, guest), seen_by_qemu(host, guest, volume)) == (size, size)
    assert (tmp_path / "volume").stat().st_size == size


def test_a_guest_on_a_new_file_of_its_volume_sees_it_too(driver, host, guest, volume, tmp_path):
    over(tmp_path / "volume", "volume.snap1", "raw")
    driver.snapshot_volume(guest.uuid, volume, "volume.snap1")
    moved = at(tmp_path / "volume.snap1", volume.volume.volume_id, "qcow2")

    driver.extend_volume(guest.uuid, moved, 8 * MIB)

    assert seen_by_qemu(host, guest, moved) == 8 * MIB


def test_a_smaller_size_cuts_nothing_off(driver, host, guest, volume, tmp_path):
    driver.extend_volume(guest.uuid, volume, 2 * MIB)

    assert (tmp_path / "volume").stat().st_size == 4 * MIB
    assert seen_by_qemu(host, guest, volume) == 4 * MIB


def test_a_guest_that_is_off_sees_it_when_it_starts(driver, host, guest, volume, tmp_path):
    driver.set_power(guest.uuid, PowerState.SHUTDOWN)

    driver.extend_volume(guest.uuid, volume, extended(tmp_path / "volume", 8 * MIB))
    driver.set_power(guest.uuid, PowerState.RUNNING)

    assert seen_by_qemu(host, guest, volume) == 8 * MIB


def test_another_volume_is_not_the_guests(driver, guest, tmp_path):
    (tmp_path / "other").write_bytes(b"")

    with pytest.raises(errors.GuestFailed):
        driver.extend_volume(guest.uuid, at(tmp_path / "other", "7a9b1f0e-0000-4000-8000-000000000000"), 8 * MIB)
