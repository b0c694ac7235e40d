"""Which device of the host a volume is: a boot of the host deals its names out anew, and the one that a guest was defined
with may be another server's volume by then."""

import logging
import xml.etree.ElementTree as ET
from collections.abc import Mapping

from nova import errors
from nova.virt.libvirt.devices import serial_of
from nova.virt.libvirt.domain_xml.facts import Drive

LOG = logging.getLogger(__name__)


def serials(definition: str, later: str) -> set[str]:
    """The serial numbers of a guest's volumes. later: its definition for the next start, which names them rightly."""
    known = _devices(ET.fromstring(later))
    return {serial_of(disk, known) for disk in _devices(ET.fromstring(definition)).findall("disk")} - {""}


def renew(definition: str, drives: Mapping[str, Drive], later: str, may_drop: bool) -> str | None:
    """The definition on the devices that its volumes are now; None where it says so already.

    drives: the volumes, just connected, by their serial numbers. may_drop: a device that is none of them is left out.
    Raises errors.GuestFailed.
    """
    domain, known = ET.fromstring(definition), _devices(ET.fromstring(later))
    is_changed = False
    for devices in domain.findall("devices"):
        for disk in devices.findall("disk"):
            drive = drives.get(serial_of(disk, known))
            if drive is not None and drive.type == "block":
                is_changed |= _point(disk, drive.path)
            elif drive is not None and disk.get("type") == "block":
                raise errors.GuestFailed(reason=f"Volume {drive.serial} is no device of the server's host")
            elif disk.get("type") == "block":
                _check_drop(disk, may_drop)
                devices.remove(disk)
                is_changed = True
    return ET.tostring(domain, encoding="unicode") if is_changed else None


def _devices(domain: ET.Element) -> ET.Element:
    devices = domain.find("devices")
    return ET.Element("devices") if devices is None else devices


def _point(disk: ET.Element, path: str) -> bool:
    """Let a disk be this device; whether it was another one."""
    source = disk.find("source")
    if source is None:
        source = ET.SubElement(disk, "source")
    if disk.get("type") == "block" and source.get("dev") == path:
        return False
    disk.set("type", "block")
    source.attrib.pop("file", None)
    source.set("dev", path)
    return True


def _check_drop(disk: ET.Element, may_drop: bool) -> None:
    serial = disk.findtext("serial", "")
    if not may_drop:
        reason = "The guest was suspended with a volume that is not its server's any more"
        raise errors.GuestFailed(reason=f"{reason}: reboot it hard", detail=serial)
    LOG.error(
        "a guest was defined with a device that is none of its server's volumes, and starts without it: %s", serial
    )
