"""A guest's life under a real libvirtd and QEMU, from its creation to its end."""

import datetime
import socket
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from nova import errors
from nova.structs.guest import ConsoleKind, Disk, RebootKind
from nova.structs.instance import PowerState


def test_guest_boots_and_its_console_can_be_read(driver, make_spec, wait_for_output):
    spec = make_spec()

    driver.create(spec)

    assert "guest is up" in wait_for_output(spec.uuid, "guest is up")
    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING
    assert [guest.name for guest in driver.guests()] == [spec.name]


def test_creating_a_guest_twice_keeps_the_first(driver, host, make_spec):
    spec = make_spec()
    driver.create(spec)
    first = host.virsh("domid", spec.uuid)

    driver.create(spec)

    assert host.virsh("domid", spec.uuid) == first
    assert len(driver.guests()) == 1


def test_creating_a_guest_from_two_threads_makes_one(driver, host, make_spec):
    spec = make_spec()
    threads = [threading.Thread(target=driver.create, args=(spec,)) for _ in range(3)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [guest.power_state for guest in driver.guests()] == [PowerState.RUNNING]


def test_destroyed_guest_leaves_nothing(driver, host, make_spec):
    spec = make_spec()
    driver.create(spec)

    driver.destroy(spec.uuid, spec.vifs)
    driver.destroy(spec.uuid, spec.vifs)

    assert driver.guests() == ()
    assert list(host.instances.iterdir()) == []
    assert "tap" not in subprocess.run(["ip", "link"], capture_output=True, text=True).stdout


def test_destroy_can_keep_the_disks_for_a_guest_made_later(driver, make_spec, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")

    driver.destroy(spec.uuid, spec.vifs, keep_disks=True)
    driver.create(spec)

    wait_for_output(spec.uuid, "guest is up", times=2)


def test_guest_that_is_not_there_is_reported_as_such(driver, make_spec):
    with pytest.raises(errors.GuestNotFound):
        driver.guest(make_spec().uuid)

    with pytest.raises(errors.GuestNotFound):
        driver.set_power(make_spec().uuid, PowerState.RUNNING)


@pytest.mark.parametrize("state", [PowerState.PAUSED, PowerState.SUSPENDED, PowerState.SHUTDOWN])
def test_guest_reaches_a_power_state_and_comes_back(driver, make_spec, wait_for_output, state):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")

    for target in (state, state, PowerState.RUNNING, PowerState.RUNNING):
        driver.set_power(spec.uuid, target)

        assert driver.guest(spec.uuid).power_state == target


def test_guest_is_asked_before_it_is_switched_off(driver, make_spec, wait_for_output, grace):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")

    driver.set_power(spec.uuid, PowerState.SHUTDOWN, grace)

    assert driver.guest(spec.uuid).power_state == PowerState.SHUTDOWN
    assert "guest goes down" in wait_for_output(spec.uuid, "guest goes down")


def test_guest_that_starts_paused_is_not_taken_for_one_that_the_hypervisor_has_paused(driver, make_spec):
    spec = make_spec(starts_paused=True)

    driver.create(spec)

    state = driver.guest(spec.uuid)
    assert (state.power_state, state.is_halted) == (PowerState.PAUSED, False)
    driver.set_power(spec.uuid, PowerState.RUNNING)
    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING


def test_guest_that_does_not_listen_is_switched_off(driver, make_spec):
    without_system = Disk(kind="root", device_name="/dev/vda", size_mb=1)
    spec = make_spec(disks=(without_system,))
    driver.create(spec)

    driver.set_power(spec.uuid, PowerState.SHUTDOWN, datetime.timedelta(seconds=1))

    assert driver.guest(spec.uuid).power_state == PowerState.SHUTDOWN


def test_guest_whose_qemu_died_is_crashed_and_can_be_started(driver, host, make_spec, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")

    host.kill_qemu(spec.uuid)
    wait_until_not_running(driver, spec)

    assert driver.guest(spec.uuid).power_state == PowerState.CRASHED
    driver.set_power(spec.uuid, PowerState.RUNNING)
    wait_for_output(spec.uuid, "guest is up", times=2)


def test_soft_reboot_lets_the_guest_end_in_order(driver, make_spec, wait_for_output, grace):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")

    driver.reboot(spec, RebootKind.SOFT, grace)

    output = wait_for_output(spec.uuid, "guest is up", times=2)
    assert "guest goes down" in output


def test_soft_reboot_becomes_a_hard_one_when_the_guest_does_not_listen(driver, host, make_spec):
    spec = make_spec(disks=(Disk(kind="root", device_name="/dev/vda", size_mb=1),))
    driver.create(spec)
    first = host.virsh("domid", spec.uuid)

    driver.reboot(spec, RebootKind.SOFT, datetime.timedelta(seconds=1))

    assert host.virsh("domid", spec.uuid) != first
    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING


def test_hard_reboot_mends_a_guest_whose_definition_was_lost(driver, host, make_spec, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    host.virsh("destroy", spec.uuid)
    host.virsh("undefine", spec.uuid)

    driver.reboot(spec, RebootKind.HARD, datetime.timedelta())

    wait_for_output(spec.uuid, "guest is up", times=2)


def test_hard_reboot_never_replaces_a_lost_disk_by_an_empty_one(driver, host, make_spec):
    spec = make_spec()
    driver.create(spec)
    (host.instances / spec.uuid / "disk").unlink()

    with pytest.raises(errors.DiskMissing) as raised:
        driver.reboot(spec, RebootKind.HARD, datetime.timedelta())

    assert str(host.instances) not in raised.value.message
    assert str(host.instances / spec.uuid / "disk") in raised.value.for_administrators


def test_guest_without_its_disk_is_not_started(driver, host, make_spec):
    spec = make_spec()
    driver.create(spec)
    driver.set_power(spec.uuid, PowerState.SHUTDOWN)
    (host.instances / spec.uuid / "disk").unlink()

    with pytest.raises(errors.DiskMissing):
        driver.set_power(spec.uuid, PowerState.RUNNING)


def test_screen_of_the_guest_can_be_reached(driver, make_spec):
    spec = make_spec()
    driver.create(spec)

    address = driver.console_address(spec.uuid, ConsoleKind.NOVNC)

    with socket.create_connection((address.host, address.port), timeout=10) as screen:
        assert screen.recv(3) == b"RFB"
    with pytest.raises(errors.NotImplementedHere):
        driver.console_address(spec.uuid, ConsoleKind.SPICE_HTML5)


def test_spice_screen_is_offered_where_it_is_configured(host, make_spec):
    driver = host.driver(spice__enabled=True, vnc__enabled=False)
    spec = make_spec()
    driver.create(spec)

    address = driver.console_address(spec.uuid, ConsoleKind.SPICE_HTML5)

    with socket.create_connection((address.host, address.port), timeout=10):
        pass


def test_console_shows_the_end_of_what_was_written_across_rotated_logs(driver, host, make_spec, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    (host.instances / spec.uuid / "console.log.0").write_bytes(b"earlier words")

    assert driver.console_output(spec.uuid, 100_000).startswith(b"earlier words")
    assert len(driver.console_output(spec.uuid, 5)) == 5


def test_guest_gets_its_disks_and_config_drive(driver, host, make_spec):
    spec = make_spec()
    disks = (
        msgspec.structs.replace(spec.disks[0], size_mb=5),
        Disk(kind="ephemeral", device_name="/dev/vdb", size_mb=10),
        Disk(kind="swap", device_name="/dev/vdc", size_mb=2),
    )
    spec = msgspec.structs.replace(spec, disks=disks, config_drive={"openstack/latest/meta_data.json": b'{"a": 1}'})

    driver.create(spec)

    shown = host.virsh("domblklist", spec.uuid, "--details")
    assert [line.split()[2] for line in shown.splitlines()] == ["vda", "vdb", "vdc", "hdd"]
    assert "5242880" in host.virsh("domblkinfo", spec.uuid, "vda")
    directory = host.instances / spec.uuid
    assert b"ephemeral0" in subprocess.run(["blkid", directory / "disk.eph0"], capture_output=True).stdout
    assert b'TYPE="swap"' in subprocess.run(["blkid", directory / "disk.swap0"], capture_output=True).stdout
    read = ["isoinfo", "-J", "-i", directory / "disk.config", "-x", "/openstack/latest/meta_data.json"]
    assert subprocess.run(read, capture_output=True).stdout == b'{"a": 1}'


def test_network_device_is_plugged_in_and_out_while_the_guest_runs(driver, host, make_spec, make_vif, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    vif = make_vif(77)

    driver.attach_vif(spec.uuid, vif)
    driver.attach_vif(spec.uuid, vif)
    macs = host.virsh("domiflist", spec.uuid)
    driver.detach_vif(spec.uuid, vif)
    driver.detach_vif(spec.uuid, vif)

    assert macs.count(vif.mac) == 1
    assert vif.mac not in host.virsh("domiflist", spec.uuid)
    assert vif.mac not in host.virsh("dumpxml", "--inactive", spec.uuid)


def test_network_device_is_plugged_into_a_guest_that_is_off(driver, host, make_spec, make_vif):
    spec = make_spec()
    driver.create(spec)
    driver.set_power(spec.uuid, PowerState.SHUTDOWN)
    vif = make_vif(78)

    driver.attach_vif(spec.uuid, vif)
    driver.set_power(spec.uuid, PowerState.RUNNING)

    assert vif.mac in host.virsh("domiflist", spec.uuid)


def test_guest_starts_again_after_its_bridge_was_lost(driver, make_spec, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    driver.set_power(spec.uuid, PowerState.SHUTDOWN)
    subprocess.run(["ip", "link", "del", "brtest"], check=True)

    driver.set_power(spec.uuid, PowerState.RUNNING)

    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING


def test_guests_somebody_else_made_are_not_ours(driver, host, tmp_path):
    definition = tmp_path / "other.xml"
    definition.write_text(
        "<domain type='qemu'><name>other</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    )

    host.virsh("define", str(definition))

    assert driver.guests() == ()


def test_host_tells_what_it_has(driver, host):
    (node,) = driver.nodes()

    assert node.hypervisor_hostname == host.name
    assert node.hypervisor_type == "QEMU"
    assert node.vcpus > 0 and node.memory_mb > 0 and node.disk_gb > 0
    assert ("x86_64", "qemu", "hvm") in node.supported_instances
    assert {"COMPUTE_NODE", "COMPUTE_STORAGE_BUS_VIRTIO", "HW_CPU_X86_SSE2"} <= set(node.traits)
    assert node.cpu_info["arch"] == "x86_64"


def wait_until_not_running(driver, spec):
    from nova.concurrency import wait_for

    assert wait_for(lambda: driver.guest(spec.uuid).power_state != PowerState.RUNNING, 90)


def test_green_threads_go_on_while_libvirt_works(driver, host, make_spec, wait_for_output):
    spec = make_spec()
    driver.create(spec)
    wait_for_output(spec.uuid, "guest is up")

    program = [sys.executable, Path(__file__).with_name("green_driver.py"), host.uri, host.instances, spec.uuid]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)

    state, turns = done.stdout.split()
    assert state == "SUSPENDED"
    assert int(turns) > 10
