"""The component of a daemon that serves one WSGI application on one address."""

import dataclasses
import socket
import sys

from oslo_config import cfg

from nova import concurrency
from nova.http import tls
from nova.http.front import Front
from nova.http.limits import Limits
from nova.http.server import HttpServer
from nova.http.wsgi import Wsgi


class _Listening:
    """An application on an address."""

    def __init__(self, app: Wsgi, host: str, port: int, limits: Limits) -> None:
        self._app = app
        self._address = (host, port)
        self._limits = limits
        self._server: HttpServer | None = None

    def report(self) -> dict[str, object]:
        """For the state report of a daemon."""
        return {f"connections of port {self._address[1]}": self._server.connections if self._server else 0}

    def stop(self) -> None:
        if self._server:
            self._server.stop()

    @property
    def port(self) -> int:
        """The port it listens on, chosen by the system where it was asked for 0."""
        assert self._server is not None
        return int(self._server.address[1])


class HttpService(_Listening):
    """api is the name by which [DEFAULT] enabled_ssl_apis chooses it; requests is how many are worked on at once."""

    def __init__(self, conf: cfg.ConfigOpts, api: str, app: Front, host: str, port: int, requests: int) -> None:
        super().__init__(app, host, port, Limits.of(conf, requests))
        self._fault = app.fault
        self._keep_idle_s = conf.wsgi.tcp_keepidle
        self._tls = tls.context(conf, api)

    def start(self) -> None:
        sock = listen(*self._address, self._keep_idle_s)
        self._server = HttpServer(sock, self._app, self._limits, self._tls, self._fault)
        self._server.start()


class StreamingService(HttpService):
    """An application that reads bodies of any length itself, while they come.

    It waits for its clients, so as many requests are worked on as there may be connections: a slow one keeps no
    other out.
    """

    def __init__(self, conf: cfg.ConfigOpts, api: str, app: Front, host: str, port: int) -> None:
        super().__init__(conf, api, app, host, port, conf.wsgi.max_connections or sys.maxsize)
        self._limits = dataclasses.replace(self._limits, streams_bodies=True, body_bytes=sys.maxsize)


class HealthService(_Listening):
    """Serves a daemon's own page, within limits of its own: it answers while an API of the same process is full."""

    def __init__(self, page: Wsgi, host: str, port: int) -> None:
        super().__init__(page, host, port, Limits(requests=4, connections=100, connections_per_source=0, idle_s=15))

    def start(self) -> None:
        self._server = HttpServer(listen(*self._address), self._app, self._limits)
        self._server.start()


def listen(host: str, port: int, keep_idle_s: int | None = None) -> socket.socket:
    """A listening socket; one daemon's workers share its port (SO_REUSEPORT), two daemons do not.

    After keep_idle_s of silence TCP looks whether a client is still there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    # Connections inherit what is set here.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # An answer in two pieces must not wait for the client's delayed acknowledgement.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if keep_idle_s is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keep_idle_s)
    if concurrency.worker_number is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((host, port))
    sock.listen(1024)
    return sock
