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

# Of one host. An answer takes milliseconds where the host is well.
_PER_HOST = 4


class HostQuestions:
    """compute: reaches a host's daemon. most: how many questions may wait in all."""

    def __init__(self, compute: Callable[[str], ComputeCalls], liveness: Liveness, most: int) -> None:
        self._compute = compute
        self._liveness = liveness
        self._most = most
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()

    @contextlib.contextmanager
    def to(self, host: str) -> Iterator[ComputeCalls]:
        """A host's daemon, to be asked within the block. Raises HostUnreachable where it is down, or too many wait."""
        if not self._liveness.is_up(host):
            raise errors.HostUnreachable(host=host)
        with self._lock:
            if self._waiting[host] >= _PER_HOST or self._waiting.total() >= self._most:
                raise errors.HostUnreachable(host=host)
            self._waiting[host] += 1
        try:
            yield self._compute(host)
        finally:
            with self._lock:
                self._waiting[host] -= 1
                self._waiting += Counter()
