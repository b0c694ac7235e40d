"""The rare abilities of the libvirt driver, each on a real guest."""

import datetime
import json
import os
import subprocess
import uuid
from pathlib import Path

import msgspec
import pytest
from prometheus_client import REGISTRY

from nova import errors
from nova.compute.image_cache import ImageCache
from nova.compute.image_cleaning import ImageCleaning
from nova.conf import load
from nova.structs.guest import Disk, RebootKind
from nova.structs.instance import BlockDevice, PowerState
from nova.virt import driver as interface

NOW = datetime.timedelta()


def test_driver_offers_every_ability(driver):
    for ability in interface.ABILITIES:
        assert isinstance(driver, ability)


@pytest.mark.parametrize("image_format", ["raw", "qcow2", "vmdk"])
def test_snapshot_of_a_running_guest_boots_as_a_new_one(driver, make_spec, wait_for_output, tmp_path, image_format):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    target = tmp_path / "snapshot"

    driver.snapshot(spec.uuid, target, image_format)

    raw = tmp_path / "raw"
    subprocess.run(["qemu-img", "convert", "-f", image_format, "-O", "raw", target, raw], check=True)
    copy = make_spec()
    root = msgspec.structs.replace(copy.disks[0], image_path=str(raw), image_format="raw")
    driver.create(msgspec.structs.replace(copy, disks=(root,)))
    wait_for_output(copy.uuid, "guest is up")
    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING


def test_snapshot_of_a_guest_that_is_off_needs_nothing_else(driver, make_spec, tmp_path, image_file):
    spec = make_spec()
    driver.create(spec)
    driver.set_power(spec.uuid, PowerState.SHUTDOWN)

    driver.snapshot(spec.uuid, tmp_path / "snapshot", "raw")

    assert (tmp_path / "snapshot").read_bytes()[:512] == image_file.read_bytes()[:512]


def test_failed_snapshot_leaves_no_file(driver, host, make_spec, tmp_path):
    spec = make_spec()
    driver.create(spec)
    driver.set_power(spec.uuid, PowerState.SHUTDOWN)
    (host.instances / spec.uuid / "disk").write_bytes(b"no disk at all")

    with pytest.raises(errors.GuestFailed):
        driver.snapshot(spec.uuid, tmp_path / "snapshot", "raw")

    assert not (tmp_path / "snapshot").exists()


def test_guest_is_rescued_with_its_own_disk_behind_and_goes_back(driver, host, make_spec, image_file, wait_for_output):
    own = Disk(kind="root", device_name="/dev/vda", size_mb=3)
    spec = make_spec(disks=(own,), config_drive={"openstack/latest/meta_data.json": b"first"})
    driver.create(spec)
    rescue_disk = Disk(kind="root", device_name="/dev/vda", image_path=str(image_file), image_format="raw")

    rescue_spec = msgspec.structs.replace(spec, config_drive={"openstack/latest/meta_data.json": b"secret"})
    driver.rescue(rescue_spec, rescue_disk)

    wait_for_output(spec.uuid, "guest is up")
    shown = [line.split() for line in host.virsh("domblklist", spec.uuid).splitlines()]
    assert [(name, path.rpartition("/")[2]) for name, path in shown] == [
        ("vda", "disk.rescue"),
        ("vdb", "disk"),
        ("hdd", "disk.config.rescue"),
    ]
    read = ["isoinfo", "-J", "-i", host.instances / spec.uuid / "disk.config.rescue", "-x"]
    assert b"secret" in subprocess.run([*read, "/openstack/latest/meta_data.json"], capture_output=True).stdout

    driver.reboot(spec, RebootKind.HARD, NOW)
    wait_for_output(spec.uuid, "guest is up", times=2)
    driver.unrescue(spec)
    first = host.virsh("domid", spec.uuid)
    driver.unrescue(spec)

    assert host.virsh("domid", spec.uuid) == first
    assert "disk.rescue" not in host.virsh("domblklist", spec.uuid)
    assert not list((host.instances / spec.uuid).glob("*rescue"))
    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING


def test_disks_of_a_stopped_guest_grow(driver, host, make_spec, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    driver.set_power(spec.uuid, PowerState.SHUTDOWN)
    larger = msgspec.structs.replace(
        spec,
        disks=(msgspec.structs.replace(spec.disks[0], size_mb=7),),
        flavor=msgspec.structs.replace(spec.flavor, vcpus=2, memory_mb=48),
    )

    driver.resize_disks(larger)
    driver.resize_disks(larger)
    driver.set_power(spec.uuid, PowerState.RUNNING)

    wait_for_output(spec.uuid, "guest is up", times=2)
    assert str(7 << 20) in host.virsh("domblkinfo", spec.uuid, "vda")
    assert host.virsh("vcpucount", spec.uuid, "--current", "--live") == "2"


def test_disks_of_a_running_guest_are_not_resized(driver, make_spec):
    spec = make_spec()
    driver.create(spec)

    with pytest.raises(errors.GuestFailed, match="running"):
        driver.resize_disks(spec)


def test_volume_is_plugged_in_and_out_while_the_guest_runs(driver, host, make_spec, make_volume, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    volume = make_volume("/dev/vdb")

    driver.attach_volume(spec.uuid, volume)
    driver.attach_volume(spec.uuid, volume)
    attached = host.virsh("dumpxml", spec.uuid)
    driver.detach_volume(spec.uuid, volume)
    driver.detach_volume(spec.uuid, volume)

    assert attached.count(f"<serial>{volume.volume.volume_id}</serial>") == 1
    assert volume.volume.volume_id not in host.virsh("dumpxml", spec.uuid)
    assert volume.volume.volume_id not in host.virsh("dumpxml", "--inactive", spec.uuid)


def test_paused_guest_keeps_its_volume_whole_until_it_can_let_go(driver, host, make_spec, make_volume, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    volume = make_volume("/dev/vdb")
    driver.attach_volume(spec.uuid, volume)
    driver.set_power(spec.uuid, PowerState.PAUSED)

    with pytest.raises(errors.GuestFailed, match="paused"):
        driver.detach_volume(spec.uuid, volume)
    driver.set_power(spec.uuid, PowerState.RUNNING)

    for when in ((), ("--inactive",)):
        assert volume.volume.volume_id in host.virsh("dumpxml", *when, spec.uuid)
    driver.detach_volume(spec.uuid, volume)
    assert volume.volume.volume_id not in host.virsh("dumpxml", spec.uuid)


def test_guest_boots_from_a_volume(driver, make_spec, make_volume, image_file, wait_for_output):
    volume = make_volume("/dev/vda", content=image_file.read_bytes(), boot_index=0)
    spec = make_spec(disks=(volume,), image=None)

    driver.create(spec)

    wait_for_output(spec.uuid, "guest is up")
    driver.reboot(spec, RebootKind.HARD, NOW)
    wait_for_output(spec.uuid, "guest is up", times=2)


def test_volume_is_swapped_under_a_running_guest(driver, host, make_spec, make_volume, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    old, new = make_volume("/dev/vdb", content=b"precious".ljust(1 << 20)), make_volume("/dev/vdb")
    driver.attach_volume(spec.uuid, old)

    driver.swap_volume(spec.uuid, old, new)
    driver.swap_volume(spec.uuid, old, new)

    path = path_of(new)
    assert path in host.virsh("domblklist", spec.uuid)
    assert path in host.virsh("domblklist", "--inactive", spec.uuid)
    assert Path(path).read_bytes().startswith(b"precious")
    driver.detach_volume(spec.uuid, new)
    assert path not in host.virsh("domblklist", spec.uuid)


@pytest.fixture
def swapped_behind_the_pivot(driver, host, make_spec, make_volume, wait_for_output, tmp_path):
    """A guest that writes to the new volume, and libvirtd died before it was defined with it."""
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    old, new = make_volume("/dev/vdb", content=b"precious".ljust(1 << 20)), make_volume("/dev/vdb")
    driver.attach_volume(spec.uuid, old)
    definition = tmp_path / "definition.xml"
    definition.write_text(host.virsh("dumpxml", "--inactive", "--security-info", spec.uuid))
    driver.swap_volume(spec.uuid, old, new)
    host.virsh("define", str(definition))
    assert path_of(new) in host.virsh("domblklist", spec.uuid)
    assert path_of(old) in host.virsh("domblklist", "--inactive", spec.uuid)
    return spec, old, new


def test_a_swap_that_broke_off_behind_the_pivot_is_completed(driver, host, swapped_behind_the_pivot):
    spec, old, new = swapped_behind_the_pivot

    driver.swap_volume(spec.uuid, old, new)

    for when in ((), ("--inactive",)):
        assert path_of(new) in host.virsh("domblklist", *when, spec.uuid)
        assert path_of(old) not in host.virsh("domblklist", *when, spec.uuid)
    assert Path(path_of(new)).read_bytes().startswith(b"precious")


def test_a_swap_that_broke_off_behind_the_pivot_is_undone(driver, host, swapped_behind_the_pivot):
    spec, old, new = swapped_behind_the_pivot
    Path(path_of(old)).write_bytes(bytes(1 << 20))

    driver.swap_volume(spec.uuid, new, old)

    for when in ((), ("--inactive",)):
        assert path_of(old) in host.virsh("domblklist", *when, spec.uuid)
        assert path_of(new) not in host.virsh("domblklist", *when, spec.uuid)
    assert Path(path_of(old)).read_bytes().startswith(b"precious")


def test_a_swap_that_broke_off_in_the_copy_is_undone(driver, host, make_spec, make_volume, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    old, new = make_volume("/dev/vdb", content=b"precious".ljust(1 << 20)), make_volume("/dev/vdb")
    driver.attach_volume(spec.uuid, old)
    copying = ["blockcopy", spec.uuid, "vdb", "--dest", path_of(new), "--reuse-external", "--transient-job"]
    host.virsh(*copying)
    assert "<mirror" in host.virsh("dumpxml", spec.uuid)

    driver.swap_volume(spec.uuid, new, old)

    assert "<mirror" not in host.virsh("dumpxml", spec.uuid)
    for when in ((), ("--inactive",)):
        assert path_of(old) in host.virsh("domblklist", *when, spec.uuid)
    assert Path(path_of(old)).read_bytes().startswith(b"precious")


def test_a_swapped_volume_is_swapped_again(driver, host, make_spec, make_volume, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    first, second, third = (make_volume("/dev/vdb") for _ in range(3))
    driver.attach_volume(spec.uuid, first)
    driver.swap_volume(spec.uuid, first, second)

    driver.swap_volume(spec.uuid, second, third)

    assert path_of(third) in host.virsh("domblklist", spec.uuid)
    assert path_of(third) in host.virsh("domblklist", "--inactive", spec.uuid)


def test_the_old_volume_can_be_attached_again_and_detached(driver, host, make_spec, make_volume, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    old, new = make_volume("/dev/vdb"), make_volume("/dev/vdb")
    driver.attach_volume(spec.uuid, old)
    driver.swap_volume(spec.uuid, old, new)
    again = msgspec.structs.replace(old, device_name="/dev/vdc")

    driver.attach_volume(spec.uuid, again)

    for when in ((), ("--inactive",)):
        assert path_of(old) in host.virsh("domblklist", *when, spec.uuid)
    driver.detach_volume(spec.uuid, again)
    for when in ((), ("--inactive",)):
        shown = host.virsh("domblklist", *when, spec.uuid)
        assert path_of(old) not in shown and path_of(new) in shown


def test_a_swap_that_fails_disconnects_nothing_it_has_not_connected(
    driver, host, make_spec, make_volume, wait_for_output, tmp_path, monkeypatch
):
    told = tmp_path / "told"
    program = tmp_path / "umount"
    program.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    lost, new = make_volume("/dev/vdb"), make_volume("/dev/vdc")
    # The host has connected it, as it does with one that is on NFS.
    record = host.instances / spec.uuid / f"volumes-{host.name}.json"
    data = {"export": "192.0.2.9:/volumes", "name": "volume"}
    connected = {new.volume.volume_id: {"kind": "nfs", "data": data, "device": {"path": path_of(new)}}}
    record.write_text(json.dumps(connected))

    with pytest.raises(errors.GuestFailed):
        driver.swap_volume(spec.uuid, lost, new)

    assert json.loads(record.read_text()) == connected
    assert not told.exists()


def test_volume_without_a_way_to_it_is_refused(driver, make_spec, make_volume):
    spec = make_spec()
    driver.create(spec)
    volume = make_volume("/dev/vdb")
    lost = msgspec.structs.replace(volume, volume=msgspec.structs.replace(volume.volume, connection_info=None))

    with pytest.raises(errors.GuestFailed, match="way to reach"):
        driver.attach_volume(spec.uuid, lost)


def test_host_describes_itself_to_the_block_storage_service(driver, host):
    connector = driver.connector()

    assert connector["host"] == host.name
    assert connector["os_type"] == "linux" and connector["ip"]


def test_diagnostics_count_what_the_guest_has(driver, make_spec, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")

    found = driver.diagnostics(spec.uuid)

    assert (found["state"], found["driver"], found["hypervisor"]) == ("running", "libvirt", "qemu")
    assert (found["num_cpus"], found["num_nics"], found["num_disks"]) == (1, 1, 1)
    assert found["nic_details"][0]["mac_address"] == spec.vifs[0].mac
    assert found["disk_details"][0]["read_bytes"] > 0
    assert found["memory_details"]["maximum"] == 32


def test_diagnostics_of_a_guest_that_is_off_say_so(driver, make_spec):
    spec = make_spec()
    driver.create(spec)
    driver.set_power(spec.uuid, PowerState.SHUTDOWN)

    before = calls_counted("state", "success")
    assert driver.diagnostics(spec.uuid)["state"] == "shutdown"
    assert calls_counted("state", "success") > before
    assert calls_counted("lookupByUUIDString", "error") > 0


def calls_counted(call, outcome):
    return REGISTRY.get_sample_value("nova_libvirt_call_seconds_count", {"call": call, "outcome": outcome}) or 0


def test_crash_dump_interrupts_the_guest(driver, make_spec, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")

    driver.crash_dump(spec.uuid)

    wait_for_output(spec.uuid, "guest got an NMI")


def test_password_needs_an_agent_in_the_guest(driver, make_spec):
    spec = make_spec(properties={"hw_qemu_guest_agent": "yes"})
    driver.create(spec)

    with pytest.raises(errors.GuestFailed, match="agent"):
        driver.set_password(spec.uuid, "root", "secret")


def test_images_that_guests_stand_on_are_known(driver, make_spec, image_file):
    driver.create(make_spec())

    assert driver.images_in_use() == {str(image_file)}


@pytest.fixture
def make_volume(tmp_path):
    def make(device_name, content=b"\0" * (1 << 20), boot_index=None):
        volume_id = str(uuid.uuid4())
        path = tmp_path / volume_id
        path.write_bytes(content)
        device = BlockDevice(
            id=str(uuid.uuid4()),
            source="volume",
            destination="volume",
            volume_id=volume_id,
            connection_info={"driver_volume_type": "local", "data": {"device_path": str(path)}},
        )
        return Disk(kind="volume", device_name=device_name, boot_index=boot_index, volume=device)

    return make


def path_of(volume):
    return volume.volume.connection_info["data"]["device_path"]


def test_cached_image_stays_while_a_guest_stands_on_it(driver, make_spec, tmp_path, image_file):
    cache = ImageCache(tmp_path / "_base", images=None)
    (tmp_path / "_base").mkdir()
    used, unused = tmp_path / "_base" / "used", tmp_path / "_base" / "unused"
    for path in (used, unused):
        path.write_bytes(image_file.read_bytes())
        os.utime(path, (0, 0))
    spec = make_spec()
    root = msgspec.structs.replace(spec.disks[0], image_path=str(used))
    driver.create(msgspec.structs.replace(spec, disks=(root,)))

    ImageCleaning(load([], []), cache, driver).clean()

    assert used.exists() and not unused.exists()
