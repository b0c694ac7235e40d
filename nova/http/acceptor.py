"""Takes connections from a listening socket, a thread for each, and refuses what exceeds the limits."""

import logging
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from nova import concurrency
from nova.http.limits import Admission, Limits
from nova.http.wsgi import Fault

LOG = logging.getLogger(__name__)

# A refused client has so long to read why; more than so many do not wait for it.
_REFUSAL_S, _REFUSALS = 1.0, 500
_RETRY_S = 5
_LOG_INTERVAL_S = 10


class Acceptor:
    """serve(connection, source) is called for each connection, which is closed when it returns.

    A refusal is worded by fault. With TLS, whose handshake would have to come first, it is no more than the end of
    the connection.
    """

    def __init__(
        self,
        sock: socket.socket,
        limits: Limits,
        serve: Callable[[socket.socket, tuple[Any, ...]], None],
        fault: Fault,
        is_tls: bool = False,
    ) -> None:
        self._socket = sock
        self._port = sock.getsockname()[1]
        self._admission = Admission(limits)
        self._serve = serve
        self._fault = fault
        self._is_tls = is_tls
        self._refused: deque[tuple[float, socket.socket]] = deque()
        self._logged_at = -float(_LOG_INTERVAL_S)
        self._is_stopping = False

    def start(self) -> None:
        concurrency.spawn(self._accept, name="accept")

    def stop(self) -> None:
        """Take no more connections."""
        self._is_stopping = True
        # This wakes accept(); closing alone would not.
        shut(self._socket)
        self._socket.close()

    def wait(self, timeout_s: float) -> None:
        """Until the last connection has ended, but no longer."""
        concurrency.wait_for(lambda: not self._admission.count, timeout_s)

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
                    LOG.warning("port %s cannot take a connection: %s", self._port, error)
                    time.sleep(0.1)
                continue
            reason = self._admission.admit(source[0])
            if reason is None:
                concurrency.spawn(self._run, connection, source, name="connection")
            else:
                self._refuse(connection, source, reason)

    def _run(self, connection: socket.socket, source: tuple[Any, ...]) -> None:
        try:
            self._serve(connection, source)
        except OSError as error:
            LOG.debug("client %s went away: %s", source[0], error)
        except Exception:
            LOG.exception("connection of client %s failed", source[0])
        finally:
            self._admission.leave(source[0])
            connection.close()

    def _refuse(self, connection: socket.socket, source: tuple[Any, ...], reason: str) -> None:
        if time.monotonic() - self._logged_at >= _LOG_INTERVAL_S:
            self._logged_at = time.monotonic()
            LOG.warning("port %s refuses %s: %s See [wsgi] max_connections.", self._port, source[0], reason)
        if self._is_tls:
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


def shut(sock: socket.socket) -> None:
    """End a connection, whoever reads or writes it."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        LOG.debug("a connection had ended before")
