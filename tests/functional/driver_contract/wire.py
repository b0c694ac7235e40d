"""Proxies between a driver and its hypervisor that know where one call ends and the next begins."""

import contextlib
import http.client
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.functional.driver_contract.faults import Broken, Faults

# Length, program, version, procedure, type. Source: libvirt's "RPC protocol & APIs".
_HEADER = struct.Struct(">IIIii")
_REMOTE_PROGRAM = 0x20008086
_CALL = 0
_STRUCTURED = ("connection", "transfer-encoding", "keep-alive", "content-length", "date", "server")


class LibvirtProxy:
    """A socket that leads to a libvirtd's. changes: numbers of the procedures that change something."""

    def __init__(self, path: Path, target: str, faults: Faults, changes: frozenset[int]) -> None:
        self._target, self._faults, self._changes = target, faults, changes
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            answered: dict[bytes, threading.Event] = {}
            threading.Thread(target=self._requests, args=(client, server, answered), daemon=True).start()
            threading.Thread(target=self._answers, args=(client, server, answered), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, answered: dict[bytes, threading.Event]) -> None:
        with contextlib.suppress(OSError, EOFError, Broken):
            while True:
                packet = _read_packet(client)
                _, program, _, procedure, kind = _HEADER.unpack_from(packet)
                if (program, kind) != (_REMOTE_PROGRAM, _CALL) or procedure not in self._changes:
                    server.sendall(packet)
                    continue
                serial = packet[20:24]
                answered[serial] = threading.Event()

                def make(packet: bytes = packet, serial: bytes = serial) -> bytes:
                    server.sendall(packet)
                    answered[serial].wait(60)
                    return b""

                self._faults.change(str(procedure), make)
        _end(client, server)

    @staticmethod
    def _answers(client: socket.socket, server: socket.socket, answered: dict[bytes, threading.Event]) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                packet = _read_packet(server)
                if (waiting := answered.get(packet[20:24])) is not None:
                    waiting.set()
                client.sendall(packet)
        _end(client, server)


class HttpProxy:
    """An HTTPS server that leads to an HTTP server. name_change: what a request changes, by its method, path and body;
    None for one that changes nothing."""

    def __init__(
        self,
        target_port: int,
        faults: Faults,
        name_change: Callable[[str, str, bytes], str | None],
        certificate: Path | None = None,
    ) -> None:
        self.requests = 0

        def answer(handler: BaseHTTPRequestHandler) -> None:
            self.requests += 1
            body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))

            def make() -> bytes:
                connection = http.client.HTTPConnection("127.0.0.1", target_port, timeout=60)
                connection.request(handler.command, handler.path, body, dict(handler.headers))
                reply = connection.getresponse()
                replies.append(reply)
                return reply.read()

            replies: list[http.client.HTTPResponse] = []
            name = name_change(handler.command, handler.path, body)
            try:
                content = make() if name is None else faults.change(name, make)
            except (Broken, OSError):
                handler.close_connection = True
                handler.connection.close()
                return
            handler.send_response(replies[0].status)
            for key, value in replies[0].getheaders():
                if key.lower() not in _STRUCTURED:
                    handler.send_header(key, value)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(content)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one segment: the second would wait for the first to be acknowledged.
            wbufsize = 1 << 20
            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _read_packet(sock: socket.socket) -> bytes:
    length = _read(sock, 4)
    return length + _read(sock, struct.unpack(">I", length)[0] - 4)


def _read(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _end(*socks: socket.socket) -> None:
    for sock in socks:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
