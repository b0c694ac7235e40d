"""An HTTP/1.1 server for one WSGI application: a thread, green or native, for each connection.

A connection holds no more than its own thread: clients that are slow, idle or too many keep nobody else out.
"""

import logging
import socket
import ssl
import time
from collections import deque
from threading import BoundedSemaphore
from typing import Any

from nova import concurrency
from nova.http.connection import Connection
from nova.http.limits import Admission, Limits
from nova.http.wsgi import Fault, Wsgi, plain_fault

LOG = logging.getLogger(__name__)

# A refused client has so long to read why; more than so many do not wait for it.
_REFUSAL_S, _REFUSALS = 1.0, 500
_RETRY_S = 5
_LOG_INTERVAL_S = 10
# Requests that are worked on when the daemon has to end may take so long.
_LAST_REQUESTS_S = 5


class HttpServer:
    """Serves app on a listening socket, within limits; what exceeds them is answered in fault's words."""

    def __init__(
        self,
        sock: socket.socket,
        app: Wsgi,
        limits: Limits,
        tls: ssl.SSLContext | None = None,
        fault: Fault = plain_fault,
    ) -> None:
        self._socket = sock
        self.address = sock.getsockname()[:2]
        self._app = app
        self._limits = limits
        self._tls = tls
        self._fault = fault
        self._admission = Admission(limits)
        self._turn = BoundedSemaphore(limits.requests)
        self._connections: set[Connection] = set()
        self._refused: deque[tuple[float, socket.socket]] = deque()
        self._logged_at = -_LOG_INTERVAL_S
        self._is_stopping = False

    def start(self) -> None:
        concurrency.spawn(self._accept, name="http")

    def stop(self) -> None:
        """Take no more connections, end those without a request, and give the others a moment."""
        self._is_stopping = True
        # This wakes accept(); closing alone would not.
        _shut(self._socket)
        self._socket.close()
        for connection in list(self._connections):
            connection.is_last = True
            if connection.is_idle:
                _shut(connection.wire.socket)
        concurrency.wait_for(lambda: not self._connections, _LAST_REQUESTS_S)

    def _accept(self) -> None:
        while not self._is_stopping:
            self._close_refused()
            try:
                self._socket.settimeout(_REFUSAL_S if self._refused else None)
                connection, source = self._socket.accept()
            except TimeoutError:
                continue
            except OSError as error:
                if not self._is_stopping:
                    LOG.warning("port %s cannot take a connection: %s", self.address[1], error)
                    time.sleep(0.1)
                continue
            reason = self._admission.admit(source[0])
            if reason is None:
                concurrency.spawn(self._serve, connection, source, name="http connection")
            else:
                self._refuse(connection, source, reason)

    def _serve(self, sock: socket.socket, source: tuple[Any, ...]) -> None:
        connection = Connection(sock, source, self.address, self._limits, self._fault)
        self._connections.add(connection)
        try:
            connection.serve(self._app, self._turn, self._tls)
        except OSError as error:
            LOG.debug("client %s went away: %s", source[0], error)
        except Exception:
            LOG.exception("connection of client %s failed", source[0])
        finally:
            self._connections.discard(connection)
            self._admission.leave(source[0])
            connection.wire.socket.close()

    def _refuse(self, connection: socket.socket, source: tuple[Any, ...], reason: str) -> None:
        """Say 503 at once; a client of TLS, which would need a handshake first, is cut off."""
        if time.monotonic() - self._logged_at >= _LOG_INTERVAL_S:
            self._logged_at = time.monotonic()
            LOG.warning("port %s refuses %s: %s See [wsgi] max_connections.", self.address[1], source[0], reason)
        if self._tls is not None:
            connection.close()
            return
        connection.setblocking(False)
        try:
            connection.send(self._refusal(reason))
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            connection.close()
            return
        # Closed at once, with its request unread, it would be reset before the client has read the answer.
        self._refused.append((time.monotonic() + _REFUSAL_S, connection))

    def _refusal(self, reason: str) -> bytes:
        lines = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            closing = [("Retry-After", str(_RETRY_S)), ("Connection", "close")]
            lines.extend([f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in [*headers, *closing])])

        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
        body = b"".join(self._fault(503, reason)(environ, start))
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def _close_refused(self) -> None:
        while self._refused and (self._refused[0][0] <= time.monotonic() or len(self._refused) > _REFUSALS):
            self._refused.popleft()[1].close()


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        LOG.debug("a connection had ended before")
