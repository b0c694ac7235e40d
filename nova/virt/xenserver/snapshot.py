"""Copies a guest's root disk as it is at one instant, without stopping the guest."""

from pathlib import Path

from nova import errors
from nova.virt.xenserver import transfer
from nova.virt.xenserver.disks import Disks
from nova.virt.xenserver.identity import Vm
from nova.virt.xenserver.session import Session


def copy_root(session: Session, vm: Vm, disks: Disks, target: Path, image_format: str) -> None:
    """Write the root disk to target, raw or as a VHD. A failure leaves no target."""
    if image_format not in transfer.FORMATS:
        raise errors.GuestFailed(reason=f"XenServer writes disks as raw or VHD, not as {image_format}")
    root = disks.of(vm).get("root")
    if root is None:
        raise errors.GuestFailed(reason="The guest has no disk on this host to be copied")
    snapshot = disks.duplicate(vm, root[0], "snapshot")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        transfer.receive(session, snapshot, target, image_format)
    finally:
        disks.remove(snapshot)
