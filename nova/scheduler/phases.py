"""Asking Placement and claiming take turns within a scheduler, so that every answer shows a claim wholly or not at all.

Askings go on side by side, claims go on side by side, and the two never do. A decision that has got an answer keeps
the next asking waiting until its claim is answered; a claim waits for the askings that are in flight. An asking that
cannot begin does not keep a claim waiting, so each side gets its turn. Nobody waits for what Placement is late with.
"""

import threading
import time
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager

from nova.scheduler.promises import CLAIM_WAIT_S

_UNTIL_IT_IS_OVER = float("inf")


class Phases:
    """Who asks, and who holds an answer and may claim. Askings and holders are told apart by any hashable thing."""

    def __init__(self, wait_s: float = CLAIM_WAIT_S) -> None:
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._asked = threading.Condition(self._lock)
        self._claimed = threading.Condition(self._lock)
        # Until when each is waited for. A decision is computation alone: it is waited for until it is made.
        self._askings: dict[Hashable, float] = {}
        self._holders: dict[Hashable, float] = {}
        self._expecting: set[Hashable] = set()

    def expect(self, holder: Hashable) -> None:
        """It will hold the answer of an asking."""
        with self._lock:
            self._expecting.add(holder)

    def begin_asking(self, asking: Hashable) -> None:
        """Wait for the decisions that hold answers, and for their claims."""
        with self._lock:
            _wait(self._claimed, self._holders)
            self._askings[asking] = time.monotonic() + self._wait_s

    def end_asking(self, asking: Hashable, holders: Iterable[Hashable]) -> None:
        """Placement has answered; these hold the answer from now on, unless they have left."""
        with self._lock:
            for holder in self._expecting.intersection(holders):
                self._expecting.discard(holder)
                self._holders[holder] = _UNTIL_IT_IS_OVER
            del self._askings[asking]
            self._asked.notify_all()

    @contextmanager
    def deciding(self, holder: Hashable) -> Iterator[None]:
        """What it claims is being decided; after that it claims or leaves."""
        with self._lock:
            self._await(holder, _UNTIL_IT_IS_OVER)
        try:
            yield
        finally:
            with self._lock:
                self._await(holder, time.monotonic() + self._wait_s)

    def begin_claim(self, holder: Hashable) -> None:
        """Wait for the askings that are in flight."""
        with self._lock:
            if holder in self._holders:
                self._await(holder, _UNTIL_IT_IS_OVER)
                _wait(self._asked, self._askings)
                self._await(holder, time.monotonic() + self._wait_s)

    def leave(self, holder: Hashable) -> None:
        """Its claim is answered, or there will be none."""
        with self._lock:
            self._expecting.discard(holder)
            if self._holders.pop(holder, None) is not None:
                self._claimed.notify_all()

    def _await(self, holder: Hashable, until: float) -> None:
        if holder in self._holders:
            self._holders[holder] = until
            self._claimed.notify_all()


def _wait(changed: threading.Condition, those: dict[Hashable, float]) -> None:
    while those and (left := max(those.values()) - time.monotonic()) > 0:
        changed.wait(None if left == _UNTIL_IT_IS_OVER else left)
