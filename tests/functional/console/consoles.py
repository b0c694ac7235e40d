"""What the console tests work with: daemons in a process of their own, and guests with screens to show."""

import contextlib
import datetime
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import websocket

import nova
from nova.clock import utcnow
from nova.conductor.calls.consoles import ConsoleCalls
from nova.conf import load
from nova.console.auth import ConsoleAuth
from nova.daemon import Component
from nova.db import instances
from nova.db.engine import Database
from nova.db.models.base import Base
from nova.structs.context import Context
from nova.structs.flavor import Flavor
from nova.structs.guest import ConsoleAddress, ConsoleKind
from nova.structs.instance import Instance, PowerState, VmState
from tests.functional.console import proxies

BANNER = b"RFB 003.008\n"


class Screen:
    """A guest's console: says the first line of the RFB protocol, then repeats what it hears."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.heard: list[bytes] = []
        self.address = ConsoleAddress(host="127.0.0.1", port=self._socket.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionResetError):
            connection.sendall(BANNER)
            while data := connection.recv(65536):
                self.heard.append(data)
                if data == b"power off":
                    return
                connection.sendall(data)


class LedScreen(Screen):
    """A guest's console behind the web server of its hypervisor, which leads to one path."""

    path = "/console?ref=OpaqueRef%3A1&session_id=OpaqueRef%3A2"

    def __init__(self, certificate: Path | None = None) -> None:
        self._tls = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        super().__init__()
        tls_port = self.address.port if certificate else None
        self.address = msgspec.structs.replace(self.address, path=self.path, tls_port=tls_port)

    def _talk(self, connection: socket.socket) -> None:
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        if head.startswith(f"CONNECT {self.path} HTTP/1.1\r\n".encode()):
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            super()._talk(connection)
        else:
            connection.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
            connection.close()


class Consoles:
    """A conductor and its database; nova-consoleauth and the proxies in this process or, green, beside it."""

    def __init__(self, directory: Path, backend: str, options: str = "", port: int = 0) -> None:
        self._directory = directory
        self._backend = backend
        self._config = directory / "nova.conf"
        self.port = {"novnc": port}
        self._write(options)
        self.conf = load(files=[str(self._config)])
        self.database = Database(self.conf.database.connection)
        Base.metadata.create_all(self.database.engine)
        self.hosts = proxies.Hosts(directory)
        self.conductor = ConsoleCalls(self.conf, self.database, proxies.questions(self.hosts), consoleauth=None)
        self.consoleauth = ConsoleAuth(self.conf, self.conductor)
        self.conductor._consoleauth = self.consoleauth
        self._services: list[Component] = []
        self._daemons: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._backend == "threading":
            self._services, self.port = proxies.start(self.conf)
        else:
            self._start_beside()

    def stop(self) -> None:
        for service in reversed(self._services):
            service.stop()
        self._services = []
        if self._daemons:
            self._daemons.stdin.close()
            self._daemons.wait(timeout=30)
            self._daemons.stdout.close()
            self._daemons = None

    def _start_beside(self) -> None:
        """Another backend needs a process of its own."""
        log = (self._directory / "log").open("ab")
        self._daemons = subprocess.Popen(
            [sys.executable, "-W", "ignore", proxies.__file__, self._backend, str(self._config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            # The same code as here, wherever another release is installed.
            env=os.environ | {"PYTHONPATH": str(Path(nova.__file__).parents[1])},
        )
        line = self._daemons.stdout.readline()
        assert line, (self._directory / "log").read_text()
        self.port = json.loads(line)

    def restart_proxies(self) -> None:
        """As an operator would: the same ports are there again."""
        port = self.port["novnc"]
        self.stop()
        self._write(f"[vnc]\nnovncproxy_port = {port}\n")
        self.conf = load(files=[str(self._config)])
        self.start()

    def close(self) -> None:
        self.stop()
        self.database.close()

    def boot(self, kind: ConsoleKind = ConsoleKind.NOVNC, screen: Screen | None = None, **fields: object) -> Instance:
        """A running server; with a screen of this kind when one is given."""
        values = {
            "id": 0,
            "uuid": str(uuid.uuid4()),
            "project_id": "p",
            "user_id": "u",
            "name": "one",
            "hostname": "one",
            "vm_state": VmState.ACTIVE,
            "power_state": PowerState.RUNNING,
            "host": "host-1",
            "flavor": Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=64),
            "created_at": utcnow(),
        } | fields
        server = self.database.write(lambda c: instances.add(c, Instance(**values)))
        self.hosts.run(server.uuid, {kind: screen.address} if screen else {})
        return server

    def console_url(self, server: Instance, protocol: str = "vnc", type: str = "novnc") -> str:
        return self.conductor.console(Context(), server.uuid, protocol, type).url

    def token(self, server: Instance, protocol: str = "vnc", type: str = "novnc") -> str:
        query = parse_qs(urlsplit(self.console_url(server, protocol, type)).query)
        return query["token"][0] if "token" in query else query["path"][0].removeprefix("?token=")

    def expired_token(self, server: Instance, screen: Screen) -> str:
        past = ConsoleAuth(self.conf, self.conductor)
        past._ttl = datetime.timedelta(seconds=-1)
        return past.authorize(server.uuid, ConsoleKind.NOVNC, screen.address)

    def view(self, token: str | None, proxy: str = "novnc", path: str | None = None, **options: object):
        """What a browser does: a websocket to the proxy, with the token in its query."""
        path = path if path is not None else f"/?token={token}" if token is not None else "/"
        options.setdefault("subprotocols", ["binary"])
        return websocket.create_connection(f"ws://127.0.0.1:{self.port[proxy]}{path}", timeout=10, **options)

    def page(self, path: str, proxy: str = "novnc") -> str:
        return f"http://127.0.0.1:{self.port[proxy]}{path}"

    def _write(self, options: str) -> None:
        listen = "" if "novncproxy_port" in options else "[vnc]\nnovncproxy_port = 0\n"
        self._config.write_text(
            f"[DEFAULT]\ntransport_url = local:///{self._directory.name}\nhost = here\n"
            f"[database]\nconnection = sqlite:///{self._directory}/nova.sqlite\n"
            f"[spice]\nhtml5proxy_port = 0\n[serial_console]\nserialproxy_port = 0\n{listen}{options}"
        )


def read(viewer, size: int) -> bytes:
    """Exactly size bytes of what the viewer is shown."""
    data = b""
    while len(data) < size:
        received = viewer.recv()
        assert received, "the proxy closed the console"
        data += received
    return data


def closing(viewer) -> tuple[int, str] | None:
    """Code and reason with which the proxy closes; None where it closes without a word."""
    while True:
        try:
            opcode, data = viewer.recv_data()
        except websocket.WebSocketConnectionClosedException:
            return None
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            viewer.shutdown()
            return int.from_bytes(data[:2]), data[2:].decode()
