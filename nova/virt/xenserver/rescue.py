"""A guest that boots from a rescue disk, its own root disk beside it.

The VM says that it is rescued before anything of it is changed, so that end() undoes whatever was reached.
"""

import contextlib
from pathlib import Path

from nova.structs.guest import Disk, GuestSpec
from nova.structs.image import Image
from nova.virt.xenserver import blueprint, identity, power
from nova.virt.xenserver.guests import CONFIG_DRIVE, Guests
from nova.virt.xenserver.identity import Vm
from nova.virt.xenserver.session import Session

_DISK, _CONFIG = "rescue", "rescue-config"


def is_rescued(vm: Vm) -> bool:
    return identity.RESCUE in vm.config


def begin(session: Session, guests: Guests, vm: Vm, spec: GuestSpec, rescue_disk: Disk) -> None:
    """Let the VM, off then, boot from a disk made of an image. Raises errors.ImageInvalid, DiskFull."""
    there = guests.disks.of(vm)
    with contextlib.ExitStack() as undo:
        rescue = there[_DISK][0] if _DISK in there else _make_disk(guests, vm, rescue_disk, undo)
        drive = there[_CONFIG][0] if _CONFIG in there else _make_config_drive(guests, vm, spec, undo)
        guests.vms.set_config(vm, **{identity.RESCUE: "true"})
        undo.pop_all()
    power.switch_off(session, vm)
    for vdi, (_, record) in guests.devices.disks_of(vm).items():
        if record["userdevice"] == blueprint.ROOT and vdi != rescue:
            guests.devices.move_disk(vm, vdi, blueprint.RESCUE)
    guests.devices.attach_disk(vm, rescue, blueprint.ROOT)
    if drive is not None:
        if CONFIG_DRIVE in there:
            guests.devices.detach_disk(vm, there[CONFIG_DRIVE][0])
        guests.devices.attach_disk(vm, drive, blueprint.CONFIG_DRIVE, is_read_only=True)


def end(session: Session, guests: Guests, vm: Vm) -> None:
    """Switch the VM off, and let it boot from its own root disk again."""
    power.switch_off(session, vm)
    there = guests.disks.of(vm)
    for name in (_DISK, _CONFIG):
        if name in there:
            guests.devices.detach_disk(vm, there[name][0])
            guests.disks.remove(there[name][0])
    for vdi, (_, record) in guests.devices.disks_of(vm).items():
        if record["userdevice"] == blueprint.RESCUE:
            guests.devices.move_disk(vm, vdi, blueprint.ROOT)
    if CONFIG_DRIVE in there:
        guests.devices.attach_disk(vm, there[CONFIG_DRIVE][0], blueprint.CONFIG_DRIVE, is_read_only=True)
    guests.vms.set_config(guests.vms.get(vm.name), **{identity.RESCUE: None})


def _make_disk(guests: Guests, vm: Vm, disk: Disk, undo: contextlib.ExitStack) -> str:
    # The image cache names its files after their images.
    image = Image(id=Path(disk.image_path or "").name, disk_format=disk.image_format or "")
    ref = guests.images.make_disk(vm, _DISK, disk, image)
    undo.callback(guests.disks.remove, ref)
    return ref


def _make_config_drive(guests: Guests, vm: Vm, spec: GuestSpec, undo: contextlib.ExitStack) -> str | None:
    """With the password that the server is rescued with."""
    if spec.config_drive is None:
        return None
    ref = guests.make_config_drive(vm, spec.config_drive, _CONFIG)
    undo.callback(guests.disks.remove, ref)
    return ref
