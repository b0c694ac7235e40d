"""The daemons' and tools' entry points, one small main() each."""

import os
import re
import sys


def start_concurrency(auto: str = "eventlet") -> None:
    """Choose green or native threads before anything else of a daemon is imported; auto: what "auto" means for it.

    NOVA_CONCURRENCY_BACKEND wins over [DEFAULT] concurrency_backend, which is read here from the
    files on the command line because oslo.config itself must be imported after the choice.
    """
    from nova import concurrency

    backend = os.environ.get("NOVA_CONCURRENCY_BACKEND") or _configured_backend(sys.argv[1:]) or "auto"
    concurrency.start(auto if backend == "auto" else backend)


def _configured_backend(arguments: list[str]) -> str | None:
    files = re.findall(r"--config-file[ =](\S+)", " ".join(arguments)) or ["/etc/nova/nova.conf"]
    found = None
    for path in files:
        try:
            with open(path) as file:
                match = re.search(r"^\s*concurrency_backend\s*=\s*(\w+)", file.read(), re.M)
        except OSError:
            continue
        found = match.group(1) if match else found
    return found
