"""What a guest's definition becomes on its way to another host."""

import xml.etree.ElementTree as ET

from nova.virt.libvirt.migration import Facts, rewrite

DEFINITION = """
<domain><devices>
  <disk type='file'>
    <source file='/here/u/disk'/><backingStore type='file'><source file='/here/_base/i'/></backingStore>
    <target dev='vda'/>
  </disk>
  <disk type='block'><source dev='/dev/sdx'/><serial>v</serial><target dev='vdb'/></disk>
  <serial type='pty'><log file='/here/u/console.log'/></serial>
  <graphics type='vnc' listen='192.0.2.1'><listen type='address' address='192.0.2.1'/></graphics>
</devices></domain>
"""


def test_paths_and_addresses_become_the_destinations():
    facts = Facts(address="192.0.2.2", directory="/there/u", vnc_listen="192.0.2.2", sources={"v": {"dev": "/dev/sdy"}})

    devices = ET.fromstring(rewrite(DEFINITION, "/here/u", facts)).find("devices")

    assert [source.attrib for source in devices.findall("disk/source")] == [
        {"file": "/there/u/disk"},
        {"dev": "/dev/sdy"},
    ]
    assert devices.find("disk/backingStore") is None
    assert devices.find("serial/log").get("file") == "/there/u/console.log"
    assert devices.find("graphics").get("listen") == "192.0.2.2"
    assert devices.find("graphics/listen").get("address") == "192.0.2.2"
