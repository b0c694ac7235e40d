"""An HTTP/1.1 server for one WSGI application, the same on green and on native threads.

A connection holds no more than its own thread: clients that are slow, idle or too many keep nobody else out.
"""

import socket
import ssl
from threading import BoundedSemaphore
from typing import Any

from nova.http.acceptor import Acceptor, shut
from nova.http.connection import Connection
from nova.http.limits import Limits
from nova.http.wsgi import Fault, Wsgi, plain_fault

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
        self.address = sock.getsockname()[:2]
        self._acceptor = Acceptor(sock, limits, self._serve, fault, is_tls=tls is not None)
        self._app = app
        self._limits = limits
        self._tls = tls
        self._fault = fault
        self._turn = BoundedSemaphore(limits.requests)
        self._connections: set[Connection] = set()

    def start(self) -> None:
        self._acceptor.start()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def stop(self) -> None:
        """Take no more connections, end those without a request, and give the others a moment."""
        self._acceptor.stop()
        for connection in list(self._connections):
            connection.is_last = True
            if connection.is_idle:
                shut(connection.wire.socket)
        self._acceptor.wait(_LAST_REQUESTS_S)

    def _serve(self, sock: socket.socket, source: tuple[Any, ...]) -> None:
        connection = Connection(sock, source, self.address, self._limits, self._fault)
        self._connections.add(connection)
        try:
            connection.serve(self._app, self._turn, self._tls)
        finally:
            self._connections.discard(connection)
            connection.wire.socket.close()
