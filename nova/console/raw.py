"""The viewer's end of a console without any frames: bytes as they are, over TCP or TLS.

It has what nova.console.relay needs of a viewer, and nova.console.websocket's Viewer has the same.
"""

import contextlib
import socket
import ssl
from collections.abc import Iterator

_CHUNK = 65536
_BUSY = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class RawViewer:
    """One native client. greeting is sent before the first byte of a console."""

    def __init__(self, sock: socket.socket, greeting: bytes) -> None:
        self.socket = sock
        self.is_closing = False
        self.is_begun = False
        self._greeting = greeting
        self._unsent = bytearray()

    def begin(self) -> None:
        self.is_begun = True
        self._unsent += self._greeting

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def sendmsg(self, data: bytes) -> None:
        """Send what the connection takes now; has_unsent says that some is left."""
        self._unsent += data
        self.flush()

    def flush(self) -> None:
        """Sends as much as the connection takes now; the rest waits for the next call."""
        with contextlib.suppress(*_BUSY):
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]

    def messages(self) -> Iterator[bytes]:
        """What has arrived. is_closing is true afterwards when the viewer has gone."""
        try:
            while data := self.socket.recv(_CHUNK):
                yield data
                # TLS may hold more than the socket says.
                if not (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
                    return
        except _BUSY:
            return
        self.is_closing = True
