"""The consoles that are open in a proxy, and whether each is still that of the guest it was opened for.

A guest that ends closes its console by itself. What it cannot tell is told here: that its server was deleted, or
was moved away from a host that is gone.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nova import concurrency, errors
from nova.rpc.consoleauth import ConsoleAuthCalls
from nova.structs.console import ConsoleAccess

LOG = logging.getLogger(__name__)

_INTERVAL_S = 5.0
_MOST_PER_CALL = 200


class OpenConsole:
    """One of them. is_over: its server has no longer the guest that is shown."""

    def __init__(self, access: ConsoleAccess) -> None:
        self.access = access
        self.is_over = False


class OpenConsoles:
    """All of one proxy, asked about together every few seconds."""

    def __init__(self, consoleauth: ConsoleAuthCalls) -> None:
        self._consoleauth = consoleauth
        self._open: set[OpenConsole] = set()
        self._lock = threading.Lock()
        self._look: concurrency.Periodic | None = None

    def start(self) -> None:
        self._look = concurrency.Periodic(_INTERVAL_S, self.look, "check of open consoles")

    def stop(self) -> None:
        if self._look:
            self._look.stop()

    @contextmanager
    def opened(self, access: ConsoleAccess) -> Iterator[OpenConsole]:
        """Watch a console for as long as it is shown."""
        console = OpenConsole(access)
        with self._lock:
            self._open.add(console)
        try:
            yield console
        finally:
            with self._lock:
                self._open.discard(console)

    def look(self) -> None:
        """Find those that are over. No answer ends none: a guest's own end still does."""
        with self._lock:
            consoles = list(self._open)
        for begin in range(0, len(consoles), _MOST_PER_CALL):
            some = consoles[begin : begin + _MOST_PER_CALL]
            try:
                lasting = self._consoleauth.lasting([console.access for console in some])
            except errors.DomainError as error:
                LOG.warning("whether %d open consoles may stay open is not known: %s", len(consoles), error)
                return
            for console, lasts in zip(some, lasting, strict=True):
                console.is_over = not lasts
