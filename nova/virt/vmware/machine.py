"""A virtual machine as it was when it was looked at."""

from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from nova.structs.disks import Mark
from nova.structs.instance import PowerState
from nova.virt.holdings import parse_mark
from nova.virt.vmware import devices

MARK_OPTION, VOLUME_OPTION = "nova.mark", "nova.volume."


@dataclass(frozen=True)
class Machine:
    """A virtual machine as it was when it was looked at. name: on the shelf (see nova.virt.holdings)."""

    object: Any
    name: str
    config: Any
    power_state: PowerState

    @property
    def devices(self) -> list[Any]:
        return list(self.config.hardware.device)

    @property
    def disks(self) -> list[Any]:
        return [one for one in self.devices if isinstance(one, vim.vm.device.VirtualDisk)]

    @property
    def options(self) -> dict[str, str]:
        return {option.key: str(option.value) for option in self.config.extraConfig}

    @property
    def directory(self) -> str:
        """Where its own files are, as "[datastore] path"."""
        return str(self.config.files.vmPathName).rpartition("/")[0]

    @property
    def mark(self) -> Mark | None:
        text = self.options.get(MARK_OPTION)
        return parse_mark(text) if text else None

    def file(self, name: str) -> str:
        return f"{self.directory}/{name}"

    @property
    def volumes(self) -> dict[str, Any]:
        """The disks that are volumes, by their ids; None for one that somebody has taken away.

        A vCenter that moves a volume's file, or makes a snapshot of the machine, leaves the disk in its place.
        """
        recorded = {key.removeprefix(VOLUME_OPTION): key for key in self.options if key.startswith(VOLUME_OPTION)}
        return {
            volume: devices.find_disk(self.devices, self.volume_file(volume)) or self._disk_at(self.options[key])
            for volume, key in recorded.items()
        }

    def volume_file(self, volume: str) -> str:
        """The file that a volume was attached with. An older release has written no place before it."""
        value = self.options.get(f"{VOLUME_OPTION}{volume}", "")
        return value[value.index("[") :] if "[" in value else value

    def _disk_at(self, value: str) -> Any:
        place = value.partition(" [")[0]
        return next((one for one in self.disks if f"{one.controllerKey}:{one.unitNumber}" == place), None)


def server_of(name: str) -> str:
    """The server whose directory or machine of disks has this name on a shelf."""
    return name.partition(".")[0]
