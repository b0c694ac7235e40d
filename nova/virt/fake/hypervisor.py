"""What is on one fake host, and how it misbehaves when it is told to."""

import threading
import zlib
from collections import defaultdict

from nova import errors
from nova.structs.instance import PowerState
from nova.virt.fake.disks import FakeShelf
from nova.virt.fake.state import State, StateDirectory

# For Hypervisor.fail(): whatever method is called.
ANY = "any"


class Hypervisor:
    """One fake host.

    fail() makes the next calls of a method raise (of any method, for ANY); hold() makes them wait for
    release(). crash() is the host losing power: every guest is off.
    """

    def __init__(
        self,
        name: str,
        vcpus: int = 64,
        memory_mb: int = 262144,
        disk_gb: int = 4096,
        kept_in: StateDirectory | None = None,
    ) -> None:
        self.name = name
        self.vcpus = vcpus
        self.memory_mb = memory_mb
        self.disk_gb = disk_gb
        state = State() if kept_in is None else kept_in.read(name)
        self._kept_in = kept_in
        self.is_lasting = True
        self.guests = state.guests
        self.aside = state.aside
        self.mounts = state.mounts
        self.lock = threading.RLock()
        self.calls: list[tuple[str, str]] = []
        # Its disks outlive their guests, as files do.
        self.shelf = FakeShelf()
        self.shelf.directories = state.directories
        # Why nothing can be done here, as a hypervisor that does not answer.
        self.trouble: str | None = None
        self.traits: tuple[str, ...] = ("COMPUTE_NODE", "COMPUTE_STORAGE_VIRTIO_FS", "COMPUTE_MEM_BACKING_FILE")
        self._failures: dict[str, list[Exception]] = defaultdict(list)
        self._barriers: dict[str, threading.Event] = {}
        self._forced: set[tuple[str, str]] = set()

    def fail(self, method: str, error: Exception | None = None, times: int = 1) -> None:
        """Let the next calls of a method fail, by default with GuestFailed."""
        reason = f"the fake driver has to fail {method}"
        self._failures[method].extend([error or errors.GuestFailed(reason=reason)] * times)

    def mend(self) -> None:
        """Take back what fail() has said of calls that have not come."""
        self._failures.clear()

    def hold(self, method: str) -> None:
        """Let calls of a method wait until release(), 60 seconds at most."""
        self._barriers[method] = threading.Event()

    def release(self, method: str) -> None:
        """Let the calls that hold() stopped go on."""
        self._barriers.pop(method).set()

    def crash(self) -> None:
        """Power off every guest at once, as a host does that loses power."""
        for guest in self.guests.values():
            guest.power_state = PowerState.SHUTDOWN

    def lose(self) -> None:
        """The host and all that was on it is gone for good."""
        self.guests.clear()
        self.aside.clear()
        self.shelf = FakeShelf()

    def write(self, uuid: str, content: str) -> None:
        """Let a guest write to its disk."""
        assert self.guests[uuid].power_state is PowerState.RUNNING
        self.shelf.directories[uuid].content = content

    def keep(self) -> None:
        """Let what there is outlive this process, where that is wanted."""
        if self._kept_in is not None:
            with self.lock:
                directories = self.shelf.directories
                state = State(guests=self.guests, aside=self.aside, mounts=self.mounts, directories=directories)
                self._kept_in.write(self.name, state)

    def boot(self, uuid: str) -> None:
        """A guest that outlives this process says, and writes to its disk, how often that was booted."""
        directory = self.shelf.directories.get(uuid)
        if self._kept_in is None or directory is None or directory.content is None:
            return
        word, _, number = directory.content.partition(" ")
        count = int(number) + 1 if word == "boot" else 1
        directory.content = f"boot {count}"
        self.guests[uuid].console += f"boot {count} of this disk\n"

    def may_finish(self, what: str, uuid: str) -> bool:
        """Whether a long action may finish: not while it is held and not forced."""
        return what not in self._barriers or (what, uuid) in self._forced

    def force(self, what: str, uuid: str) -> None:
        """Let one guest's held action finish, as force_complete does."""
        self._forced.add((what, uuid))

    def meet(self, moment: str) -> None:
        """A moment within a method: wait or fail as hold() and fail() say."""
        barrier = self._barriers.get(moment)
        if barrier is not None:
            barrier.wait(60)
        if self._failures[moment]:
            raise self._failures[moment].pop(0)

    def called(self, method: str, uuid: str) -> None:
        """A method was called: wait or fail as hold() and fail() say."""
        self.calls.append((method, uuid))
        barrier = self._barriers.get(method)
        if barrier is not None:
            barrier.wait(60)
        for name in (method, ANY):
            if self._failures[name]:
                raise self._failures[name].pop(0)


# Those of this process, by name: they outlive the driver's objects, as a host outlives nova-compute.
HYPERVISORS: dict[str, Hypervisor] = {}


def address_of(name: str) -> str:
    """An address that each fake host has for itself, of the network that is kept for measurements."""
    return f"198.18.{zlib.crc32(name.encode()) >> 8 & 255}.{zlib.crc32(name.encode()) & 255}"
