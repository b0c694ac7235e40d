"""Digests of a body, computed beside the thread that receives and writes it: hashlib lets others run meanwhile."""

import queue
from collections.abc import Iterable

from nova import concurrency
from nova.objectstore.checksums import Checksum

# Pieces that may wait to be computed; more make whoever receives wait.
_WAITING = 8
_Piece = bytes | bytearray


class Digests:
    """Feeds every piece to all of the sums. They are right once close() has returned."""

    def __init__(self, sums: Iterable[Checksum], beside: bool) -> None:
        self._sums = list(sums)
        self._pieces: queue.Queue[_Piece | None] = queue.Queue(_WAITING)
        self._thread = concurrency.spawn(self._run, name="digests") if beside else None

    def update(self, piece: _Piece) -> None:
        """piece must not be changed any more."""
        if self._thread is None:
            self._add(piece)
        else:
            self._pieces.put(piece)

    def close(self) -> None:
        """Waits for what was fed to be digested. Nothing happens the second time."""
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._add(piece)

    def _add(self, piece: _Piece) -> None:
        for one in self._sums:
            one.update(piece)
