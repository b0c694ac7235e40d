"""One daemon becomes two processes: a privileged one with few capabilities, and the daemon itself with none.

The order matters. The privileged process is started and told its bounds while nobody has been heard yet; then
the daemon gives up its rights for good. So whatever a tenant's bytes may make of the daemon, it cannot start another privileged process,
nor tell this one other bounds.
"""

import ctypes
import logging
import os
import pwd
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from oslo_config import cfg
from oslo_privsep import capabilities, priv_context
from oslo_privsep.comm import PrivsepTimeout

from nova import concurrency
from nova.privileged.bounds import Bounds, confine
from nova.privileged.contexts import NETWORK, SECTION
from nova.privileged.tools import CommandFailed

LOG = logging.getLogger(__name__)

_LIBC = ctypes.CDLL(None, use_errno=True)
# Source: prctl(2).
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 24, 38


def is_separate() -> bool:
    """Whether a process of its own does what is privileged."""
    return bool(NETWORK.client_mode)


def start(conf: cfg.ConfigOpts, bounds: Bounds) -> None:
    """Start the privileged process with these bounds, as conf's [nova_network_privileged] says.

    Raises CommandFailed when it does not start.
    """
    settings = conf[SECTION]
    for option in ("user", "group", "capabilities", "thread_pool_size"):
        if settings[option]:
            cfg.CONF.set_override(option, settings[option], group=SECTION)
    command = settings.helper_command or shlex.join(_helper(conf.config_file or (), cfg.CONF[SECTION].capabilities))
    cfg.CONF.set_override("helper_command", command, group=SECTION)
    try:
        NETWORK.start(priv_context.Method.ROOTWRAP)
        NETWORK.set_client_mode(True)
        confine(msgspec.to_builtins(bounds))
    except Exception as error:
        raise CommandFailed(f"the privileged process does not start: {error}") from error
    concurrency.spawn(_end_with, NETWORK.channel)


def _helper(files: Sequence[str], kept: Sequence[int]) -> list[str]:
    """oslo.privsep's helper, and no program that it starts, has more than these capabilities. It logs through the daemon."""
    names = ",".join(f"+{capabilities.CAPS_BYVALUE[one].removeprefix('CAP_').lower()}" for one in kept)
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    helper = shutil.which("privsep-helper", path=beside) or "privsep-helper"
    options = [word for path in files for word in ("--config-file", path)]
    limits = ["setpriv", f"--bounding-set=-all,{names}", "--inh-caps=-all"]
    return [*limits, helper, *options, "--log-file=", "--log-dir=", "--log-config-append="]


def become(user: str) -> None:
    """Be this user, without any capability and without a way to get one. Raises KeyError, OSError."""
    entry = pwd.getpwnam(user)
    for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        _prctl(_PR_CAPBSET_DROP, capability)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # As that of any daemon of this user: its own files below /proc are its own.
    _prctl(_PR_SET_DUMPABLE, 1)
    os.environ.update(HOME=entry.pw_dir, USER=user, LOGNAME=user)


def _prctl(number: int, value: int) -> None:
    if _LIBC.prctl(number, value, 0, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """A privileged operation, done by whoever may. Raises CommandFailed, OSError."""
    if not NETWORK.client_mode:
        return concurrency.run_blocking(function, *arguments)
    try:
        return function(*arguments)
    except PrivsepTimeout as error:
        name = getattr(getattr(function, "args", [function])[0], "__name__", "")
        raise CommandFailed(f"the privileged process has not done {name} within {NETWORK.timeout:.0f} s") from error


def _end_with(channel: Any) -> None:
    """A daemon whose privileged process has died ends: it cannot start another one, its service manager can.

    The channel does not tell its callers when it broke with bytes on their way, but its reader ends.
    """
    channel.reader_thread.join()
    LOG.critical("the privileged process has ended, and with it this daemon")
    os._exit(1)
