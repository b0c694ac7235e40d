"""A guest that boots from a rescue disk, its own disks attached.

While the rescue disk's file is there the guest is being rescued; that outlives nova-compute.
"""

import contextlib
from pathlib import Path

import msgspec

from nova.structs.guest import Disk, GuestSpec
from nova.virt.libvirt.disk_calls import quick
from nova.virt.libvirt.domain_xml.facts import Drive, Host
from nova.virt.libvirt.files import CONFIG_DRIVE, cdrom_bus, target_name
from nova.virt.libvirt.storage import Storage

_RESCUE_DISK = "disk.rescue"
_RESCUE_CONFIG_DRIVE = "disk.config.rescue"


def is_rescued(directory: Path) -> bool:
    """Whether the guest whose directory this is runs from a rescue disk."""
    return quick((directory / _RESCUE_DISK).exists)


def make_disks(spec: GuestSpec, disk: Disk, directory: Path, storage: Storage, undo: contextlib.ExitStack) -> None:
    """Make the rescue disk and, with the password for it, a config drive. undo removes both."""
    storage.create_overlay(disk, directory / _RESCUE_DISK, undo)
    if spec.config_drive is not None:
        # cloud-init in the rescue image takes the password from here.
        storage.write_config_drive(spec.config_drive, directory / _RESCUE_CONFIG_DRIVE, undo)


def remove_disks(directory: Path) -> None:
    """Remove what make_disks made; no error when there is none."""
    for name in (_RESCUE_CONFIG_DRIVE, _RESCUE_DISK):
        quick((directory / name).unlink, missing_ok=True)


def plan(drives: tuple[Drive, ...], spec: GuestSpec, directory: Path, host: Host) -> tuple[Drive, ...]:
    """The rescue disk first, the guest's own in their order, none of which is booted from."""
    bus = drives[0].bus if drives else "virtio"
    bus = bus if bus != cdrom_bus(spec, host) or bus == "ide" else "virtio"
    rescue_drives = [
        Drive(
            target=target_name("", bus, set()),
            bus=bus,
            path=str(directory / _RESCUE_DISK),
            format="qcow2",
            boot_order=1,
        )
    ]
    targets = {rescue_drives[0].target}
    for drive in drives:
        target = target_name("" if drive.target in targets else drive.target, drive.bus, targets)
        targets.add(target)
        path = drive.path
        if Path(path).name == CONFIG_DRIVE:
            path = str(directory / _RESCUE_CONFIG_DRIVE)
        rescue_drives.append(msgspec.structs.replace(drive, target=target, boot_order=None, path=path))
    return tuple(rescue_drives)
