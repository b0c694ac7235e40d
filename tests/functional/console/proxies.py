"""The console daemons. As a program: python proxies.py BACKEND CONFIG_FILE, for a process of their own.

It prints the proxies' ports as JSON when they listen, and ends when its standard input does.
"""

import json
import sys
from pathlib import Path

from nova import backend

if __name__ == "__main__":
    backend.choose(sys.argv[1])

from oslo_config import cfg

from nova import concurrency
from nova.conductor.calls.consoles import ConsoleCalls
from nova.conf import load
from nova.console import proxy
from nova.console.auth import ConsoleAuthService
from nova.daemon import Component
from nova.db.engine import Database
from nova.rpc.bus import connect
from nova.rpc.client import make_client
from nova.rpc.conductor import ConsoleCalls as ConsoleContract
from nova.rpc.consoleauth import consoleauth_client
from nova.rpc.server import Server


def start(conf: cfg.ConfigOpts) -> tuple[list[Component], dict[str, int]]:
    """A conductor for consoles, nova-consoleauth and all proxies, on a bus of this process; the proxies' ports."""
    bus = connect(conf)
    calls = ConsoleCalls(conf, Database(conf.database.connection), compute=None, consoleauth=None)
    conductor = Server(bus, "conductor", "here", ConsoleContract, calls)
    consoleauth = ConsoleAuthService(conf, bus, make_client(bus, "conductor", ConsoleContract))
    screens = {name: getattr(proxy, name)(conf, consoleauth_client(bus)) for name in ("novnc", "spice_html5", "serial")}
    services = [conductor, consoleauth, *screens.values()]
    for service in services:
        service.start()
    return services, {name: screen.port for name, screen in screens.items()}


def main() -> None:
    services, ports = start(load(files=[sys.argv[2]]))
    print(json.dumps(ports), flush=True)
    # A thread of its own: reading a pipe would hold up all green threads.
    concurrency.run_blocking(lambda: Path("/dev/stdin").read_bytes())
    for service in reversed(services):
        service.stop()


if __name__ == "__main__":
    main()
