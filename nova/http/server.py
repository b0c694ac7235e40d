"""An HTTP/1.1 server for one WSGI application: eventlet's own under eventlet, cheroot with native threads."""

import socket
import threading
from typing import Any

from nova import concurrency
from nova.http.wsgi import Wsgi

# A connection without a request is closed after so long.
_IDLE_S = 75


class HttpServer:
    """An HTTP/1.1 server with keep-alive for one WSGI application on a listening socket.

    size is how many requests it works on at once; connections that clients leave open without a request never
    keep others out.
    """

    def __init__(self, sock: socket.socket, app: Wsgi, size: int) -> None:
        self._sock = sock
        self._app = app
        self._size = size
        self._cheroot: Any = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        target = self._serve_green if concurrency.is_green() else self._serve_threads
        self._thread = concurrency.spawn(target, name="http")

    def stop(self) -> None:
        if self._cheroot is not None:
            self._cheroot.stop()
        # eventlet's server returns when its listening socket is closed.
        self._sock.close()

    def _serve_green(self) -> None:
        from nova.concurrency import green_http  # noqa: PLC0415 - only that backend imports eventlet

        green_http.serve(self._sock, self._app, self._size, _IDLE_S)

    def _serve_threads(self) -> None:
        from cheroot import wsgi  # noqa: PLC0415

        address = self._sock.getsockname()[:2]
        server = wsgi.Server(address, self._app, numthreads=self._size, request_queue_size=1024)
        # The socket listens already: the server must not bind one of its own.
        server.bind = lambda *_: setattr(server, "socket", self._sock)
        self._cheroot = server
        server.start()
