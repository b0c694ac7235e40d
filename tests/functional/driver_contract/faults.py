"""A driver's calls to its hypervisor, one by one: who lies between the two lets each through or makes it fail.

Where a hypervisor is reached over the network, a proxy of wire.py lies there. A call that changes nothing is let through and not
counted: the hypervisor is after it what it was before.
"""

import enum
import os
import signal
import threading
from collections.abc import Callable


class Fault(enum.Enum):
    REFUSED = enum.auto()  # the connection breaks, and nothing has happened
    ANSWER_LOST = enum.auto()  # it has happened, and the connection breaks
    HANGS = enum.auto()  # nothing happens, nothing is answered


class Broken(Exception):
    """The proxy is to break the connection."""


class Faults:
    """What is to happen to calls that change something."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._released = threading.Event()
        self.clear()

    def clear(self) -> None:
        """From now on everything is let through, also what hangs."""
        self.changes: list[str] = []
        self._left: int | None = None
        self._pid: int | None = None
        self._fault: tuple[int, Fault] | None = None
        self._released.set()
        self._released = threading.Event()

    def kill_after(self, number: int, pid: int) -> None:
        """Kill the process when so many changes are made; none of its calls is let through any more."""
        self._left, self._pid = number, pid
        self._kill_at_end()

    def fail(self, number: int, fault: Fault) -> None:
        """Let the change of this number, counted from now and from 1 on, meet a fault; the others are made."""
        self._fault = (len(self.changes) + number, fault)

    def has_met(self) -> bool:
        """Whether the change that was to meet a fault has been asked for."""
        return self._fault is not None and len(self.changes) >= self._fault[0]

    def change(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Make a change, and give its answer, unless a fault is due. Raises Broken."""
        with self._lock:
            self.changes.append(name)
            number = len(self.changes)
            fault = self._fault[1] if self._fault is not None and self._fault[0] == number else None
            if self._left == 0 or fault is Fault.REFUSED:
                raise Broken
            released = self._released
        if fault is Fault.HANGS:
            released.wait(120)
            raise Broken
        answer = make()
        self.changed()
        if self._left == 0 or fault is Fault.ANSWER_LOST:
            raise Broken
        return answer

    def changed(self) -> None:
        """A change has been made."""
        with self._lock:
            if self._left:
                self._left -= 1
                self._kill_at_end()

    def _kill_at_end(self) -> None:
        if self._left == 0 and self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
