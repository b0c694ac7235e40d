"""Tells a running guest that one of its disks has grown."""

import libvirt

from nova import errors
from nova.virt.libvirt import devices
from nova.virt.libvirt.connection import Proxy


def show_size(domain: Proxy, find: devices.Find, size_bytes: int) -> None:
    """Let a guest see a disk's new size; one that is off sees it when it starts. Raises errors.GuestFailed."""
    if not domain.isActive():
        return
    device = find(devices.read_devices(domain))
    if device is None:
        raise errors.GuestFailed(reason="The guest does not have the volume that has grown")
    name = devices.attribute(device, "target", "dev")
    # A smaller size would cut a file off, with what is in it.
    if domain.blockInfo(name)[0] < size_bytes:
        domain.blockResize(name, size_bytes, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
