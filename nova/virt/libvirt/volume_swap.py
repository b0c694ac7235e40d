"""Puts another volume under a running guest: QEMU copies the old onto the new and goes on with the new.

What the guest has is decided by where its disk lies, as libvirt says now: the serial number stays what it was when a copy
takes a disk's place, and the definition for the next start is written after that.
"""

import contextlib
import xml.etree.ElementTree as ET

import libvirt
import msgspec

from nova import errors
from nova.structs.guest import Disk
from nova.virt.libvirt import devices, jobs
from nova.virt.libvirt.connection import Proxy
from nova.virt.libvirt.domain_xml import to_text
from nova.virt.libvirt.domain_xml.disk import disk as disk_element
from nova.virt.libvirt.domain_xml.facts import Drive
from nova.virt.libvirt.files import volume_key
from nova.virt.libvirt.volumes import VolumeConnections

_COPY_TIMEOUT_S = 24 * 3600.0
_ABORT_S = 60.0


def exchange(domain: Proxy, volumes: VolumeConnections, uuid: str, old: Disk, new: Disk) -> None:
    """Connect the new volume, let the guest go on with it, and disconnect the old one.

    Raises errors.GuestFailed; the host stays connected to every volume that the guest may have then, and to what it was
    connected to before.
    """
    before = volumes.place(uuid, old)
    was_connected = volumes.is_connected(uuid, new)
    with contextlib.ExitStack() as undo:
        if not was_connected:
            undo.callback(volumes.disconnect, uuid, volume_key(new))
        after = volumes.connect(uuid, new)
        undo.pop_all()
    try:
        swap(domain, before, after)
    except errors.DomainError:
        if not was_connected and not may_have(domain, after):
            volumes.disconnect(uuid, volume_key(new))
        raise
    if _has(domain, before):
        raise errors.GuestFailed(reason=f"The guest does not release volume {volume_key(old)}")
    volumes.disconnect(uuid, volume_key(old))


def swap(domain: Proxy, old: Drive, new: Drive) -> None:
    """Let the guest go on with new, now and at later starts; no error when it does already.

    Raises errors.GuestFailed; may_have() tells which volume the guest has then.
    """
    later = devices.read_devices(domain, is_persistent=True)
    if not domain.isActive():
        if devices.by_place(_source(new))(later) is not None:
            return
        raise errors.GuestFailed(reason="Volumes are swapped under running guests only")
    now = devices.read_devices(domain)
    current = devices.by_place(_source(new))(now)
    is_there = current is not None
    if current is None:
        current = devices.by_place(_source(old))(now)
    if current is None:
        current = devices.by_volume(old.serial or "")(now)
    if current is None:
        raise errors.GuestFailed(reason=f"Volume {old.serial} is not attached")
    name = devices.attribute(current, "target", "dev")
    bus = devices.attribute(current, "target", "bus", "virtio")
    text = to_text(disk_element(msgspec.structs.replace(new, target=name, bus=bus)))
    if current.find("mirror") is not None:
        # Of a daemon that died meanwhile; also where it is the old volume that the guest is to go back to.
        _abort_copy(domain, name)
    if not is_there:
        _copy(domain, name, text)
    if devices.by_place(_source(new))(later) is None:
        domain.updateDeviceFlags(text, libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def may_have(domain: Proxy, drive: Drive) -> bool:
    """Whether the guest has a volume now, or at its next start; True where libvirt does not tell."""
    try:
        return _has(domain, drive)
    except errors.DomainError:
        return True


def _has(domain: Proxy, drive: Drive) -> bool:
    find = devices.by_place(_source(drive))
    known = [devices.read_devices(domain, is_persistent=True)]
    if domain.isActive():
        known.append(devices.read_devices(domain))
    # A copy that goes on writes to it.
    return any(find(each) is not None or _is_copied_to(each, _source(drive)) for each in known)


def _abort_copy(domain: Proxy, name: str) -> None:
    """End a copy of the guest's disk: until then QEMU writes to a volume that is somebody else's next."""
    _abort(domain, name)
    jobs.wait_for_no_copy(domain, name, _ABORT_S)


def _copy(domain: Proxy, name: str, text: str) -> None:
    with contextlib.ExitStack() as undo:
        flags = libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
        domain.blockCopy(name, text, None, flags)
        undo.callback(_abort, domain, name)
        jobs.wait_for_copy(domain, name, _COPY_TIMEOUT_S)
        domain.blockJobAbort(name, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        undo.pop_all()


def _source(drive: Drive) -> ET.Element:
    source = disk_element(drive).find("source")
    return ET.Element("source") if source is None else source


def _is_copied_to(found: ET.Element, source: ET.Element) -> bool:
    return any(devices.is_same_place(mirror, source) for mirror in found.findall("disk/mirror/source"))


def _abort(domain: Proxy, name: str) -> None:
    with contextlib.suppress(errors.DomainError):
        domain.blockJobAbort(name, 0)
