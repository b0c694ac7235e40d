"""A guest that boots from a rescue disk, its own disks attached where they were: nothing of them is changed.

The rescue disk is one more disk of the role "rescue"; as long as the machine has it, it is rescued. The machine boots from the
device that its boot order names first. The disk stands on an image that others use: it is removed as a file, with its directory.
"""

from pathlib import Path
from typing import Any

from pyVmomi import vim

from nova import errors
from nova.structs.guest import Disk, GuestSpec
from nova.structs.image import Image
from nova.virt.vmware import devices, disks
from nova.virt.vmware.building import CONFIG_DRIVE, RESCUE_DRIVE, Builder, find_cd
from nova.virt.vmware.files import Files
from nova.virt.vmware.machine import Machine
from nova.virt.vmware.machines import Machines

_ROLE = "rescue"
_DIRECTORY = RESCUE_DRIVE.partition("/")[0]
_KEY = -171
_Boot = vim.vm.BootOptions


class Rescues:
    """Works in its guest's turn."""

    def __init__(self, machines: Machines, builder: Builder, files: Files) -> None:
        self._machines, self._builder, self._files = machines, builder, files

    def begin(self, uuid: str, spec: GuestSpec, disk: Disk) -> None:
        """Let the machine run from the disk. Raises errors.ImageInvalid, errors.GuestFailed, errors.DiskFull."""
        if disk.device_type != "disk":
            raise errors.GuestFailed(reason=f"A guest here is rescued from a disk, and not from a {disk.device_type}")
        machine = self._machines.get(uuid)
        if disks.find(machine, _ROLE, spec) is None:
            machine = self._add(machine, spec, disk)
        self._boot_from(machine, disks.find(machine, _ROLE, spec))
        self._machines.power_on(self._machines.get(uuid))

    def end(self, uuid: str, spec: GuestSpec) -> None:
        """Let the machine run from its own disk; no error when it does."""
        machine = self._machines.get(uuid)
        rescue = disks.find(machine, _ROLE, spec)
        drive = find_cd(machine, RESCUE_DRIVE)
        if rescue is not None or drive is not None:
            self._machines.power_off(machine)
            config = vim.vm.ConfigSpec(extraConfig=disks.no_options(_ROLE), deviceChange=[])
            config.bootOptions = _Boot(bootOrder=[_first(machine)])
            if rescue is not None:
                config.deviceChange.append(devices.remove(rescue))
            if drive is not None:
                config.deviceChange.append(devices.insert(drive, machine.file(CONFIG_DRIVE)))
            self._machines.change(machine, config)
        self._files.remove(machine.file(_DIRECTORY))
        self._machines.power_on(self._machines.get(uuid))

    def _add(self, machine: Machine, spec: GuestSpec, disk: Disk) -> Machine:
        controller, unit = devices.free_place(machine.devices)
        # Whatever is wrong with the image is found out while the guest runs.
        path = machine.file(f"{_DIRECTORY}/{_ROLE}-{unit}.vmdk")
        device = self._builder.image_disk(machine, spec, _image(disk), disk, path, (controller, unit), _KEY)
        # With what an attempt before may have left in it.
        self._files.remove(machine.file(_DIRECTORY))
        self._files.make_directory(machine.file(_DIRECTORY))
        change = [devices.add(device, makes_file=True)]
        drive = find_cd(machine, CONFIG_DRIVE)
        if drive is not None and spec.config_drive is not None:
            self._builder.upload_drive(spec, machine.file(RESCUE_DRIVE))
            change.append(devices.insert(drive, machine.file(RESCUE_DRIVE)))
        self._machines.power_off(machine)
        options = disks.missing_options(machine, spec) + disks.options({_ROLE: unit})
        self._machines.change(machine, vim.vm.ConfigSpec(deviceChange=change, extraConfig=options))
        return self._machines.get(machine.name)

    def _boot_from(self, machine: Machine, device: Any) -> None:
        order = list(machine.config.bootOptions.bootOrder) if machine.config.bootOptions else []
        if not order or getattr(order[0], "deviceKey", None) != device.key:
            self._machines.power_off(machine)
            options = _Boot(bootOrder=[_Boot.BootableDiskDevice(deviceKey=device.key)])
            self._machines.change(machine, vim.vm.ConfigSpec(bootOptions=options))


def _first(machine: Machine) -> Any:
    """What a guest boots from: its disk on unit 0, or the CD that it has instead."""
    controller = disks.first_controller(machine)
    for one in machine.disks:
        if (one.controllerKey, one.unitNumber) == (controller, 0):
            return _Boot.BootableDiskDevice(deviceKey=one.key)
    return _Boot.BootableCdromDevice()


def _image(disk: Disk) -> Image:
    """What the image cache has: it names its files after their images, and says what they hold."""
    content = disk.image_format or "raw"
    return Image(
        id=Path(disk.image_path or "").name,
        disk_format="vmdk" if content == "ova" else content,
        container_format="ova" if content == "ova" else "bare",
        properties={"vmware_disktype": "streamOptimized"} if content == "vmdk" else {},
    )
