"""One process of a daemon: its components, its signals, its end."""

import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence

from oslo_config import cfg

from nova import concurrency
from nova.conf import BadConfiguration
from nova.daemon import report
from nova.daemon.component import Component
from nova.daemon.pulse import Outlet, Pulse
from nova.daemon.reloading import refuse, reload
from nova.daemon.service_manager import WATCHDOG

LOG = logging.getLogger(__name__)

Build = Callable[[cfg.ConfigOpts], Sequence[Component]]

# The exit status that says: this configuration will never do.
UNUSABLE = 2
# Whoever stops a daemon waits no longer; what is not done by then is taken up again, as after a kill.
STOPS_WITHIN_S = 9
# The same for a main thread that does not come back from C to hear of it.
_DEAF_FOR_S = STOPS_WITHIN_S + 0.5
ENDING = (signal.SIGTERM, signal.SIGINT)
# Whoever starts a daemon in turn with others waits no longer for one that waits for them.
_WAITS_FOR_START_S = 10.0
_TICK_S = 0.5


class Process:
    """tell passes READY, WATCHDOG and STOPPING on; worker is the number of this process, if it has siblings.

    is_child: whether it ends with its parent. outlet: see Pulse.
    """

    def __init__(
        self,
        name: str,
        conf: cfg.ConfigOpts,
        build: Build,
        tell: Callable[[str], None],
        outlet: Outlet | None,
        worker: int | None = None,
        is_child: bool = False,
    ) -> None:
        self._name = name
        self._conf = conf
        self._build = build
        self._tell = tell
        self._worker = worker
        self._parent = os.getppid() if is_child else None
        self._services: list[Component] = []
        self._pulse = Pulse(conf, name, outlet)
        self._stopping = threading.Event()
        self._is_to_reload = self._is_to_report = self._is_announced = False
        self._began = time.monotonic()

    def run(self) -> int:
        """Run the components until a signal; the exit status."""
        concurrency.worker_number = self._worker
        self._listen_to_signals()
        ticking = concurrency.Periodic(_TICK_S, self._tick, "ticks")
        try:
            # Before anything is reached, so that whoever asks is told what the daemon waits for.
            self._pulse.start()
            self._services.extend(self._build(self._conf))
            self._pulse.watch(self._services)
            for service in self._services:
                service.start()
            self._pulse.up()
            LOG.info("%s is up", self._name)
            self._turn()
        except BadConfiguration as error:
            refuse(self._name, self._conf, error, self._worker)
            return UNUSABLE
        except Exception:
            LOG.exception("%s cannot go on", self._name)
            return 1
        finally:
            self._stop()
            ticking.cancel()
        LOG.info("%s is down", self._name)
        return 0

    def _turn(self) -> None:
        """Until the end. A worker whose parent was killed would be nobody's: it goes too."""
        while not self._stopping.wait(_TICK_S) and (self._parent is None or os.getppid() == self._parent):
            self._pulse.beat()
            _check_refusals(self._services)
            if self._is_to_reload:
                self._is_to_reload = False
                reload(self._name, self._conf)

    def _listen_to_signals(self) -> None:
        signal.signal(signal.SIGALRM, functools.partial(_give_up, self._name))
        for number in ENDING:
            signal.signal(number, self._end)
        for number in (signal.SIGHUP, signal.SIGUSR2):
            signal.signal(number, _stay)
        last_words = f"{self._name} did not stop within {_DEAF_FOR_S} s, and ends as it is"
        concurrency.end_after(ENDING, _DEAF_FOR_S, last_words, self._hear)

    def _end(self, *_: object) -> None:
        self._stopping.set()
        # Also while it starts: a broker or a database that is away keeps it there.
        signal.alarm(STOPS_WITHIN_S)

    def _hear(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._is_to_reload = True
        if number == signal.SIGUSR2:
            self._is_to_report = True

    def _tick(self) -> None:
        """In a thread of its own: also while the daemon starts, and waits for somebody."""
        is_late = time.monotonic() - self._began > _WAITS_FOR_START_S
        if not self._is_announced and not self._stopping.is_set() and (self._pulse.is_up or is_late):
            self._is_announced = True
            missing = ", ".join(sorted(self._pulse.readiness.failing()))
            self._tell("READY=1" if self._pulse.is_up else f"READY=1\nSTATUS=It waits for what it needs: {missing}")
        if self._pulse.is_alive():
            self._tell(WATCHDOG)
        if self._is_to_report:
            self._is_to_report = False
            for line in report.state(self._name, self._services, self._pulse.readiness).split("\n"):
                # Whoever asks for it gets it, whatever the level of the log is.
                LOG.critical("%s", line)

    def _stop(self) -> None:
        """Stop, the last first. A component that waits for a daemon that is gone does not hold up the others for ever."""
        self._pulse.down()
        self._tell("STOPPING=1")
        # A signal that ends the daemon has wound the clock already.
        signal.alarm(signal.alarm(0) or STOPS_WITHIN_S)
        for service in reversed(self._services):
            try:
                service.stop()
            except Exception:
                LOG.exception("%s did not stop in order", service)
        self._pulse.stop()


def _check_refusals(services: Sequence[Component]) -> None:
    """Raises BadConfiguration for a service that must not work."""
    for service in services:
        if (reason := getattr(service, "refusal", None)) is not None:
            raise BadConfiguration(reason)


def _stay(*_: object) -> None:
    """The handler of signals of which _hear() is told."""


def _give_up(name: str, *_: object) -> None:
    LOG.warning("%s did not stop within %s s, and ends as it is", name, STOPS_WITHIN_S)
    os._exit(0)
