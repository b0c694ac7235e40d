"""The life of a daemon: configuration, logging, workers, signals, health.

Every nova.cmd main() is a call of run(). A daemon is one process, or a parent that forks workers
and starts a new one for each that dies; SIGTERM and SIGINT end it in order. SIGHUP makes it read its files
again: options that are mutable, as log levels are, take effect.
"""

import contextlib
import functools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence

from oslo_config import cfg
from oslo_log import log as oslo_log

from nova import concurrency
from nova.conf import BadConfiguration, files, load
from nova.conf.required import Check
from nova.conf.review import review
from nova.daemon.component import Component as Component
from nova.daemon.pulse import Pulse

LOG = logging.getLogger(__name__)


# The exit status that says: this configuration will never do.
_UNUSABLE = 2
# Whoever stops a daemon waits no longer; what is not done by then is taken up again, as after a kill.
_STOPS_WITHIN_S = 9
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run(
    name: str,
    build: Callable[[cfg.ConfigOpts], Sequence[Component]],
    workers: Callable[[cfg.ConfigOpts], int] | None = None,
    argv: Sequence[str] | None = None,
    prepare: Callable[[cfg.ConfigOpts], None] | None = None,
    needs: Sequence[Check] = (),
) -> int:
    """Run the services that build makes until a signal; the exit status.

    build is called in each worker process, after the fork: nothing that holds a socket or a thread
    is shared. Without workers there is one process. needs are checked and prepare is called once, before anything is
    opened: whose rights the daemon has is decided there. A configuration that cannot be used ends the
    daemon with status 2 and one line that says why.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        conf = load(sys.argv[1:] if argv is None else argv)
        for check in needs:
            check(conf)
        unknown = review(conf)
        if prepare:
            prepare(conf)
    except BadConfiguration as error:
        print(f"{name}: {error}", file=sys.stderr)
        return _UNUSABLE
    oslo_log.setup(conf, name)
    for line in unknown:
        LOG.warning("%s", line)
    count = workers(conf) if workers else 1
    if count == 1:
        status = _work(name, conf, build)
        logging.shutdown()
        # The services have stopped; a thread that sits in C, as libvirt's do, must not keep the process.
        os._exit(status)
    return _Parent(name, conf, build, count).run()


def cores() -> int:
    """Worker processes when the configuration names no number."""
    return len(os.sched_getaffinity(0))


def _work(
    name: str, conf: cfg.ConfigOpts, build: Callable[[cfg.ConfigOpts], Sequence[Component]], worker: int | None = None
) -> int:
    """Run the services in this process until a signal; worker is its number, if it has siblings."""
    stopping = threading.Event()
    parent = None if worker is None else os.getppid()
    concurrency.worker_number = worker
    reloading = threading.Event()

    def end(*_: object) -> None:
        stopping.set()
        # Also while it starts: a broker or a database that is away keeps it there.
        signal.alarm(_STOPS_WITHIN_S)

    signal.signal(signal.SIGALRM, functools.partial(_give_up, name))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    signal.signal(signal.SIGHUP, lambda *_: reloading.set())
    services: list[Component] = []
    pulse = Pulse(conf, name, worker or 0)
    try:
        # Before anything is reached, so that whoever asks is told what the daemon waits for.
        pulse.start()
        services.extend(build(conf))
        pulse.watch(services)
        for service in services:
            service.start()
        pulse.up()
        LOG.info("%s is up", name)
        # A worker whose parent was killed would be nobody's: it goes too.
        while not stopping.wait(0.5) and (parent is None or os.getppid() == parent):
            pulse.beat()
            _check_refusals(services)
            if reloading.is_set():
                reloading.clear()
                _reload(name, conf)
    except BadConfiguration as error:
        _refuse(name, conf, error, worker)
        return _UNUSABLE
    except Exception:
        LOG.exception("%s cannot go on", name)
        return 1
    finally:
        pulse.down()
        _stop(name, services)
        pulse.stop()
    LOG.info("%s is down", name)
    return 0


def _refuse(name: str, conf: cfg.ConfigOpts, error: BadConfiguration, worker: int | None) -> None:
    """One line for whoever started the daemon, from one worker of many, and one in the log, where that is elsewhere."""
    line = f"{name}: {files.locate(conf, str(error))}"
    if not worker:
        print(line, file=sys.stderr)
    if conf.log_file or conf.log_dir or conf.use_syslog or conf.use_journal or conf.log_config_append:
        # The traceback would only lead here.
        LOG.error("%s", line)


def _reload(name: str, conf: cfg.ConfigOpts) -> None:
    """Read the files again. What is wrong in them is said, and everything stays as it was."""
    try:
        # A trial first: a value that does not fit must not be found half-way.
        load([], conf.config_file)
        changed = conf.mutate_config_files()
    except (BadConfiguration, cfg.Error, ValueError, OSError) as error:
        LOG.error("%s keeps its configuration: %s", name, error)
        return
    names = sorted(f"[{group or 'DEFAULT'}] {option}" for group, option in changed)
    LOG.info("%s has read its configuration again; changed: %s", name, ", ".join(names) or "nothing")


def _check_refusals(services: Sequence[Component]) -> None:
    """Raises BadConfiguration for a service that must not work."""
    for service in services:
        if (reason := getattr(service, "refusal", None)) is not None:
            raise BadConfiguration(reason)


def _stop(name: str, services: Sequence[Component]) -> None:
    """Stop the services, the last first. One that waits for a daemon that is gone does not hold up the others for ever."""
    # A signal that ends the daemon has wound the clock already.
    signal.alarm(signal.alarm(0) or _STOPS_WITHIN_S)
    for service in reversed(services):
        try:
            service.stop()
        except Exception:
            LOG.exception("%s did not stop in order", service)


def _give_up(name: str, *_: object) -> None:
    LOG.warning("%s did not stop within %s s, and ends as it is", name, _STOPS_WITHIN_S)
    os._exit(0)


class _Parent:
    """Forks workers and replaces those that die."""

    def __init__(
        self, name: str, conf: cfg.ConfigOpts, build: Callable[[cfg.ConfigOpts], Sequence[Component]], count: int
    ) -> None:
        self._name = name
        self._conf = conf
        self._build = build
        self._count = count
        self._children: dict[int, int] = {}
        self._stopping = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._reload)
        for worker in range(self._count):
            self._fork(worker)
        outcome = 0
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                time.sleep(0.2)
                continue
            worker = self._children.pop(pid, 0)
            if os.waitstatus_to_exitcode(status) == _UNUSABLE:
                self._stop()
                outcome = _UNUSABLE
            if not self._stopping:
                LOG.error("worker %s of %s ended with status %s; starting another", pid, self._name, status)
                # A worker that dies at once must not take the machine with it.
                time.sleep(1)
                self._fork(worker)
        return outcome

    def _fork(self, worker: int) -> None:
        # Until the worker has handlers of its own, the parent's must not run in it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid:
            self._children[pid] = worker
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            return
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGHUP else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        status = 1
        try:
            status = _work(self._name, self._conf, self._build, worker)
        finally:
            os._exit(status)

    def _stop(self, *_: object) -> None:
        self._stopping = True
        self._tell(signal.SIGTERM)

    def _reload(self, *_: object) -> None:
        # A worker that is started later inherits what the parent has read.
        _reload(self._name, self._conf)
        self._tell(signal.SIGHUP)

    def _tell(self, number: signal.Signals) -> None:
        for pid in list(self._children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
