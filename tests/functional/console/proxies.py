"""Runs the console daemons in one process of their own: python proxies.py BACKEND CONFIG_FILE.

Prints the proxies' ports as JSON when they listen; ends when its standard input does.
"""

import json
import sys
from pathlib import Path

from nova import concurrency


def main() -> None:
    concurrency.start(sys.argv[1])
    from nova.conductor import interface
    from nova.conductor.calls.consoles import ConsoleCalls
    from nova.conf import load
    from nova.console import proxy
    from nova.console.auth import ConsoleAuthService
    from nova.console.interface import over_bus
    from nova.db.database import Database
    from nova.messaging import rpc

    conf = load(files=[sys.argv[2]])
    bus = rpc.transport(conf)
    database = Database(conf.database.connection)
    calls = ConsoleCalls(conf, database, compute=None, consoleauth=None)
    conductor = rpc.Server(bus, "conductor", "here", interface.ConsoleCalls, calls)
    consoleauth = ConsoleAuthService(conf, bus, rpc.client(bus, "conductor", interface.ConsoleCalls))
    screens = {name: getattr(proxy, name)(conf, over_bus(bus)) for name in ("novnc", "spice_html5", "serial")}
    services = [conductor, consoleauth, *screens.values()]
    for service in services:
        service.start()
    print(json.dumps({name: screen.port for name, screen in screens.items()}), flush=True)
    # A thread of its own: reading a pipe would hold up all green threads.
    concurrency.run_blocking(lambda: Path("/dev/stdin").read_bytes())
    for service in reversed(services):
        service.stop()


if __name__ == "__main__":
    main()
