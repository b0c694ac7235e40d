"""The console daemons. As a program: python proxies.py BACKEND CONFIG_FILE, for a process of their own.

It prints the proxies' ports as JSON when they listen, and ends when its standard input does.
"""

import json
import sys
from pathlib import Path

from nova import concurrency

if __name__ == "__main__":
    # Before anything else is imported.
    concurrency.start(sys.argv[1])

from oslo_config import cfg

from nova.conductor import interface
from nova.conductor.calls.consoles import ConsoleCalls
from nova.conf import load
from nova.console import proxy
from nova.console.auth import ConsoleAuthService
from nova.console.interface import over_bus
from nova.daemon import Service
from nova.db.database import Database
from nova.messaging import rpc


def start(conf: cfg.ConfigOpts) -> tuple[list[Service], dict[str, int]]:
    """A conductor for consoles, nova-consoleauth and all proxies, on a bus of this process; the proxies' ports."""
    bus = rpc.transport(conf)
    calls = ConsoleCalls(conf, Database(conf.database.connection), compute=None, consoleauth=None)
    conductor = rpc.Server(bus, "conductor", "here", interface.ConsoleCalls, calls)
    consoleauth = ConsoleAuthService(conf, bus, rpc.client(bus, "conductor", interface.ConsoleCalls))
    screens = {name: getattr(proxy, name)(conf, over_bus(bus)) for name in ("novnc", "spice_html5", "serial")}
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
