"""Which disk of a machine is which: each is known by its role, never by its place in a list.

A role is what the disk is to its guest: root, ephemeral0, swap0. The unit of the first controller that has it is written among the
machine's options, and stays when the vCenter moves or renames the disk's file. A machine of an older release has no such
options: the names of its files tell, or, where the vCenter has renamed them, the order of the spec that it was made from.
"""

import re
from typing import Any

from pyVmomi import vim

from nova import errors
from nova.structs.guest import Disk, GuestSpec
from nova.virt.vmware import devices
from nova.virt.vmware.machine import Machine

_OPTION = "nova.disk."
# What has a snapshot ends with a number of six digits.
_FILE = re.compile(r"(root|ephemeral|swap|blank)-\d+(-\d{6})?\.vmdk")


def local_disks(spec: GuestSpec) -> dict[str, Disk]:
    """The guest's own disks by their roles, in the order in which a new machine has them."""
    disks: dict[str, Disk] = {}
    for disk in spec.disks:
        if disk.kind != "volume" and (disk.kind != "root" or _has_root(spec, disk)):
            disks[_role(disk.kind, disks)] = disk
    return disks


def new_units(spec: GuestSpec) -> dict[str, int]:
    """The units of a new machine's own disks by their roles; on unit 0 is what the guest boots from, and may be a volume."""
    others = [role for role in local_disks(spec) if role != "root"]
    units = {role: number if number < devices.TAKEN_UNIT else number + 1 for number, role in enumerate(others, 1)}
    return {"root": 0} | units if "root" in local_disks(spec) else units


def options(units: dict[str, int]) -> list[Any]:
    """What a machine's options say of its disks."""
    return [vim.option.OptionValue(key=f"{_OPTION}{role}", value=str(unit)) for role, unit in units.items()]


def no_options(role: str) -> list[Any]:
    """What takes a role from a machine's options."""
    return [vim.option.OptionValue(key=f"{_OPTION}{role}", value="")]


def units_of(machine: Machine, spec: GuestSpec | None = None) -> dict[str, int]:
    """The units of a machine's own disks by their roles. spec: what the machine was made from."""
    written = _written(machine)
    if written:
        return written
    named = _named(machine)
    return named if spec is None or set(local_disks(spec)) <= set(named) else new_units(spec)


def unit_for(machine: Machine, role: str, spec: GuestSpec) -> int:
    """Where a disk goes that the machine lacks. Raises errors.GuestFailed for one that it was not made to have."""
    units = units_of(machine, spec)
    if role not in units:
        raise errors.GuestFailed(reason="The guest was made with other disks", detail=f"{machine.name}: no {role}")
    return units[role]


def missing_options(machine: Machine, spec: GuestSpec) -> list[Any]:
    """What an older release has not written among the options of a machine that was made from spec."""
    return [] if _written(machine) else options(units_of(machine, spec))


def find(machine: Machine, role: str, spec: GuestSpec | None = None) -> Any:
    """The disk of a role; None where there is none, or a volume in its place."""
    unit = units_of(machine, spec).get(role)
    return next((one for one in _own(machine) if one.unitNumber == unit), None)


def original(source: Machine, role: str, disk: Disk) -> Any:
    """The disk of another machine whose content a successor's disk is to have; None for one that is new.

    A swap that has become smaller is new: nothing in it is anybody's data. Raises errors.DiskMissing rather than take a
    disk for new that the source may have.
    """
    device = find(source, role)
    if device is not None:
        return None if disk.kind == "swap" and device.capacityInKB > disk.size_mb * 1024 else device
    units = units_of(source)
    is_unknown = any(one.unitNumber not in units.values() for one in _own(source))
    if role == "root" or role in units or is_unknown:
        raise errors.DiskMissing(missing=[f"{source.name}: {role}"])
    return None


def first_controller(machine: Machine) -> int | None:
    """The key of the controller that has the machine's own disks."""
    controllers = (one.key for one in machine.devices if isinstance(one, vim.vm.device.VirtualSCSIController))
    return next(controllers, None)


def _own(machine: Machine) -> list[Any]:
    """The disks on the first controller that are no volumes."""
    controller = first_controller(machine)
    attached = [one.key for one in machine.volumes.values() if one is not None]
    return [one for one in machine.disks if one.controllerKey == controller and one.key not in attached]


def _written(machine: Machine) -> dict[str, int]:
    units = {key: value for key, value in machine.options.items() if key.startswith(_OPTION)}
    return {key.removeprefix(_OPTION): int(unit) for key, unit in units.items() if unit.isdigit()}


def _named(machine: Machine) -> dict[str, int]:
    units: dict[str, int] = {}
    for one in sorted(_own(machine), key=lambda one: one.unitNumber):
        name = _FILE.fullmatch(one.backing.fileName.rpartition("/")[2])
        if name is not None:
            units[_role(name[1], units)] = one.unitNumber
    return units


def _role(kind: str, taken: Any) -> str:
    return "root" if kind == "root" else f"{kind}{sum(role.startswith(kind) for role in taken)}"


def _has_root(spec: GuestSpec, disk: Disk) -> bool:
    # A guest that boots from an ISO image may have no disk to install on.
    return not (spec.image is not None and spec.image.disk_format == "iso" and not disk.size_mb)
