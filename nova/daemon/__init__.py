"""The life of a daemon: configuration, logging, workers, signals, health.

Every nova.cmd main() is a call of run(). A daemon is one process, or a parent that forks workers
and starts a new one for each that dies. SIGTERM and SIGINT end it in order, within 10 seconds. SIGHUP makes it read its
files again: options that are mutable, as log levels are, take effect. SIGUSR2 makes it write into its log what it does.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

from oslo_config import cfg

from nova import log_records
from nova.conf import BadConfiguration, load
from nova.conf.required import Check
from nova.conf.review import review
from nova.daemon import service_manager
from nova.daemon.component import Component as Component
from nova.daemon.parent import Parent
from nova.daemon.process import UNUSABLE, Build, Process
from nova.daemon.pulse import own_page

LOG = logging.getLogger(__name__)


def run(
    name: str,
    build: Build,
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
    for number in (signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    try:
        conf = load(sys.argv[1:] if argv is None else argv)
        for check in needs:
            check(conf)
        unknown = review(conf)
        if prepare:
            prepare(conf)
    except BadConfiguration as error:
        print(f"{name}: {error}", file=sys.stderr)
        return UNUSABLE
    log_records.setup(conf, name)
    for line in unknown:
        LOG.warning("%s", line)
    count = workers(conf) if workers else 1
    if count == 1:
        status = Process(name, conf, build, service_manager.notify, own_page(conf)).run()
        logging.shutdown()
        # The services have stopped; a thread that sits in C, as libvirt's do, must not keep the process.
        os._exit(status)
    return Parent(name, conf, build, count).run()


def cores() -> int:
    """Worker processes when the configuration names no number."""
    return len(os.sched_getaffinity(0))
