"""What flavors and images can wish for, as far as QEMU itself must agree."""

import msgspec
import pytest

from nova import errors
from nova.structs.guest import ConsoleKind, Disk
from nova.structs.instance import PowerState

IMAGE_WISHES = [
    {"hw_machine_type": "q35"},
    {"hw_machine_type": "q35", "hw_cdrom_bus": "scsi", "hw_scsi_model": "virtio-scsi"},
    {"hw_disk_bus": "scsi"},
    {"hw_disk_bus": "ide"},
    {"hw_disk_bus": "usb"},
    {"hw_vif_model": "e1000"},
    {"hw_vif_model": "rtl8139"},
    {"hw_vif_multiqueue_enabled": "true"},
    {"hw_video_model": "vga"},
    {"hw_video_model": "qxl"},
    {"hw_pointer_model": "virtio"},
    {"hw_qemu_guest_agent": "yes"},
    {"hw_boot_menu": "true"},
    {"hw_watchdog_action": "reset"},
    {"os_type": "windows"},
    {"hw_sound_model": "ich9"},
    {"hw_usb_model": "nec-xhci"},
    {"hw_virtio_packed_ring": "true"},
    {"hw_serial_port_count": "4"},
    {"img_hide_hypervisor_id": "true"},
    {"hw_firmware_type": "uefi", "hw_machine_type": "q35"},
    {"hw_firmware_type": "uefi", "hw_machine_type": "q35", "os_secure_boot": "required"},
]
FLAVOR_WISHES = [
    {"hw:cpu_sockets": "1", "hw:cpu_threads": "2"},
    {"hw:mem_page_size": "small"},
    {"hw:watchdog_action": "pause"},
    {"hw_rng:allowed": "False"},
    {"hw_rng:rate_bytes": "4096"},
    {"quota:disk_total_iops_sec": "500"},
    {"hw:boot_menu": "true"},
    {"hw:cpu_max_sockets": "1"},
    {"hw:maxphysaddr_mode": "emulate", "hw:maxphysaddr_bits": "40"},
    {"hw:pmu": "false"},
]


@pytest.mark.parametrize("properties", IMAGE_WISHES, ids=str)
def test_guest_runs_with_what_its_image_wishes(driver, make_spec, properties):
    spec = make_spec(properties=properties, config_drive={"openstack/latest/meta_data.json": b"{}"})

    driver.create(spec)

    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING


@pytest.mark.parametrize("extra_specs", FLAVOR_WISHES, ids=str)
def test_guest_runs_with_what_its_flavor_wishes(driver, make_spec, extra_specs):
    spec = make_spec(extra_specs=extra_specs)
    spec = msgspec.structs.replace(spec, flavor=msgspec.structs.replace(spec.flavor, vcpus=2))

    driver.create(spec)

    assert driver.guest(spec.uuid).power_state == PowerState.RUNNING


@pytest.mark.parametrize("bus", ["scsi", "ide", "usb", "sata"])
def test_guest_boots_from_any_bus(driver, make_spec, wait_for_output, bus):
    machine = {"hw_machine_type": "q35"} if bus == "sata" else {}
    spec = make_spec(properties=machine)
    root = msgspec.structs.replace(spec.disks[0], bus=bus)

    driver.create(msgspec.structs.replace(spec, disks=(root,)))

    wait_for_output(spec.uuid, "guest is up")


def test_guest_boots_from_an_iso_image(driver, host, make_spec):
    spec = make_spec()
    image = msgspec.structs.replace(spec.image, disk_format="iso")

    driver.create(msgspec.structs.replace(spec, image=image))

    assert "cdrom" in host.virsh("domblklist", "--details", spec.uuid)


def test_guest_boots_from_a_raw_copy_where_overlays_are_off(host, make_spec, wait_for_output):
    driver = host.driver(use_cow_images=False)
    spec = make_spec()
    root = msgspec.structs.replace(spec.disks[0], size_mb=4)

    driver.create(msgspec.structs.replace(spec, disks=(root,)))

    wait_for_output(spec.uuid, "guest is up", by=driver)
    assert (host.instances / spec.uuid / "disk").stat().st_size == 4 << 20
    assert driver.images_in_use() == set()


def test_config_drive_can_be_a_vfat_disk(host, make_spec):
    driver = host.driver(config_drive_format="vfat")
    spec = make_spec(config_drive={"openstack/latest/meta_data.json": b"{}"})

    driver.create(spec)

    assert (host.instances / spec.uuid / "disk.config").read_bytes()[:512].endswith(b"\x55\xaa")


def test_serial_port_is_offered_as_a_console(host, make_spec, wait_for_output):
    import socket

    driver = host.driver(serial_console__enabled=True)
    spec = make_spec()
    driver.create(spec)

    address = driver.console_address(spec.uuid, ConsoleKind.SERIAL)

    with socket.create_connection((address.host, address.port), timeout=10) as line:
        wait_for_output(spec.uuid, "guest is up", by=driver)
        line.sendall(b"hello")
        wait_for_output(spec.uuid, "hello", by=driver)


def test_dedicated_cpus_are_not_promised(driver, make_spec):
    with pytest.raises(errors.HostRefused, match="dedicated"):
        driver.create(make_spec(extra_specs={"hw:cpu_policy": "dedicated"}))


def test_cpu_model_that_the_host_does_not_offer_is_said_at_the_start(host):
    with pytest.raises(errors.Unavailable, match="cpu_mode"):
        host.driver(libvirt__cpu_mode="host-passthrough").start()

    with pytest.raises(errors.Unavailable, match="cpu_models"):
        host.driver(libvirt__cpu_mode="custom", libvirt__cpu_models=["NoSuchModel"]).start()


def test_first_usable_cpu_model_is_taken(host, make_spec):
    driver = host.driver(libvirt__cpu_mode="custom", libvirt__cpu_models=["NoSuchModel", "qemu64"])

    spec = make_spec()
    driver.create(spec)

    assert "qemu64" in host.virsh("dumpxml", spec.uuid)


def test_ephemeral_disk_gets_the_file_system_it_was_asked_for(driver, host, make_spec):
    spec = make_spec()
    disk = Disk(kind="ephemeral", device_name="/dev/vdb", size_mb=40, guest_format="vfat")

    driver.create(msgspec.structs.replace(spec, disks=(*spec.disks, disk)))

    assert b"ephemeral0" in (host.instances / spec.uuid / "disk.eph0").read_bytes()[:512]
