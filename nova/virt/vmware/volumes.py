"""Volumes as disks of a guest: the files of a Block Storage service in the same vCenter, which are never ours to remove.

A volume is the disk of a machine that the Block Storage service has made for it, and which is only read here. Which disk of a guest
is which volume is written among the guest's options with the change that attaches it: its place, which the vCenter does not change
when it moves the file, and the file. A volume whose file has been moved, or has a snapshot, is known and not given back: the
Block Storage service would look for its data in the wrong file.
"""

from typing import Any

from pyVmomi import vim

from nova import errors
from nova.structs.guest import Disk
from nova.virt.vmware import devices
from nova.virt.vmware.machine import VOLUME_OPTION, Machine
from nova.virt.vmware.machines import Machines
from nova.virt.vmware.session import Session

_KIND = "vmdk"


class VolumeDisks:
    """Attaches and detaches the disks of volumes."""

    def __init__(self, session: Session, machines: Machines) -> None:
        self._session, self._machines = session, machines

    def attach(self, machine: Machine, disk: Disk) -> bool:
        """Attach a volume; whether it was not attached before."""
        if machine.volumes.get(volume_id(disk)) is not None:
            return False
        path, size_kb = self._locate(disk)
        if devices.find_disk(machine.devices, path) is not None:
            raise errors.GuestFailed(reason="The volume's file is another disk of the guest", detail=path)
        place = devices.free_place(machine.devices, first=0 if disk.boot_index == 0 else 1)
        operation = devices.add(devices.disk(path, size_kb, place, key=-181))
        option = _option(volume_id(disk), f"{place[0]}:{place[1]} {path}")
        self._machines.change(machine, vim.vm.ConfigSpec(deviceChange=[operation], extraConfig=[option]))
        return True

    def detach(self, machine: Machine, disk: Disk) -> None:
        """Detach a volume, whose file stays; no error when it is not attached. Raises errors.GuestFailed."""
        self._detach(machine, {volume_id(disk)})

    def detach_all(self, machine: Machine) -> bool:
        """Detach every volume; whether there was one. Raises errors.GuestFailed."""
        return self._detach(machine, set(machine.volumes))

    def _detach(self, machine: Machine, volume_ids: set[str]) -> bool:
        found = {one: device for one, device in machine.volumes.items() if one in volume_ids}
        there = [device for one, device in found.items() if device is not None and _is_unmoved(machine, one, device)]
        operations = [devices.remove(device) for device in there]
        cleared = [_option(one, "") for one in found]
        if found:
            self._machines.change(machine, vim.vm.ConfigSpec(deviceChange=operations, extraConfig=cleared))
        return bool(found)

    def _locate(self, disk: Disk) -> tuple[str, int]:
        """The file of a volume, and its size in KiB. Raises errors.GuestFailed, errors.NotImplementedHere."""
        info: Any = (disk.volume.connection_info if disk.volume else None) or {}
        kind = info.get("driver_volume_type")
        if kind != _KIND:
            raise errors.NotImplementedHere(action=f"attach volumes of the kind '{kind}'")
        shadow = self._session.machine(str(info["data"]["volume"]))
        try:
            _, values = self._session.properties([shadow], vim.VirtualMachine, ["config.hardware.device"])[0]
        except (errors.GuestNotFound, IndexError) as error:
            raise errors.GuestFailed(reason="The volume is not where the Block Storage service says") from error
        for one in values.get("config.hardware.device", ()):
            if isinstance(one, vim.vm.device.VirtualDisk):
                backing: Any = one.backing
                return str(backing.fileName), int(one.capacityInKB)
        raise errors.GuestFailed(reason="The volume is not where the Block Storage service says")


def volume_id(disk: Disk) -> str:
    return (disk.volume.volume_id if disk.volume else None) or disk.device_name


def _is_unmoved(machine: Machine, volume: str, device: Any) -> bool:
    """True. Raises errors.GuestFailed for a volume whose data are not where its service knows them."""
    if device.backing.fileName != machine.volume_file(volume):
        raise errors.GuestFailed(
            reason=f"The file of volume {volume} has been moved, or has a snapshot, in the vCenter: it stays attached",
            detail=device.backing.fileName,
        )
    return True


def _option(volume: str, value: str) -> Any:
    return vim.option.OptionValue(key=f"{VOLUME_OPTION}{volume}", value=value)
