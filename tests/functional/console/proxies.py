"""The console daemons. As a program: python proxies.py BACKEND CONFIG_FILE, for a process of their own.

It prints the proxies' ports as JSON when they listen, and ends when its standard input does.
"""

import json
import sys
from pathlib import Path

from nova import backend

if __name__ == "__main__":
    backend.choose(sys.argv[1])

import msgspec
import sqlalchemy
from oslo_config import cfg

from nova import concurrency, errors
from nova.conductor.calls.consoles import ConsoleCalls
from nova.conductor.engine.liveness import Liveness
from nova.conductor.host_questions import HostQuestions
from nova.conf import load
from nova.console import proxy
from nova.console.auth import ConsoleAuthService
from nova.console.xvp import xvp_vnc
from nova.daemon import Component
from nova.db.engine import Database
from nova.rpc.bus import connect
from nova.rpc.client import make_client
from nova.rpc.conductor import ConsoleCalls as ConsoleContract
from nova.rpc.consoleauth import consoleauth_client
from nova.rpc.server import Server
from nova.structs.guest import ConsoleAddress, ConsoleKind


class Hosts:
    """The nova-computes of a cloud, as far as consoles go: which guest has which screens. A file for all processes."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "guests.json"

    def __call__(self, host: str) -> "Hosts":
        return self

    def run(self, instance_id: str, screens: dict[ConsoleKind, ConsoleAddress]) -> None:
        """A guest runs, and shows itself there."""
        self._write(self._guests() | {instance_id: screens})

    def end(self, instance_id: str) -> None:
        """A guest does not run any more."""
        self._write({name: screens for name, screens in self._guests().items() if name != instance_id})

    def console_address(self, instance_id: str, kind: ConsoleKind) -> ConsoleAddress:
        guests = self._guests()
        if instance_id not in guests:
            raise errors.GuestNotFound(guest=instance_id)
        if kind not in guests[instance_id]:
            raise errors.NotImplementedHere(action=f"offer a {kind} console now")
        return guests[instance_id][kind]

    def _guests(self) -> dict[str, dict[ConsoleKind, ConsoleAddress]]:
        if not self._path.exists():
            return {}
        return msgspec.json.decode(self._path.read_bytes(), type=dict[str, dict[ConsoleKind, ConsoleAddress]])

    def _write(self, guests: dict[str, dict[ConsoleKind, ConsoleAddress]]) -> None:
        half = self._path.with_suffix(".half")
        half.write_bytes(msgspec.json.encode(guests))
        half.rename(self._path)


def questions(hosts: Hosts) -> HostQuestions:
    """Users' way to hosts of which none is down."""
    return HostQuestions(hosts, Liveness(down_after_s=3600), most=32)


def start(conf: cfg.ConfigOpts) -> tuple[list[Component], dict[str, int]]:
    """A conductor for consoles, nova-consoleauth and all proxies, on a bus of this process; the proxies' ports."""
    bus = connect(conf)
    hosts = Hosts(Path(sqlalchemy.make_url(conf.database.connection).database).parent)
    calls = ConsoleCalls(conf, Database(conf.database.connection), questions(hosts), consoleauth=None)
    conductor = Server(bus, "conductor", "here", ConsoleContract, calls)
    consoleauth = ConsoleAuthService(conf, bus, make_client(bus, "conductor", ConsoleContract))
    screens = {name: getattr(proxy, name)(conf, consoleauth_client(bus)) for name in ("novnc", "spice_html5", "serial")}
    if conf.vnc.xvpvncproxy_base_url:
        screens["xvp_vnc"] = xvp_vnc(conf, consoleauth_client(bus))
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
