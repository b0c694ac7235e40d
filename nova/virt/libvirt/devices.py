"""Plugging devices into a guest and out of it, whether it runs or not.

A device is found in the definition by what it is (a MAC address, a volume's serial number), never by
where it was put. A running guest has a say in giving a device up, so it is asked again and again.
"""

import logging
import xml.etree.ElementTree as ET
from collections.abc import Callable

import libvirt

from nova import concurrency, errors
from nova.virt.libvirt.connection import Proxy
from nova.virt.libvirt.domain_xml import to_text

LOG = logging.getLogger(__name__)

Find = Callable[[ET.Element], ET.Element | None]


def by_mac(mac: str) -> Find:
    """Finds a network device by its MAC address, in any case."""

    def find(devices: ET.Element) -> ET.Element | None:
        for element in devices.findall("interface"):
            address = element.find("mac")
            if address is not None and address.get("address", "").lower() == mac.lower():
                return element
        return None

    return find


def by_volume(key: str, source: ET.Element | None = None) -> Find:
    """By the serial number; by where it lies, for a volume that took the place of another in a running guest."""

    def find(devices: ET.Element) -> ET.Element | None:
        disks = devices.findall("disk")
        device = next((disk for disk in disks if disk.findtext("serial") == key), None)
        if device is None and source is not None:
            device = by_place(source)(devices)
        return device

    return find


def by_place(source: ET.Element) -> Find:
    """Finds a disk by where it lies."""

    def find(devices: ET.Element) -> ET.Element | None:
        disks = devices.findall("disk")
        return next((disk for disk in disks if is_same_place(disk.find("source"), source)), None)

    return find


def read_devices(domain: Proxy, is_persistent: bool = False) -> ET.Element:
    """The guest's devices: as they are now, or as they will be at its next start.

    A disk's serial number is that of the volume it is: see serial_of().
    """
    later = _devices(domain, libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE)
    if is_persistent:
        return later
    devices = _devices(domain, libvirt.VIR_DOMAIN_XML_SECURE)
    for disk in devices.findall("disk"):
        for serial in disk.findall("serial"):
            serial.text = serial_of(disk, later)
    return devices


def serial_of(disk: ET.Element, later: ET.Element) -> str:
    """The serial number of the volume that a disk is. later: the devices as they will be at the guest's next start.

    A volume that takes the place of another in a running guest has the serial number of that one there, for as long as
    the guest runs; what defines the guest's next start names the same place by its own.
    """
    target, source, serial = attribute(disk, "target", "dev"), disk.find("source"), disk.findtext("serial", "")
    if source is None:
        return serial
    same = (other for other in later.findall("disk") if attribute(other, "target", "dev") == target)
    return next((other.findtext("serial", "") for other in same if is_same_place(other.find("source"), source)), serial)


def attribute(device: ET.Element, part: str, name: str, default: str = "") -> str:
    """An attribute of a part of a device; default when there is no such part or attribute."""
    return next((element.get(name, default) for element in device.findall(part)), default)


def read_targets(domain: Proxy) -> set[str]:
    """The names of disks that are taken, now or at the next start."""
    targets = [
        target
        for when in (False, True)
        for target in read_devices(domain, when).findall("disk/target")
        if target.get("dev")
    ]
    return {target.get("dev", "") for target in targets}


def attach(domain: Proxy, device: ET.Element, find: Find) -> None:
    """Plug the device in, now and for later starts; where it is already there it is left alone."""
    text = to_text(device)
    if find(read_devices(domain, is_persistent=True)) is None:
        domain.attachDeviceFlags(text, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    if not domain.isActive() or find(read_devices(domain)) is not None:
        return
    try:
        domain.attachDeviceFlags(text, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except errors.DomainError:
        detach(domain, find, attempts=1, timeout_s=0)
        raise


def detach(domain: Proxy, find: Find, attempts: int, timeout_s: float) -> None:
    """Unplug the device, now and for later starts; no error when it is missing.

    Raises errors.GuestFailed when the running guest keeps it, and at once, with nothing changed, for a paused one
    that would have to let go of it: it would do so whenever it goes on, long after whoever waited was told no.
    """
    now = find(read_devices(domain)) if domain.isActive() else None
    if now is not None and _needs_consent(now) and domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        raise errors.GuestFailed(reason="The guest is paused and cannot release the device: unpause or stop it first")
    # Once it is out of the definition nothing else may tell which it is in the running guest.
    find_now = _this_or(now, find)
    later = find(read_devices(domain, is_persistent=True))
    if later is not None:
        _ignoring_absence(domain, later, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    for _ in range(attempts):
        now = find_now(read_devices(domain)) if domain.isActive() else None
        if now is None:
            return
        _ignoring_absence(domain, now, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        if concurrency.wait_for(lambda: _is_gone(domain, find_now), timeout_s, interval_s=0.1):
            return
    if not _is_gone(domain, find_now):
        raise errors.GuestFailed(reason="The guest does not release the device")


def _this_or(device: ET.Element | None, find: Find) -> Find:
    """Finds a disk by its target; what has none, or is not there, as before."""
    target = "" if device is None else attribute(device, "target", "dev")
    if device is None or device.tag != "disk" or not target:
        return find

    def find_target(devices: ET.Element) -> ET.Element | None:
        return next((disk for disk in devices.findall("disk") if attribute(disk, "target", "dev") == target), None)

    return find_target


def _devices(domain: Proxy, flags: int) -> ET.Element:
    devices = ET.fromstring(domain.XMLDesc(flags)).find("devices")
    return devices if devices is not None else ET.Element("devices")


def _needs_consent(device: ET.Element) -> bool:
    """Whether the guest takes part in unplugging: of what is on its PCI bus."""
    return device.tag != "disk" or attribute(device, "target", "bus") == "virtio"


def is_same_place(place: ET.Element | None, source: ET.Element) -> bool:
    """Whether two sources of disks are one file, device or volume; one that names none is nowhere."""
    names = ("file", "dev", "protocol", "name")
    if place is None or not any(source.get(name) for name in names):
        return False
    return all(place.get(name) == source.get(name) for name in names)


def _is_gone(domain: Proxy, find: Find) -> bool:
    return not domain.isActive() or find(read_devices(domain)) is None


def _ignoring_absence(domain: Proxy, device: ET.Element, flag: int) -> None:
    try:
        domain.detachDeviceFlags(to_text(device), flag)
    except errors.GuestFailed as error:
        # It may be on its way out since an earlier attempt, or the guest may just have stopped.
        if error.details.get("code") not in (
            libvirt.VIR_ERR_DEVICE_MISSING,
            libvirt.VIR_ERR_OPERATION_INVALID,
            libvirt.VIR_ERR_OPERATION_FAILED,
        ):
            raise
        LOG.debug("unplugging: %s", error)
