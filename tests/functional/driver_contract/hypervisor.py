"""What a kind of hypervisor gives to the suite: drivers for it, and a look at what is there that no driver takes part in."""

import contextlib
import datetime
import gc
import multiprocessing
import os
import signal
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from nova.structs.disks import DisksId
from nova.structs.flavor import Flavor
from nova.structs.guest import Disk, GuestSpec
from nova.structs.image import Image
from nova.structs.network import Vif
from nova.virt.driver import Driver
from tests.functional.driver_contract.faults import Faults

NOW = datetime.timedelta()
HOST = "host-1"

_STARTS = 4
_fork = multiprocessing.get_context("fork")


class Hypervisor(ABC):
    """One hypervisor with nothing of ours on it. A guest's root disk holds text where write() put it.

    lacks: what this kind's driver refuses, of "pause", "suspend", "moves" and the names of nova.virt.driver's abilities.
    """

    kind: str
    lacks: frozenset[str] = frozenset()
    image_format = "raw"
    snapshot_format = "raw"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.faults = Faults()
        self._count = 0

    @abstractmethod
    def driver(self) -> Driver:
        """A driver that has started, as that of a nova-compute that was started again."""

    @abstractmethod
    def write(self, uuid: str, text: str, disk: str = "root") -> None:
        """The guest, which is off, has written text to its disk of a kind."""

    @abstractmethod
    def read(self, uuid: str, disk: str = "root") -> str:
        """What write() has put on the guest's disk of a kind; empty where it has not."""

    @abstractmethod
    def leftovers(self) -> list[str]:
        """Whatever is on the hypervisor and its storage, beyond cached images."""

    @abstractmethod
    def macs(self, uuid: str) -> set[str]:
        """The addresses of the guest's network devices."""

    @abstractmethod
    def make_volume(self) -> Disk:
        """A new volume that the Block Storage service has made ready for this host."""

    @abstractmethod
    def volumes(self, uuid: str) -> set[str]:
        """The ids of the volumes that are attached to the guest."""

    @abstractmethod
    def is_whole(self, volume: Disk) -> bool:
        """Whether a volume's data are where make_volume() has put them."""

    @abstractmethod
    def image_file(self) -> Path:
        """The file of an image that guests of this kind boot from, as the image cache keeps it."""

    def holds(self, snapshot: Path, text: str) -> bool:
        """Whether the file of a snapshot has what the guest had written."""
        return text.encode() in snapshot.read_bytes()

    def vif(self) -> Vif:
        self._count += 1
        return Vif(
            port_id=str(uuid.uuid4()),
            network_id=str(uuid.uuid4()),
            network_label="private",
            mac=f"fa:16:3e:00:01:{self._count:02x}",
            details=self.vif_details(),
        )

    def vif_details(self) -> dict[str, Any]:
        return {"bridge_name": "brtest"}

    def spec(self, **changes: Any) -> GuestSpec:
        """A small guest with a root disk and a network device."""
        guest_id = str(uuid.uuid4())
        spec = GuestSpec(
            uuid=guest_id,
            name=f"instance-{guest_id[:8]}",
            display_name="first",
            project_id="project",
            user_id="user",
            flavor=Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=32),
            image=Image(id=self.image_id(), disk_format=self.image_format, properties=self.image_properties()),
            disks=(self.root(),),
            vifs=(self.vif(),),
            disks_id=DisksId(generation=1, host=HOST),
        )
        return msgspec.structs.replace(spec, **changes)

    def image_id(self) -> str:
        return "5a7f3c2e-0000-4000-8000-0000000000aa"

    def image_properties(self) -> dict[str, str]:
        return {}

    def disks(self, *kinds: str) -> tuple[Disk, ...]:
        """A root disk, and beside it disks of these kinds."""
        others = (
            Disk(kind=kind, device_name=f"/dev/vd{letter}", size_mb=4)
            for kind, letter in zip(kinds, "bc", strict=False)
        )
        return (self.root(), *others)

    def root(self, size_mb: int = 0) -> Disk:
        path = str(self.image_file())
        return Disk(
            kind="root",
            device_name="/dev/vda",
            size_mb=size_mb,
            image_path=path,
            image_format=self.image_format,
            boot_index=0,
        )

    def killed_after(self, number: int, act: Callable[[Driver], None]) -> bool:
        """Let a nova-compute of its own act, and die at once when the hypervisor has made its change of this number.

        Whether it died; False when it was done before. 0: it dies before it changes anything.
        """
        process, ours = self._start(act)
        assert process.pid is not None
        self.faults.kill_after(number, process.pid)
        # Who dies before it changes anything may be dead already.
        with contextlib.suppress(BrokenPipeError):
            ours.send(number)
        process.join(120)
        self.faults.clear()
        assert process.exitcode in (0, -signal.SIGKILL), f"it ended with {process.exitcode}"
        return process.exitcode != 0

    def _start(self, act: Callable[[Driver], None]) -> tuple[Any, Any]:
        """A process whose driver has started, and that waits for a word through the pipe."""
        for _ in range(_STARTS):
            ours, theirs = _fork.Pipe()
            process = _fork.Process(target=self._act, args=(theirs, act))
            process.start()
            theirs.close()
            try:
                assert ours.recv() == "ready"
                return process, ours
            except EOFError:
                # A fork may find a lock of a C library held by a thread that it does not have: libvirt's event loop is one.
                process.join()
        raise AssertionError("the driver did not start")

    def _act(self, pipe: Any, act: Callable[[Driver], None]) -> None:
        # What the test's process has open here, too, is not this one's to close.
        gc.disable()
        try:
            driver = self.driver()
            pipe.send("ready")
            # For a hypervisor that lives in this process.
            self.faults.kill_after(pipe.recv(), os.getpid())
            act(driver)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(3)
        os._exit(0)
