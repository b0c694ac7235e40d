"""Guests of the XenServer driver as their users and operators see them."""

import datetime
import socket
import subprocess
import threading
from pathlib import Path

import msgspec
import pytest

from nova import concurrency, errors
from nova.structs.disks import DisksId
from nova.structs.flavor import Flavor
from nova.structs.guest import ConsoleKind, Disk, RebootKind
from nova.structs.instance import PowerState


def vm_of(pool, spec):
    found = [
        (ref, record)
        for ref, record in pool.store.all("VM").items()
        if record["other_config"].get("nova:name") == spec.uuid and not record["is_a_snapshot"]
    ]
    assert len(found) == 1
    return found[0]


def disks_of(pool):
    return sorted(record["name_label"] for record in pool.store.all("VDI").values())


def test_guest_runs_from_its_image_and_shows_what_it_writes(driver, make_spec):
    spec = make_spec()
    driver.create(spec)

    assert concurrency.wait_for(lambda: b"." in driver.console_output(spec.uuid, 65536), 60)
    address = driver.console_address(spec.uuid, ConsoleKind.NOVNC)
    with socket.create_connection((address.host, address.port)) as screen:
        screen.sendall(f"CONNECT {address.path} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while b"RFB" not in answer:
            answer += screen.recv(100)
    details = driver.diagnostics(spec.uuid)
    assert (details["state"], details["num_cpus"], details["num_disks"], details["num_nics"]) == ("running", 1, 1, 1)


def test_second_guest_of_an_image_imports_nothing(driver, pool, make_spec):
    driver.create(make_spec())
    driver.create(make_spec())

    assert pool.calls.count("import_raw_vdi") == 1


@pytest.mark.parametrize("rule", ["some", "none"])
def test_image_that_is_not_to_be_kept_is_not(pool, make_driver, make_spec, rule):
    driver = make_driver(pool, cache_images=rule)
    spec = make_spec()
    driver.create(spec)

    assert disks_of(pool) == [f"{spec.uuid} root"]


def test_vhd_is_imported_as_the_disk_it_holds(driver, pool, make_spec, image_file, tmp_path):
    vhd = tmp_path / "image.vhd"
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on", str(image_file), str(vhd)], check=True
    )
    root = msgspec.structs.replace(make_spec().disks[0], image_path=str(vhd), image_format="vhd")
    spec = make_spec(disks=(root,))

    driver.create(spec)

    assert concurrency.wait_for(lambda: b"." in driver.console_output(spec.uuid, 65536), 60)
    (image,) = (
        record
        for record in pool.store.all("VDI").values()
        if record["name_label"] == "image image.vhd" or "nova:image" in record["other_config"]
    )
    assert int(image["virtual_size"]) == 1 << 20


def test_pv_guest_has_a_boot_loader_and_no_bios(driver, pool, make_spec):
    spec = make_spec(properties={"hw_vm_mode": "xen"})
    driver.create(spec)

    _, vm = vm_of(pool, spec)
    assert (vm["PV_bootloader"], vm["HVM_boot_policy"], vm["domain_type"]) == ("pygrub", "", "pv")


def test_config_drive_is_on_the_guests_fourth_disk(driver, pool, make_spec):
    spec = make_spec(config_drive={"openstack/latest/meta_data.json": b'{"uuid": "it is me"}'})
    driver.create(spec)

    _, vm = vm_of(pool, spec)
    (vbd,) = (record for ref in vm["VBDs"] if (record := pool.store.get("VBD", ref))["userdevice"] == "3")
    content = (pool.directory / pool.store.get("VDI", vbd["VDI"])["location"]).read_bytes()
    assert vbd["mode"] == "RO" and b"it is me" in content and b"config-2" in content


def test_guest_that_stops_by_itself_is_seen_to_be_off(driver, pool, make_spec):
    spec = make_spec()
    driver.create(spec)

    pool.vms.guests[vm_of(pool, spec)[0]].order("quit")

    assert concurrency.wait_for(lambda: driver.guest(spec.uuid).power_state is PowerState.SHUTDOWN, 10)


def test_guest_that_stops_by_itself_is_told_of_at_once(driver, pool, make_spec):
    spec, other = make_spec(), make_spec()
    driver.create(spec)
    driver.create(other)
    while driver.wait_for_change(0.1):
        """What has happened so far."""
    vm = vm_of(pool, spec)[0]

    threading.Timer(0.5, lambda: pool.vms.guests[vm].order("quit")).start()

    assert driver.wait_for_change(20)
    assert driver.guest(spec.uuid).power_state is PowerState.SHUTDOWN
    assert not driver.wait_for_change(0.1)


def test_host_says_what_it_has_and_which_guests_it_runs(driver):
    (node,) = driver.nodes()

    assert (node.hypervisor_hostname, node.hypervisor_type, node.hypervisor_version) == ("xen1", "XenServer", 8004000)
    assert (node.vcpus, node.memory_mb, node.disk_gb) == (4, 8192, 100)
    assert set(node.supported_instances) == {("x86_64", "xen", "hvm"), ("x86_64", "xen", "xen")}


# What an operator does behind the driver's back


def test_guest_that_was_renamed_is_still_the_same(driver, client, pool, make_spec):
    spec = make_spec()
    driver.create(spec)
    client.VM.set_name_label(vm_of(pool, spec)[0], "renamed")

    driver.reboot(spec, RebootKind.HARD, datetime.timedelta())

    assert driver.guest(spec.uuid).power_state is PowerState.RUNNING
    assert len(driver.guests()) == 1


def test_guest_needs_its_image_for_a_disk_that_is_to_be_made_alone(driver, make_spec):
    spec, other = make_spec(), make_spec()
    driver.create(spec)

    driver.reboot(without_image(spec), RebootKind.HARD, datetime.timedelta())
    with pytest.raises(errors.ImageNotFound):
        driver.create(without_image(other))

    assert [guest.uuid for guest in driver.guests()] == [spec.uuid]
    assert driver.guest(spec.uuid).power_state is PowerState.RUNNING


def without_image(spec):
    root = msgspec.structs.replace(spec.disks[0], image_path=None, image_format=None, missing_image="image")
    return msgspec.structs.replace(spec, disks=(root, *spec.disks[1:]))


def test_guest_that_was_deleted_is_gone_and_its_disks_are_not_made_anew(driver, client, pool, make_spec):
    spec = make_spec()
    driver.create(spec)
    vm = vm_of(pool, spec)[0]
    client.VM.hard_shutdown(vm)
    client.VM.destroy(vm)

    with pytest.raises(errors.GuestNotFound):
        driver.guest(spec.uuid)
    with pytest.raises(errors.DiskMissing):
        driver.reboot(spec, RebootKind.HARD, datetime.timedelta())
    driver.destroy(spec.uuid, spec.vifs, made_by=spec.disks_id)


def test_guest_whose_mark_somebody_has_damaged_keeps_no_other_from_being_told_of(driver, client, pool, make_spec):
    damaged, spec = make_spec(), make_spec()
    driver.create(damaged)
    driver.create(spec)
    ref = vm_of(pool, damaged)[0]
    client.VM.remove_from_other_config(ref, "nova:mark")
    client.VM.add_to_other_config(ref, "nova:mark", "{")

    assert [held.server for held in driver.held_disks()] == [spec.uuid]


def test_copies_that_an_operator_made_stay(driver, client, pool, make_spec):
    spec = make_spec()
    driver.create(spec)
    driver.set_power(spec.uuid, PowerState.SHUTDOWN)
    ref, record = vm_of(pool, spec)
    root = pool.store.get("VBD", record["VBDs"][0])["VDI"]
    copy, snapshot = client.VDI.clone(root, {}), client.VDI.snapshot(root, {})
    other = pool.store.add("VM", record | {"name_label": "copy", "VBDs": [], "VIFs": [], "consoles": []})

    assert [guest.uuid for guest in driver.guests()] == [spec.uuid]
    driver.destroy(spec.uuid, spec.vifs, made_by=spec.disks_id)
    driver.destroy(spec.uuid, spec.vifs)

    vdis = pool.store.all("VDI")
    assert {copy, snapshot} <= vdis.keys() and root not in vdis
    assert other in pool.store.all("VM") and ref not in pool.store.all("VM")


def test_disk_that_an_operator_attached_stays(driver, client, pool, make_spec):
    spec = make_spec()
    driver.create(spec)
    driver.set_power(spec.uuid, PowerState.SHUTDOWN)
    theirs = pool.vdis.create({"name_label": "theirs", "SR": pool.storage, "virtual_size": "1048576", "type": "user",
                               "sharable": False, "read_only": False, "other_config": {}})  # fmt: skip
    record = {"VM": vm_of(pool, spec)[0], "VDI": theirs, "userdevice": "9", "bootable": False, "mode": "RW"}
    record |= {"type": "Disk", "empty": False, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
    client.VBD.create(record)

    driver.destroy(spec.uuid, spec.vifs, made_by=spec.disks_id)

    assert theirs in pool.store.all("VDI")


def test_guests_of_another_nova_compute_are_not_touched(make_pool, make_driver, make_spec):
    pool = make_pool(hosts=("xen1", "xen2"))
    first, second = make_driver(pool, "xen1"), make_driver(pool, "xen2")
    spec = make_spec()
    first.create(spec)

    second.destroy(spec.uuid, spec.vifs)

    assert second.guests() == () and second.held_disks() == ()
    assert first.guest(spec.uuid).power_state is PowerState.RUNNING


# What cannot be done


def test_full_storage_leaves_nothing(driver, pool, make_spec):
    spec = make_spec()
    root = msgspec.structs.replace(spec.disks[0], size_mb=200 * 1024)

    with pytest.raises(errors.DiskFull):
        driver.create(msgspec.structs.replace(spec, disks=(root,)))

    assert driver.guests() == () and driver.held_disks() == ()
    assert disks_of(pool) == ["image image"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"image_format": "qcow2"}, errors.ImageInvalid),
        ({"max_size_mb": 0, "size_mb": 0, "image_path": None}, errors.ImageInvalid),
    ],
)
def test_image_that_cannot_be_used_is_refused(driver, pool, make_spec, changes, error):
    spec = make_spec()
    root = msgspec.structs.replace(spec.disks[0], **changes)

    with pytest.raises(error):
        driver.create(msgspec.structs.replace(spec, disks=(root,)))

    assert driver.held_disks() == () and disks_of(pool) == []


def test_host_in_maintenance_takes_no_guest_and_keeps_those_it_has(driver, client, pool, make_spec):
    spec = make_spec()
    driver.create(spec)
    client.host.disable(pool.hosts["xen1"])

    with pytest.raises(errors.HostRefused):
        driver.create(make_spec())

    assert [guest.uuid for guest in driver.guests()] == [spec.uuid]
    assert len(driver.held_disks()) == 1
    driver.set_power(spec.uuid, PowerState.PAUSED)


def test_host_without_memory_takes_no_guest(driver, make_spec):
    spec = make_spec(flavor=Flavor(id="9", name="huge", vcpus=1, memory_mb=64 * 1024))

    with pytest.raises(errors.HostRefused):
        driver.create(spec)

    assert driver.held_disks() == ()


def test_unknown_bridge_is_refused_and_nothing_is_made(driver, pool, make_spec):
    spec = make_spec()
    vif = msgspec.structs.replace(spec.vifs[0], details={"bridge_name": "no-such-bridge"})

    with pytest.raises(errors.HostRefused):
        driver.create(msgspec.structs.replace(spec, vifs=(vif,)))

    assert driver.held_disks() == ()


def test_mode_that_xenserver_has_not_is_refused_before_anything_is_made(driver, pool, make_spec):
    pool.calls.clear()

    with pytest.raises(errors.HostRefused):
        driver.create(make_spec(properties={"vm_mode": "uml"}))

    assert pool.calls == []


# Moves between the hosts of a pool


def test_guest_moves_with_its_data_and_returns(make_pool, make_driver, make_spec):
    pool = make_pool(hosts=("xen1", "xen2"))
    source, destination = make_driver(pool, "xen1"), make_driver(pool, "xen2")
    spec = make_spec()
    source.create(spec)
    source.set_power(spec.uuid, PowerState.SHUTDOWN)
    root = find_root(pool, spec)
    with (pool.directory / root["location"]).open("r+b") as file:
        file.seek(65536)
        file.write(b"what the user wrote")
    moved = msgspec.structs.replace(spec, disks_id=DisksId(generation=2, host="xen2"), moves_from=spec.disks_id)

    destination.take_over(moved, source.set_aside(spec))
    destination.set_power(spec.uuid, PowerState.RUNNING)

    assert source.guests() == ()
    there = Path(pool.directory / find_root(pool, spec)["location"])
    assert b"what the user wrote" in there.read_bytes()
    destination.destroy(spec.uuid, spec.vifs, made_by=moved.disks_id)
    source.bring_back(spec)
    source.set_power(spec.uuid, PowerState.RUNNING)
    assert source.guest(spec.uuid).power_state is PowerState.RUNNING


def find_root(pool, spec):
    (vm,) = (r for r in pool.store.all("VM").values() if r["other_config"].get("nova:name") == spec.uuid)
    vdis = pool.store.all("VDI").values()
    (root,) = (r for r in vdis if r["other_config"].get("nova:vm") == vm["uuid"])
    return root


def test_rescued_guest_boots_from_the_other_disk_and_keeps_its_own(driver, pool, make_spec, image_file):
    spec = make_spec()
    driver.create(spec)
    rescue = Disk(kind="root", device_name="/dev/vda", image_path=str(image_file), image_format="raw", boot_index=0)
    own = find_root(pool, spec)["uuid"]

    driver.rescue(spec, rescue)

    places = {}
    for ref in vm_of(pool, spec)[1]["VBDs"]:
        vbd = pool.store.get("VBD", ref)
        places[vbd["userdevice"]] = pool.store.get("VDI", vbd["VDI"])["uuid"]
    assert places["1"] == own and places["0"] != own
    driver.unrescue(spec)
    assert find_root(pool, spec)["uuid"] == own
    assert driver.guest(spec.uuid).power_state is PowerState.RUNNING
