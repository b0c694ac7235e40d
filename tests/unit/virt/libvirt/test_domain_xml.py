"""Each device of a guest's definition, compared with the XML that lies beside this file.

WRITE_EXPECTED=1 writes what comes out now to expected/, to be read before it is committed.
"""

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from nova import errors
from nova.structs.flavor import Flavor
from nova.structs.guest import Disk, GuestSpec
from nova.structs.image import Image
from nova.structs.network import Vif
from nova.structs.share import Share
from nova.virt.libvirt import domain_xml, files
from nova.virt.libvirt.domain_xml import console, cpu, disk, extras, interface, memory, metadata, share, system, tuning
from nova.virt.libvirt.domain_xml.facts import Drive, Host

EXPECTED = Path(__file__).parent / "expected"
HOST = Host()
KVM = Host(virt_type="kvm")
VIF = Vif(
    port_id="8ef17d39-6c71-4a1f-8bb2-c4e1a5d0a7a1",
    network_id="n",
    network_label="private",
    mac="fa:16:3e:4c:2c:30",
    mtu=1450,
    details={"bridge_name": "br100"},
)
SHARE = Share(uuid="u", share_id="s", tag="data", export_location="192.0.2.9:/export/s")
ROOT = Drive(target="vda", bus="virtio", path="/i/disk", format="qcow2", boot_order=1)


def spec(extra_specs=None, properties=None, **changes):
    made = GuestSpec(
        uuid="0e1ae0d3-5a5e-4f8e-8f41-55f8e2b9d8a1",
        name="instance-00000001",
        display_name="first",
        project_id="project",
        user_id="user",
        flavor=Flavor(id="1", name="m1.tiny", vcpus=2, memory_mb=512, extra_specs=extra_specs or {}),
        image=Image(id="image", properties=properties or {}),
        vifs=(VIF,),
    )
    return msgspec.structs.replace(made, **changes)


def guest_with_everything():
    wishes = spec(
        extra_specs={"hw:watchdog_action": "reset", "quota:cpu_shares": "2048"},
        properties={"hw_qemu_guest_agent": "yes", "hw_disk_bus": "scsi"},
        config_drive={},
        disks=(
            Disk(kind="root", device_name="/dev/sda", bus="scsi", boot_index=0),
            Disk(kind="swap", device_name="/dev/sdb", bus="scsi", size_mb=64),
        ),
    )
    host = msgspec.structs.replace(HOST, spice_listen="127.0.0.1")
    drives = files.plan_drives(wishes, Path("/i"), host, files.DiskOptions(), {})
    return domain_xml.build(wishes, drives, host, "/i/console.log")


ELEMENTS = {
    "metadata": lambda: metadata.metadata(spec(display_name="a <b> & 'c'\x00\ud800")),
    "os_pc": lambda: system.operating_system(spec(), HOST),
    "os_uefi": lambda: system.operating_system(
        spec(properties={"hw_firmware_type": "uefi", "hw_machine_type": "q35", "hw_boot_menu": "true"}), HOST
    ),
    "os_secure_boot": lambda: system.operating_system(
        spec(properties={"hw_firmware_type": "uefi", "os_secure_boot": "required"}), HOST
    ),
    "os_direct_kernel": lambda: system.operating_system(spec(kernel_path="/i/kernel", ramdisk_path="/i/ramdisk"), HOST),
    "smbios": lambda: system.smbios(spec(), msgspec.structs.replace(HOST, smbios_serial="unique")),
    "features": lambda: system.features(spec(), HOST),
    "features_windows": lambda: system.features(spec(properties={"os_type": "windows"}), KVM),
    "clock": lambda: system.clock(spec(), HOST),
    "clock_windows": lambda: system.clock(spec(properties={"os_type": "windows"}), KVM),
    "cpu_host_model": lambda: cpu.cpu(spec(), HOST),
    "cpu_none": lambda: cpu.cpu(spec(), msgspec.structs.replace(HOST, cpu_mode="none")),
    "cpu_custom": lambda: cpu.cpu(
        spec(), msgspec.structs.replace(HOST, cpu_mode="custom", cpu_model="EPYC", cpu_flags=("+aes", "-vmx", "pcid"))
    ),
    "cpu_topology": lambda: cpu.cpu(spec(extra_specs={"hw:cpu_cores": "2"}), HOST),
    "cpu_address_space": lambda: cpu.cpu(
        spec(extra_specs={"hw:maxphysaddr_mode": "emulate", "hw:maxphysaddr_bits": "42"}), HOST
    ),
    "cpu_address_space_of_image": lambda: cpu.cpu(
        spec(properties={"hw_maxphysaddr_mode": "emulate", "hw_maxphysaddr_bits": "42"}), HOST
    ),
    "features_chosen": lambda: system.features(
        spec(extra_specs={"hw:pmu": "false", "hw:hide_hypervisor_id": "true"}, properties={"hw_pmu": "true"}), HOST
    ),
    "disk_packed": lambda: disk.disk(ROOT, spec(properties={"hw_virtio_packed_ring": "true"})),
    "interface_packed": lambda: interface.interface(
        VIF, spec(extra_specs={"hw:virtio_packed_ring": "true", "hw:vif_multiqueue_enabled": "true"}), HOST
    ),
    "sound": lambda: extras.sound(spec(properties={"hw_sound_model": "ICH9"})),
    "serial_second": lambda: extras.further_serials(spec(extra_specs={"hw:serial_port_count": "2"}))[0],
    "usb": lambda: disk.controllers(spec(extra_specs={"hw:usb_model": "nec-xhci"}), (), HOST)[0],
    "memory": lambda: memory.memory(spec()),
    "memory_pages": lambda: memory.backing(spec(extra_specs={"hw:mem_page_size": "1GB"}), HOST),
    "memory_large_pages": lambda: memory.backing(spec(properties={"hw_mem_page_size": "large"}), HOST),
    "memory_files": lambda: memory.backing(spec(), Host(has_memory_in_files=True)),
    "memory_pages_shared": lambda: memory.backing(
        spec(extra_specs={"hw:mem_page_size": "2MB"}, shares=(SHARE,)), Host(has_memory_in_files=True)
    ),
    "share": lambda: share.share(SHARE, HOST),
    "balloon": lambda: memory.balloon(HOST),
    "cpu_tune": lambda: tuning.cpu_tune(spec(extra_specs={"quota:cpu_quota": "50000", "quota:cpu_period": "100000"})),
    "memory_tune": lambda: tuning.memory_tune(spec(extra_specs={"quota:memory_limit": "1024"})),
    "disk_root": lambda: disk.disk(ROOT),
    "disk_limited": lambda: disk.disk(ROOT, spec(extra_specs={"quota:disk_total_iops_sec": "500"})),
    "disk_cdrom": lambda: disk.disk(
        Drive(target="hdd", bus="ide", path="/i/disk.config", device="cdrom", is_read_only=True), spec()
    ),
    "disk_block_volume": lambda: disk.disk(
        Drive(target="vdb", bus="virtio", path="/dev/sdx", type="block", serial="volume", cache="none", discard="unmap")
    ),
    "disk_rbd_volume": lambda: disk.disk(
        Drive(
            target="vdb",
            bus="virtio",
            type="network",
            protocol="rbd",
            path="volumes/v",
            hosts=("192.0.2.1:6789", "[2001:db8::1]:6789"),
            user="cinder",
            secret="0e1ae0d3-5a5e-4f8e-8f41-55f8e2b9d8a2",
            is_shareable=True,
        )
    ),
    "interface_bridge": lambda: interface.interface(VIF, spec(), HOST),
    "interface_limited": lambda: interface.interface(
        VIF,
        spec(
            extra_specs={
                "quota:vif_inbound_average": "100",
                "quota:vif_inbound_burst": "10",
                "quota:vif_outbound_peak": "200",
            }
        ),
        HOST,
    ),
    "interface_queues": lambda: interface.interface(VIF, spec(properties={"hw_vif_multiqueue_enabled": "true"}), HOST),
    "interface_model": lambda: interface.interface(VIF, spec(properties={"hw_vif_model": "e1000"}), HOST),
    "interface_ovs": lambda: interface.interface(
        msgspec.structs.replace(VIF, vif_type="ovs", details={"bridge_name": "br-int"}), None, HOST
    ),
    "interface_tap": lambda: interface.interface(msgspec.structs.replace(VIF, vif_type="tap"), None, HOST),
    "graphics_vnc": lambda: console.graphics(HOST)[0],
    "graphics_spice": lambda: console.graphics(Host(vnc_listen=None, spice_listen="192.0.2.7"))[0],
    "video": lambda: console.video(spec(), HOST),
    "video_model": lambda: console.video(
        spec(extra_specs={"hw_video:ram_max_mb": "64"}, properties={"hw_video_model": "vga", "hw_video_ram": "32"}),
        HOST,
    ),
    "pointer": lambda: console.pointer(spec(), HOST),
    "serial": lambda: console.serial(HOST, "/i/console.log", None),
    "serial_console": lambda: console.serial(Host(serial_listen="192.0.2.7"), "/i/console.log", 10000),
    "rng": lambda: extras.rng(spec(), HOST),
    "rng_limited": lambda: extras.rng(spec(extra_specs={"hw_rng:rate_bytes": "1024"}), HOST),
    "watchdog": lambda: extras.watchdog(spec(properties={"hw_watchdog_action": "poweroff"})),
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_element_is_as_expected(name):
    compare(name, domain_xml.to_text(ELEMENTS[name]()))


def test_whole_guest_is_as_expected():
    compare("guest", guest_with_everything())


@pytest.mark.parametrize(
    "element",
    [
        extras.watchdog(spec()),
        extras.sound(spec()),
        extras.rng(spec(extra_specs={"hw_rng:allowed": "False"}), HOST),
        memory.backing(spec(extra_specs={"hw:mem_page_size": "small"}), HOST),
        tuning.cpu_tune(spec()),
        console.video(spec(), Host(vnc_listen=None)),
        console.pointer(spec(), Host(vnc_listen=None)),
    ],
)
def test_what_nobody_asked_for_is_not_there(element):
    assert element is None


def test_unbound_port_cannot_be_plugged():
    with pytest.raises(errors.GuestFailed, match="unbound"):
        interface.interface(msgspec.structs.replace(VIF, vif_type="unbound"), None, HOST)


def test_a_port_whose_filters_are_on_a_bridge_of_its_own_cannot_be_plugged():
    hybrid = msgspec.structs.replace(VIF, vif_type="ovs", details={"bridge_name": "br-int", "ovs_hybrid_plug": True})

    with pytest.raises(errors.GuestFailed, match="hybrid"):
        interface.interface(hybrid, None, HOST)


def compare(name, text):
    path = EXPECTED / f"{name}.xml"
    ET.fromstring(text)
    if os.environ.get("WRITE_EXPECTED"):
        path.write_text(text)
    assert text == path.read_text()
