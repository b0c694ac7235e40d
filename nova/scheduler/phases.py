"""Asking Placement and claiming take turns within a scheduler, so that of each claim it is known which answers show it.

Askings go on side by side, claims go on side by side, and the two never do. A decision that has got an answer keeps
the next asking waiting until its claim is answered; a claim waits for the askings that are in flight. An asking that
cannot begin does not keep a claim waiting, so each side gets its turn.
"""

import threading
import time
from collections.abc import Hashable, Iterable

from nova.scheduler.promises import CLAIM_WAIT_S


class Phases:
    """Who asks, and who holds an answer and may claim. Askings and holders are told apart by any hashable thing.

    wait_s: one side is waited for as long as something moves there, and so many seconds more.
    """

    def __init__(self, wait_s: float = CLAIM_WAIT_S) -> None:
        self._lock = threading.Lock()
        self._askings = _Side(self._lock, wait_s)
        self._holders = _Side(self._lock, wait_s)
        self._expecting: set[Hashable] = set()

    def expect(self, holder: Hashable) -> None:
        """It will hold the answer of an asking."""
        with self._lock:
            self._expecting.add(holder)

    def begin_asking(self, asking: Hashable) -> None:
        """Wait for the decisions that hold answers, and for their claims."""
        with self._lock:
            self._holders.wait()
            self._askings.enter(asking)

    def end_asking(self, asking: Hashable, holders: Iterable[Hashable]) -> None:
        """Placement has answered; these hold the answer from now on, unless they have left."""
        with self._lock:
            for holder in self._expecting.intersection(holders):
                self._expecting.discard(holder)
                self._holders.enter(holder)
            self._askings.leave(asking)

    def begin_claim(self, holder: Hashable) -> None:
        """The decision is made: wait for the askings that are in flight."""
        with self._lock:
            self._holders.enter(holder)
            self._askings.wait()
            self._holders.enter(holder)

    def leave(self, holder: Hashable) -> None:
        """Its claim is answered, or there will be none."""
        with self._lock:
            self._expecting.discard(holder)
            self._holders.leave(holder)


class _Side:
    """Those whom the other side waits for."""

    def __init__(self, lock: threading.Lock, wait_s: float) -> None:
        self._is_empty = threading.Condition(lock)
        self._wait_s = wait_s
        self._there: set[Hashable] = set()
        self._moved_at = 0.0

    def enter(self, one: Hashable) -> None:
        self._there.add(one)
        self._moved_at = time.monotonic()

    def leave(self, one: Hashable) -> None:
        """Fine for one that was given up meanwhile."""
        if one in self._there:
            self._there.discard(one)
            self._moved_at = time.monotonic()
            if not self._there:
                self._is_empty.notify_all()

    def wait(self) -> None:
        """Until all have left; those among whom nothing has moved for wait_s seconds are given up."""
        while self._there:
            left = self._moved_at + self._wait_s - time.monotonic()
            if left <= 0:
                # They hang, and are waited for by nobody any more.
                self._there.clear()
                self._is_empty.notify_all()
            else:
                self._is_empty.wait(left)
