"""Questions that users ask of hosts: a console's log, its address, diagnostics.

A host that hangs keeps each question waiting, in a thread that answers everybody. So a host that is known to be down is not
asked, and only so many questions may wait: of one host, and in all.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator

from nova import errors
from nova.conductor.engine.liveness import Liveness
from nova.rpc.compute import ComputeCalls

# Of one host. An answer takes milliseconds where the host is well: whoever comes beyond that waits so long for a place.
_PER_HOST = 4
_PATIENCE_S = 1.0


class HostQuestions:
    """compute: reaches a host's daemon. most: how many questions may wait in all."""

    def __init__(self, compute: Callable[[str], ComputeCalls], liveness: Liveness, most: int) -> None:
        self._compute = compute
        self._liveness = liveness
        self._most = most
        self._places = threading.Condition()
        self._asking: Counter[str] = Counter()
        self._total = 0

    @contextlib.contextmanager
    def to(self, host: str) -> Iterator[ComputeCalls]:
        """A host's daemon, to be asked within the block. Raises HostUnreachable where it is down, or too many wait."""
        if not self._liveness.is_up(host):
            raise errors.HostUnreachable(host=host)
        with self._counted(host), self._place(host):
            yield self._compute(host)

    @contextlib.contextmanager
    def _counted(self, host: str) -> Iterator[None]:
        with self._places:
            if self._total >= self._most:
                raise errors.HostUnreachable(host=host)
            self._total += 1
        try:
            yield
        finally:
            with self._places:
                self._total -= 1

    @contextlib.contextmanager
    def _place(self, host: str) -> Iterator[None]:
        with self._places:
            if not self._places.wait_for(lambda: self._asking[host] < _PER_HOST, _PATIENCE_S):
                raise errors.HostUnreachable(host=host)
            self._asking[host] += 1
        try:
            yield
        finally:
            with self._places:
                self._asking[host] -= 1
                if not self._asking[host]:
                    del self._asking[host]
                self._places.notify_all()
