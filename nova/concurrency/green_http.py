"""eventlet's HTTP server, for nova.http.server under that backend."""

import logging
import socket
from collections.abc import Callable
from typing import Any

import eventlet
import eventlet.wsgi

LOG = logging.getLogger(__name__)


def serve(sock: socket.socket, app: Callable[..., Any], size: int, idle_s: float) -> None:
    """Answer requests on a listening socket, size at once, until the socket is closed."""
    connections = eventlet.GreenPool(size)

    class Protocol(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]
        def handle_one_response(self) -> None:
            # A connection holds a thread of the pool even while it is idle, and clients such as Horizon
            # leave theirs open without using them again: the second half of the pool is not kept open.
            if connections.free() < size // 2:
                self.close_connection = True
            super().handle_one_response()

    try:
        eventlet.wsgi.server(
            sock,
            app,
            protocol=Protocol,
            custom_pool=connections,
            keepalive=idle_s,
            log_output=False,
            debug=False,
            socket_timeout=900,
            capitalize_response_headers=False,
        )
    except OSError:
        LOG.debug("listening socket closed")
