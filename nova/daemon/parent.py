"""The process above the workers of a daemon: it forks them, replaces those that die, and speaks for them.

Where there is a health page, one more process has it (nova.daemon.whole), and asks the workers.
"""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from oslo_config import cfg

from nova.daemon import page_of_workers, service_manager
from nova.daemon.process import ENDING, UNUSABLE, Build, Process
from nova.daemon.reloading import reload

LOG = logging.getLogger(__name__)

_SIGNALS = (*ENDING, signal.SIGHUP, signal.SIGUSR2)
# Workers end by themselves before that.
_KILLS_AFTER_S = 9.8
# A worker says twice a second that it lives.
_SILENT_S = 30.0
_AWAY_S = 5.0
# The place of the process that has the health page, beside those of the workers.
_PAGE = -1


@dataclass
class _Worker:
    number: int
    pipe: int
    heard_at: float
    is_ready: bool = False


class Parent:
    """count workers, each a Process of its own."""

    def __init__(self, name: str, conf: cfg.ConfigOpts, build: Build, count: int) -> None:
        self._name = name
        self._conf = conf
        self._build = build
        self._count = count
        self._page = page_of_workers.PageOfWorkers(conf, count) if conf.health_port else None
        self._workers: dict[int, _Worker] = {}
        self._stops_at: float | None = None
        self._is_announced = False
        self._looked_at = time.monotonic()

    def run(self) -> int:
        for number in ENDING:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._reload)
        signal.signal(signal.SIGUSR2, lambda *_: self._tell(signal.SIGUSR2))
        for place in range(_PAGE if self._page else 0, self._count):
            self._fork(place)
        outcome = 0
        while self._workers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                self._look_at_workers()
                time.sleep(0.2)
                continue
            if pid not in self._workers:
                continue
            worker = self._workers.pop(pid)
            os.close(worker.pipe)
            if os.waitstatus_to_exitcode(status) == UNUSABLE:
                self._stop()
                outcome = UNUSABLE
            if self._stops_at is None:
                LOG.error("worker %s of %s ended with status %s; starting another", pid, self._name, status)
                # A worker that dies at once must not take the machine with it.
                time.sleep(1)
                self._fork(worker.number)
        return outcome

    def _look_at_workers(self) -> None:
        """Pass on what they say. One that is silent for long is ended, and another takes its place."""
        now = time.monotonic()
        # Whatever stopped this process has stopped the workers, too.
        was_away, self._looked_at = now - self._looked_at > _AWAY_S, now
        for pid, worker in self._workers.items():
            said = _read(worker.pipe)
            worker.is_ready |= b"R" in said
            if said or was_away:
                worker.heard_at = now
            if (self._stops_at is not None and now > self._stops_at) or now - worker.heard_at > _SILENT_S:
                LOG.error("worker %s of %s does not answer any more and is ended", pid, self._name)
                worker.heard_at = now
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        service_manager.notify(service_manager.WATCHDOG)
        if not self._is_announced and all(worker.is_ready for worker in self._workers.values()):
            self._is_announced = True
            service_manager.notify("READY=1")

    def _fork(self, worker: int) -> None:
        # Until the worker has handlers of its own, the parent's must not run in it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        pid = os.fork()
        if pid:
            os.close(writing)
            self._workers[pid] = _Worker(worker, reading, time.monotonic())
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            return
        for pipe in (reading, *(one.pipe for one in self._workers.values())):
            os.close(pipe)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL if number in ENDING else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        status = 1
        try:
            tell = _Teller(writing)
            status = self._process(worker, tell).run()
        finally:
            os._exit(status)

    def _process(self, place: int, tell: Callable[[str], None]) -> Process:
        """What runs in this place, in the process forked for it."""
        if place == _PAGE:
            assert self._page is not None
            name = f"the health page of {self._name}"
            return Process(name, self._conf, lambda _: (), tell, self._page.page(), is_child=True)
        outlet = self._page.worker(place) if self._page else None
        return Process(self._name, self._conf, self._build, tell, outlet, place, is_child=True)

    def _stop(self, *_: object) -> None:
        self._stops_at = time.monotonic() + _KILLS_AFTER_S
        service_manager.notify("STOPPING=1")
        self._tell(signal.SIGTERM)

    def _reload(self, *_: object) -> None:
        # A worker that is started later inherits what the parent has read.
        reload(self._name, self._conf)
        self._tell(signal.SIGHUP)

    def _tell(self, number: signal.Signals) -> None:
        for pid in list(self._workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class _Teller:
    """How a worker lets its parent know: a letter for each message."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def __call__(self, message: str) -> None:
        # A parent that does not read is busy, or gone.
        with contextlib.suppress(OSError):
            os.write(self._pipe, message[:1].encode())


def _read(pipe: int) -> bytes:
    try:
        return os.read(pipe, 4096)
    except BlockingIOError:
        return b""
