"""What a guest's definition becomes on its way to another host."""

import xml.etree.ElementTree as ET

import pytest

from nova import errors
from nova.virt.libvirt.migration import Facts, rewrite

DEFINITION = """
<domain><devices>
  <disk type='file'>
    <source file='/here/u/disk'/><backingStore type='file'><source file='/here/_base/i'/></backingStore>
    <target dev='vda'/>
  </disk>
  <disk type='block'><source dev='/dev/sdx'/><serial>v</serial><target dev='vdb'/></disk>
  <serial type='pty'><log file='/here/u/console.log'/></serial>
  <serial type='tcp'><source mode='bind' host='192.0.2.1' service='10000'/><protocol type='raw'/></serial>
  <console type='tcp'><source mode='bind' host='192.0.2.1' service='10000'/><protocol type='raw'/></console>
  <graphics type='vnc' listen='192.0.2.1'><listen type='address' address='192.0.2.1'/></graphics>
</devices></domain>
"""
SOURCES = {"v": {"dev": "/dev/sdy"}}


def test_paths_and_addresses_become_the_destinations():
    facts = Facts(address="192.0.2.2", directory="/there/u", vnc_listen="192.0.2.2", sources=SOURCES)

    devices = ET.fromstring(rewrite(DEFINITION, "/here/u", facts)).find("devices")

    assert [source.attrib for source in devices.findall("disk/source")] == [
        {"file": "/there/u/disk"},
        {"dev": "/dev/sdy"},
    ]
    assert devices.find("disk/backingStore") is None
    assert devices.find("serial/log").get("file") == "/there/u/console.log"
    assert devices.find("graphics").get("listen") == "192.0.2.2"
    assert devices.find("graphics/listen").get("address") == "192.0.2.2"


def test_a_volume_that_took_another_s_place_lies_where_the_destination_has_it():
    running = DEFINITION.replace("<serial>v</serial>", "<serial>the one before</serial>")
    facts = Facts(address="192.0.2.2", directory="/there/u", sources=SOURCES)

    disk = ET.fromstring(rewrite(running, "/here/u", facts, DEFINITION)).findall("devices/disk")[1]

    assert disk.find("source").attrib == {"dev": "/dev/sdy"}
    # What QEMU shows the guest stays what it was.
    assert disk.findtext("serial") == "the one before"


def test_a_device_of_which_the_destination_says_nothing_keeps_the_guest():
    facts = Facts(address="192.0.2.2", directory="/there/u", sources={"w": {"dev": "/dev/sdy"}})

    with pytest.raises(errors.GuestFailed, match="does not say where a volume"):
        rewrite(DEFINITION, "/here/u", facts)


@pytest.mark.parametrize("port", ["serial", "console"])
def test_a_serial_console_listens_at_the_destinations_address_and_port(port):
    facts = Facts(address="192.0.2.2", directory="/there/u", sources=SOURCES, serial=("192.0.2.2", 20000))

    source = ET.fromstring(rewrite(DEFINITION, "/here/u", facts)).find(f"devices/{port}[@type='tcp']/source")

    assert source.attrib == {"mode": "bind", "host": "192.0.2.2", "service": "20000"}


@pytest.mark.parametrize("port", ["serial", "console"])
def test_a_host_without_serial_consoles_binds_no_port(port):
    facts = Facts(address="192.0.2.2", directory="/there/u", sources=SOURCES)

    devices = ET.fromstring(rewrite(DEFINITION, "/here/u", facts)).find("devices")

    assert {element.get("type") for element in devices.findall(port)} == {"pty"}
    assert devices.findall(f"{port}/source") == devices.findall(f"{port}/protocol") == []


def test_a_screen_never_listens_at_the_source_hosts_address():
    facts = Facts(address="192.0.2.2", directory="/there/u", sources=SOURCES)

    graphics = ET.fromstring(rewrite(DEFINITION, "/here/u", facts)).find("devices/graphics")

    assert (graphics.get("listen"), graphics.find("listen").get("address")) == ("127.0.0.1", "127.0.0.1")
