"""Disks and the controllers they hang on."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from nova.structs.guest import GuestSpec
from nova.virt.libvirt.domain_xml.facts import Drive, Host, child, has_packed_rings, has_pcie, image_property
from nova.virt.libvirt.domain_xml.tuning import disk_tune

_SOURCE_ATTRIBUTE = {"file": "file", "block": "dev"}


def disk(drive: Drive, spec: GuestSpec | None = None) -> ET.Element:
    """spec gives the flavor's limits; a volume has those of its own back end."""
    element = ET.Element("disk", type=drive.type, device=drive.device)
    driver = child(element, "driver", name="qemu", type=drive.format)
    if drive.cache:
        driver.set("cache", drive.cache)
    if drive.discard:
        driver.set("discard", drive.discard)
    if spec is not None and drive.bus == "virtio" and has_packed_rings(spec):
        driver.set("packed", "on")
    _source(element, drive)
    child(element, "target", dev=drive.target, bus=drive.bus)
    if drive.serial:
        child(element, "serial", drive.serial)
    if drive.boot_order:
        child(element, "boot", order=drive.boot_order)
    if drive.is_shareable:
        child(element, "shareable")
    if drive.is_read_only:
        child(element, "readonly")
    limits = disk_tune(spec) if spec is not None and drive.device == "disk" else None
    if limits is not None:
        element.append(limits)
    return element


def controllers(spec: GuestSpec, drives: Iterable[Drive], host: Host) -> list[ET.Element]:
    """Controllers that libvirt would not choose as we do, or not provide for what is plugged in later."""
    usb = spec.flavor.extra_specs.get("hw:usb_model") or image_property(spec, "hw_usb_model") or "qemu-xhci"
    controllers = [ET.Element("controller", type="usb", index="0", model=usb)]
    if any(drive.bus == "scsi" for drive in drives) or image_property(spec, "hw_scsi_model"):
        model = image_property(spec, "hw_scsi_model") or "virtio-scsi"
        controllers.append(ET.Element("controller", type="scsi", index="0", model=model))
    if has_pcie(spec, host):
        controllers.append(ET.Element("controller", type="pci", index="0", model="pcie-root"))
        controllers += [
            ET.Element("controller", type="pci", index=str(index), model="pcie-root-port")
            for index in range(1, host.pcie_ports + 1)
        ]
    return controllers


def _source(element: ET.Element, drive: Drive) -> None:
    if drive.type != "network":
        if drive.path:
            child(element, "source", **{_SOURCE_ATTRIBUTE[drive.type]: drive.path})
        return
    source = child(element, "source", protocol=drive.protocol or "", name=drive.path)
    for server in drive.hosts:
        name, _, port = server.rpartition(":")
        child(source, "host", name=name.strip("[]"), port=port)
    if drive.user:
        auth = child(element, "auth", username=drive.user)
        child(auth, "secret", type="ceph", uuid=drive.secret or "")
