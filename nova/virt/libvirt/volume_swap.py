"""Puts another volume under a running guest: QEMU copies the old onto the new and goes on with the new."""

import contextlib

import libvirt
import msgspec

from nova import errors
from nova.virt.libvirt import devices, jobs
from nova.virt.libvirt.connection import Proxy
from nova.virt.libvirt.domain_xml import to_text
from nova.virt.libvirt.domain_xml.disk import disk as disk_element
from nova.virt.libvirt.domain_xml.facts import Drive

_COPY_TIMEOUT_S = 24 * 3600.0


def swap(domain: Proxy, old_key: str, new: Drive) -> None:
    """No error when the guest has the new volume already. Raises errors.GuestFailed; the guest keeps the old volume then."""
    if devices.by_volume(new.serial or "")(devices.read_devices(domain, is_persistent=True)) is not None:
        return
    if not domain.isActive():
        raise errors.GuestFailed(reason="Volumes are swapped under running guests only")
    current = devices.by_volume(old_key)(devices.read_devices(domain))
    if current is None:
        raise errors.GuestFailed(reason=f"Volume {old_key} is not attached")
    name = devices.attribute(current, "target", "dev")
    bus = devices.attribute(current, "target", "bus", "virtio")
    element = disk_element(msgspec.structs.replace(new, target=name, bus=bus))
    with contextlib.ExitStack() as undo:
        flags = libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
        domain.blockCopy(name, to_text(element), None, flags)
        undo.callback(_abort, domain, name)
        jobs.wait_for_copy(domain, name, _COPY_TIMEOUT_S)
        domain.blockJobAbort(name, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        undo.pop_all()
    domain.updateDeviceFlags(to_text(element), libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def _abort(domain: Proxy, name: str) -> None:
    with contextlib.suppress(errors.DomainError):
        domain.blockJobAbort(name, 0)
