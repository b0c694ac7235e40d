"""The bytes of one connection, plain or over TLS, each call with a deadline."""

import selectors
import socket
import ssl
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_CHUNK = 65536
# What a client that was refused may go on sending until it has read why.
_LINGER_S, _LINGER_BYTES = 2.0, 1024 * 1024


class Wire:
    """A connection's bytes. until is a time of time.monotonic(); TimeoutError comes then and not later."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def secure(self, tls: ssl.SSLContext, until: float) -> None:
        """Shake hands as a TLS server. Raises OSError."""
        self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._retry(self.socket.do_handshake, until)

    def receive(self, until: float, size: int = _CHUNK) -> bytes:
        if isinstance(self.socket, ssl.SSLSocket):
            return self._retry(lambda: self.socket.recv(size), until)
        self.socket.settimeout(_left(until))
        return self.socket.recv(size)

    def send(self, data: bytes, timeout_s: float) -> None:
        self.socket.settimeout(timeout_s)
        self.socket.sendall(data)

    def waits(self, fd: int, timeout_s: float) -> bool:
        """Whether the client is still there when fd can be read or the time is over; what it sends is dropped."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(fd, selectors.EVENT_READ)
            ready = selector.select(max(timeout_s, 0))
        if all(key.fileobj is not self.socket for key, _ in ready):
            return True
        self.socket.setblocking(False)
        try:
            return bool(self.socket.recv(_CHUNK))
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except OSError:
            return False

    def linger(self) -> None:
        """Let a client read an answer that came before it had sent everything: closing at once would take it away."""
        until, left = time.monotonic() + _LINGER_S, _LINGER_BYTES
        self.socket.shutdown(socket.SHUT_WR)
        while left > 0 and (data := self.receive(until)):
            left -= len(data)

    def _retry(self, function: Callable[[], T], until: float) -> T:
        """A call of TLS, which may take many exchanges: each waits for what is left alone."""
        self.socket.setblocking(False)
        while True:
            try:
                return function()
            except ssl.SSLWantReadError:
                event = selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                event = selectors.EVENT_WRITE
            with selectors.DefaultSelector() as selector:
                selector.register(self.socket, event)
                selector.select(_left(until))


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
