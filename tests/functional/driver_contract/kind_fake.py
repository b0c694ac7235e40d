"""The fake driver, whose hypervisor is kept in a file so that it outlives the process that changes it."""

import contextlib
import uuid
from pathlib import Path

from nova.conf import load
from nova.structs.guest import Disk
from nova.structs.instance import BlockDevice
from nova.virt.driver import Driver
from nova.virt.fake import FakeDriver, hypervisor
from nova.virt.fake.state import StateDirectory
from tests.functional.driver_contract.faults import Faults
from tests.functional.driver_contract.hypervisor import HOST, Hypervisor

_FROM_IMAGE = "image "


class FakeHypervisor(Hypervisor):
    kind = "fake"

    def driver(self) -> Driver:
        conf = load([], [])
        conf.set_override("fake_state_path", str(self.directory))
        self._there = hypervisor.HYPERVISORS[HOST] = _Counted(self.faults, StateDirectory(str(self.directory)))
        return FakeDriver(conf, HOST)

    def write(self, uuid: str, text: str, disk: str = "root") -> None:
        directory = self._there.shelf.directories[uuid]
        if disk == "root":
            directory.content = text
        else:
            directory.others[disk] = text
        self._there.keep()

    def read(self, uuid: str, disk: str = "root") -> str:
        directory = self._there.shelf.directories[uuid]
        content = (directory.content if disk == "root" else directory.others[disk]) or ""
        return "" if content.startswith(_FROM_IMAGE) else content

    def leftovers(self) -> list[str]:
        return [*self._there.guests, *self._there.aside, *self._there.shelf.directories]

    def macs(self, uuid: str) -> set[str]:
        return {vif.mac for vif in self._there.guests[uuid].vifs.values()}

    def make_volume(self) -> Disk:
        device = BlockDevice(id=str(uuid.uuid4()), source="volume", destination="volume", volume_id=str(uuid.uuid4()))
        return Disk(kind="volume", device_name="/dev/vdb", volume=device)

    def volumes(self, uuid: str) -> set[str]:
        return set(self._there.guests[uuid].volumes)

    def is_whole(self, volume: Disk) -> bool:
        return True

    def image_file(self) -> Path:
        return self.directory / "image"


class _Counted(hypervisor.Hypervisor):
    """Whatever is kept of it is a change."""

    def __init__(self, faults: Faults, states: StateDirectory) -> None:
        super().__init__(HOST, kept_in=states)
        self._faults = faults

    def keep(self) -> None:
        super().keep()
        self._faults.changed()

    def boot(self, uuid: str) -> None:
        """Guests of this suite write what they are told to, and nothing by themselves."""


@contextlib.contextmanager
def running(directory: Path):
    try:
        yield FakeHypervisor(directory)
    finally:
        hypervisor.HYPERVISORS.pop(HOST, None)
