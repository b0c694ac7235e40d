"""The viewer's end of a console: websockify's WebSocket, made safe for a loop that never blocks.

What is sent is queued whole and leaves when the connection takes it: has_unsent says that some is
left. Frames and buffers are bounded, for a viewer is not trusted.
"""

import contextlib
import ssl
import time
import warnings
from collections.abc import Iterator
from typing import Any

with warnings.catch_warnings():
    # It says that numpy would be faster; _unmask below is.
    warnings.simplefilter("ignore")
    from websockify.websocketserver import HttpWebSocket

_MOST_BUFFERED = 1 << 20
_CLOSE_WAIT_S = 2.0


class TooMuch(Exception):
    """The viewer sent a frame larger than any console has use for."""


class Viewer(HttpWebSocket):
    """One browser's connection."""

    def select_subprotocol(self, protocols: list[str]) -> str:
        """noVNC and spice-html5 ask for "binary", where they ask for anything."""
        return next((offered for offered in protocols if offered.strip() == "binary"), "")

    @property
    def is_open(self) -> bool:
        return self.socket is not None

    @property
    def has_unsent(self) -> bool:
        return bool(self._send_buffer)

    def begin(self) -> None:
        """Nothing stands between the handshake and the first frame."""

    def flush(self) -> None:
        """Send what the connection takes now."""
        self._flush()

    def messages(self) -> Iterator[bytes]:
        """What has arrived. is_closing is true afterwards when the viewer has gone."""
        try:
            while (message := self.recvmsg()) is not None:
                yield message
                if not self.pending():
                    return
        except ssl.SSLWantReadError:
            return

    @property
    def is_closing(self) -> bool:
        """Either side has said that it ends, or the connection is gone."""
        return self._received_close or self._sent_close or not self.is_open

    def finish(self, code: int, reason: str) -> None:
        """Close in order: say why, and give the viewer a moment to have heard it."""
        deadline = time.monotonic() + _CLOSE_WAIT_S
        # What cannot be sent or read any more went away by itself.
        with contextlib.suppress(OSError, TooMuch):
            if self.is_open:
                self.settimeout(_CLOSE_WAIT_S)
                self.shutdown(None, code, reason)
            while self._is_unheard and time.monotonic() < deadline:
                self.flush()
                for _ in self.messages():
                    pass

    @property
    def _is_unheard(self) -> bool:
        return self.is_open and (self.has_unsent or not self._received_close)

    def _flush(self) -> None:
        with contextlib.suppress(ssl.SSLWantWriteError):
            super()._flush()

    def _recv(self) -> Any:
        if len(self._recv_buffer) + len(self._partial_msg) > _MOST_BUFFERED:
            raise TooMuch()
        return super()._recv()

    def _unmask(self, buf: bytes, mask: bytes) -> bytes:
        size = len(buf)
        key = (mask * (size // 4 + 1))[:size]
        return (int.from_bytes(buf) ^ int.from_bytes(key)).to_bytes(size)
