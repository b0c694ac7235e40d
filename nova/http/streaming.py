"""A request's body that an application reads while it comes: of any length, in little memory."""

import time

from nova.http.limits import Limits
from nova.http.request_reader import Message, Reader
from nova.http.wire import Wire

_PIECE = 262144


class BodyStream:
    """wsgi.input of a streamed request.

    A body may take [wsgi] client_body_timeout, and beyond it as long as it needs at the limits' body_rate: a client
    that drips bytes is not waited for.
    """

    def __init__(self, reader: Reader, wire: Wire, message: Message, limits: Limits) -> None:
        self._reader = reader
        self._wire = wire
        self._message = message
        self._limits = limits
        self._began: float | None = None
        self._received = 0
        self._piece: bytes | bytearray = b""

    def read(self, size: int = _PIECE) -> bytes | bytearray:
        """Some bytes, size at most; none at the end. Raises BodyFailure."""
        message = self._message
        if self._began is None:
            self._began = time.monotonic()
            self._piece = message.take()
            self._received = len(self._piece)
        while not self._piece and not message.is_whole:
            until = self._began + self._limits.body_s + self._received / self._limits.body_rate
            self._piece = self._reader.read_on(self._wire, message, self._received, until, _PIECE)
            self._received += len(self._piece)
        if len(self._piece) <= size:
            data, self._piece = self._piece, b""
            return data
        data, self._piece = self._piece[:size], self._piece[size:]
        return data
