"""How the workers of a daemon get one health page: a socket for each, and a process that asks them."""

import socket

from oslo_config import cfg

from nova.daemon.component import Component
from nova.daemon.pulse import Outlet, Pulse
from nova.daemon.whole import Whole
from nova.daemon.worker_state import Telling, make_socket
from nova.http import health
from nova.http.service import HealthService


class PageOfWorkers:
    """Made by the parent, before it forks. page() and worker() are called in the forked processes."""

    def __init__(self, conf: cfg.ConfigOpts, count: int) -> None:
        self._conf = conf
        self._sockets = [make_socket() for _ in range(count)]
        self._names: list[bytes] = [sock.getsockname() for sock in self._sockets]

    def page(self) -> Outlet:
        """For the process that has the page."""
        self._close_all_but(None)
        whole = Whole(self._names)

        def outlet(pulse: Pulse) -> Component:
            def is_alive() -> bool:
                return pulse.is_alive() and whole.are_alive()

            page = health.page(lambda: whole.checks(pulse.readiness.state()), is_alive, whole.figures)
            return HealthService(page, self._conf.health_listen, self._conf.health_port)

        return outlet

    def worker(self, number: int) -> Outlet:
        """For the worker with this number."""
        sock = self._sockets[number]
        self._close_all_but(sock)
        return lambda pulse: Telling(sock, pulse.readiness.state, pulse.is_alive)

    def _close_all_but(self, kept: socket.socket | None) -> None:
        for sock in self._sockets:
            if sock is not kept:
                sock.close()
