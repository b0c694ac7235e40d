"""Chooses what concurrent work runs on: native threads, or eventlet's green ones. The first thing that a daemon imports.

eventlet replaces the standard library's locks. One that was made before stays native: a green thread that waits for it
stops the whole process, for ever. So nothing of nova and nothing with a lock is imported before the choice; this module
imports os, re and sys alone. Afterwards nova.concurrency is all that the rest of nova needs to know.
"""

import os
import re
import sys
from collections.abc import Sequence
from typing import Any

# eventlet, where it was chosen.
eventlet: Any = None

_MAY_COME_BEFORE = {"nova", "nova.cmd", "nova.backend"}


def choose(backend: str | None = None) -> None:
    """Choose for this process. Without a name NOVA_CONCURRENCY_BACKEND wins over [DEFAULT] concurrency_backend.

    That is read here from the files on the command line, because oslo.config must be imported after the choice.
    """
    backend = backend or os.environ.get("NOVA_CONCURRENCY_BACKEND") or _configured(sys.argv[1:])
    if backend == "eventlet" and eventlet is None:
        _patch()


def _configured(arguments: Sequence[str]) -> str | None:
    words = " ".join(arguments)
    files = re.findall(r"--config-file[ =](\S+)", words) or ["/etc/nova/nova.conf"]
    own = os.path.basename(sys.argv[0])
    directories = re.findall(r"--config-dir[ =](\S+)", words) or ["/etc/nova/nova.conf.d", f"/etc/nova/{own}.conf.d"]
    for directory in filter(os.path.isdir, directories):
        files += [os.path.join(directory, name) for name in sorted(os.listdir(directory)) if name.endswith(".conf")]
    backend = None
    for path in files:
        try:
            with open(path) as file:
                match = re.search(r"^\s*concurrency_backend\s*=\s*(\w+)", file.read(), re.M)
        except OSError:
            continue
        backend = match.group(1) if match else backend
    return backend


def _patch() -> None:
    global eventlet
    _check_that_it_is_early()
    # eventlet resolves names itself unless told otherwise, and ignores /etc/hosts changes then.
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
    import eventlet as module  # noqa: PLC0415 - importing it is what chooses the backend
    import eventlet.debug  # noqa: PLC0415

    module.monkey_patch()
    # A traceback of a client that went away belongs in no operator's log.
    module.debug.hub_prevent_multiple_readers(False)
    eventlet = module


def _check_that_it_is_early() -> None:
    """Raises RuntimeError when somebody may have made a lock already."""
    early = [name for name in sys.modules if name.startswith("nova.") and name not in _MAY_COME_BEFORE]
    early += [name for name in sys.modules if name.startswith("concurrent.futures")]
    if early:
        raise RuntimeError(f"imported before the choice of eventlet, with locks it cannot replace: {', '.join(early)}")
