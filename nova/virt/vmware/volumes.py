"""Volumes as disks of a guest: the files of a Block Storage service in the same vCenter, which are never ours to remove.

A volume is the disk of a machine that the Block Storage service has made for it, and which is only read here. Which disk of a guest
is which volume is written among the guest's options with the change that attaches it.
"""

from typing import Any

from pyVmomi import vim

from nova import errors
from nova.structs.guest import Disk
from nova.virt.vmware import devices
from nova.virt.vmware.machines import Machine, Machines
from nova.virt.vmware.session import Session

_OPTION = "nova.volume."
_KIND = "vmdk"


class VolumeDisks:
    """Attaches and detaches the disks of volumes."""

    def __init__(self, session: Session, machines: Machines) -> None:
        self._session, self._machines = session, machines

    def attach(self, machine: Machine, disk: Disk) -> bool:
        """Attach a volume; whether it was not attached before."""
        if self._device(machine, disk) is not None:
            return False
        path, size_kb = self._locate(disk)
        if devices.find_disk(machine.devices, path) is not None:
            raise errors.GuestFailed(reason="The volume's file is another disk of the guest", detail=path)
        place = devices.free_place(machine.devices, first=0 if disk.boot_index == 0 else 1)
        operation = devices.add(devices.disk(path, size_kb, place, key=-181))
        self._machines.change(machine, vim.vm.ConfigSpec(deviceChange=[operation], extraConfig=[_option(disk, path)]))
        return True

    def detach(self, machine: Machine, disk: Disk) -> None:
        """Detach a volume, whose file stays; no error when it is not attached."""
        device, options = self._device(machine, disk), machine.options
        if device is None and f"{_OPTION}{volume_id(disk)}" not in options:
            return
        operations = [devices.remove(device)] if device is not None else []
        self._machines.change(machine, vim.vm.ConfigSpec(deviceChange=operations, extraConfig=[_option(disk, "")]))

    def detach_all(self, machine: Machine) -> bool:
        """Detach every volume; whether there was one."""
        recorded = {key: path for key, path in machine.options.items() if key.startswith(_OPTION)}
        found = (devices.find_disk(machine.devices, path) for path in recorded.values())
        operations = [devices.remove(device) for device in found if device is not None]
        cleared = [vim.option.OptionValue(key=key, value="") for key in recorded]
        if recorded:
            self._machines.change(machine, vim.vm.ConfigSpec(deviceChange=operations, extraConfig=cleared))
        return bool(recorded)

    @staticmethod
    def _device(machine: Machine, disk: Disk) -> Any:
        path = machine.options.get(f"{_OPTION}{volume_id(disk)}")
        return devices.find_disk(machine.devices, path) if path else None

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


def _option(disk: Disk, path: str) -> Any:
    return vim.option.OptionValue(key=f"{_OPTION}{volume_id(disk)}", value=path)
