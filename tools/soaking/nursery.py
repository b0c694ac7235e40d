"""A process that has imported every daemon, and forks one when it is told to: what a daemon costs to start is its imports.

Told in lines of JSON on its standard input, it answers each with the number of the process. Daemons outlive it.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

_CONTROL = (
    "api",
    "api_metadata",
    "cert",
    "conductor",
    "consoleauth",
    "network",
    "objectstore",
    "placement_api",
    "scheduler",
)
_COMMANDS = (*_CONTROL, "compute", "novncproxy", "spicehtml5proxy", "xvpvncproxy")


def main() -> None:
    modules = {f"nova-{name.replace('_', '-')}": importlib.import_module(f"nova.cmd.{name}") for name in _COMMANDS}
    print("ready", flush=True)
    while line := sys.stdin.readline():
        wish = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(modules[Path(wish["command"][0]).name], wish)
        print(child, flush=True)
        _collect()


def _become(module: Any, wish: dict[str, Any]) -> None:
    """As tools/cloud.sh starts it: a session of its own, its output in its log, nothing else open."""
    os.setsid()
    log = os.open(wish["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(number, target)
    os.closerange(3, 256)
    sys.argv = list(wish["command"])
    status = 1
    try:
        status = module.main()
    finally:
        os._exit(status)


def _collect() -> None:
    """Forget the children that were killed."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main()
