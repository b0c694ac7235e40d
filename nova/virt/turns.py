"""One turn at a time for each guest, or whatever else has a name on a host."""

import contextlib
import logging
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from nova import errors

LOG = logging.getLogger(__name__)

# Steps of one guest come one after the other: what is waited for is a step that hangs, or a reconciler.
_PATIENCE_S = 30.0


class Turns:
    """A lock for each name, for as long as somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def of(self, name: str) -> Any:
        """The lock of a name."""
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())

    @contextlib.contextmanager
    def guest(self, uuid: str) -> Iterator[None]:
        """A guest's turn. Raises errors.Unavailable where another one does not end."""
        lock = self.of(uuid)
        if not lock.acquire(timeout=_PATIENCE_S):
            LOG.error("guest %s is busy with something that has not ended for more than %.0f s", uuid, _PATIENCE_S)
            raise errors.Unavailable(service="The guest", reason="another step of it has not ended on its host")
        try:
            yield
        finally:
            lock.release()
