"""Carries bytes between a viewer and a guest's console until one of them ends it.

Neither side is read faster than the other takes, so a slow viewer costs no memory.
"""

import selectors
import socket
import time
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE
from typing import NamedTuple

from nova.console.raw import RawViewer
from nova.console.websocket import TooMuch, Viewer

# Close codes of RFC 6455, section 7.4.1.
NORMAL, GOING_AWAY, POLICY, TOO_BIG, INTERNAL = 1000, 1001, 1008, 1009, 1011

_CHUNK = 65536
_LOOK_INTERVAL_S = 1.0


class Ending(NamedTuple):
    """Why a console was closed, as the viewer is told."""

    code: int
    reason: str


_VIEWER_LEFT = Ending(NORMAL, "")
_GUEST_LEFT = Ending(NORMAL, "The guest closed its console.")


class Relay:
    """One open console. until is a time of time.monotonic(), None for no end."""

    def __init__(self, viewer: Viewer | RawViewer, guest: socket.socket, until: float | None) -> None:
        self._viewer = viewer
        self._connection = viewer.socket
        self._guest = guest
        self._until = until
        self._to_guest = bytearray()

    def run(self, is_stopping: Callable[[], bool], is_over: Callable[[], bool] = lambda: False) -> Ending:
        """Carry bytes both ways; returns when there are no more to carry.

        is_stopping: of the proxy. is_over: the server has no longer the guest that is shown. Neither may wait.
        """
        self._connection.setblocking(False)
        self._guest.setblocking(False)
        with selectors.DefaultSelector() as selector:
            while True:
                ready = self._wait(selector)
                if is_stopping():
                    return Ending(GOING_AWAY, "The console proxy is being restarted.")
                if is_over():
                    return Ending(POLICY, "The server was stopped, moved or deleted; ask for a new console.")
                if self._until is not None and time.monotonic() >= self._until:
                    return Ending(POLICY, "The console's time is over; ask for a new one.")
                ending = self._serve_viewer(ready.get(self._connection, 0)) or self._serve_guest(
                    ready.get(self._guest, 0)
                )
                if ending:
                    return ending

    def _wait(self, selector: selectors.BaseSelector) -> dict[object, int]:
        may_read_guest = not self._viewer.has_unsent
        may_read_viewer = len(self._to_guest) < _CHUNK
        _watch(selector, self._connection, may_read_viewer, self._viewer.has_unsent)
        _watch(selector, self._guest, may_read_guest, bool(self._to_guest))
        left = _LOOK_INTERVAL_S if self._until is None else self._until - time.monotonic()
        return {key.fileobj: events for key, events in selector.select(max(0.0, min(_LOOK_INTERVAL_S, left)))}

    def _serve_viewer(self, events: int) -> Ending | None:
        try:
            if events & EVENT_WRITE:
                self._viewer.flush()
            if events & EVENT_READ:
                self._to_guest += b"".join(self._viewer.messages())
        except TooMuch:
            return Ending(TOO_BIG, "A message was too long.")
        except OSError:
            return _VIEWER_LEFT
        return _VIEWER_LEFT if self._viewer.is_closing else None

    def _serve_guest(self, events: int) -> Ending | None:
        try:
            if self._to_guest:
                del self._to_guest[: self._guest.send(self._to_guest)]
        except BlockingIOError:
            pass
        except OSError:
            return _GUEST_LEFT
        if not events & EVENT_READ:
            return None
        try:
            chunk = self._guest.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return _GUEST_LEFT
        if not chunk:
            return _GUEST_LEFT
        try:
            self._viewer.sendmsg(chunk)
        except OSError:
            return _VIEWER_LEFT
        return None


def _watch(selector: selectors.BaseSelector, sock: socket.socket, reads: bool, writes: bool) -> None:
    """Wait for just these events of sock."""
    wanted = (EVENT_READ if reads else 0) | (EVENT_WRITE if writes else 0)
    watched = selector.get_map().get(sock)
    if watched is None:
        if wanted:
            selector.register(sock, wanted)
    elif not wanted:
        selector.unregister(sock)
    elif watched.events != wanted:
        selector.modify(sock, wanted)
