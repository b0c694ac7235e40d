"""The threads that do steps: so many at a time, and none of them lost to a step that hangs.

Every call that may hang has a bound of its own (nova.concurrency.bounded). A step may still take very long, and hang where
nobody thought of it: after a while it counts no more, and another is begun in its stead. Of those there is a most, too.
A step that waits for another service gives its place back meanwhile (place_given_back): there may be as many of
those as there are guests.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nova import concurrency

# What moves disks takes longer; it is not what the number of steps at a time is to bound.
_SLOW_AFTER_S = 600.0


class _Place(threading.local):
    """The pool in which this thread does a step."""

    pool: "StepPool | None" = None


_place = _Place()


@contextmanager
def place_given_back() -> Iterator[None]:
    """Others have the place of this thread's step while the block runs; afterwards it waits for one again.

    Nothing happens in a thread of no pool.
    """
    pool = _place.pool
    if pool is None:
        yield
        return
    name = pool.leave()
    try:
        yield
    finally:
        pool.come_back(name)


class StepPool:
    """At most size functions at a time beside those that have lasted long, of which there are at most size, too."""

    def __init__(self, size: int, slow_after_s: float = _SLOW_AFTER_S) -> None:
        self._size = size
        self._slow_after_s = slow_after_s
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, Callable[[], None]]] = deque()
        # When each thread began what it does, and what that is.
        self._running: dict[threading.Thread, tuple[float, str]] = {}
        # Those that gave their place back, and those of them that want one again.
        self._away: set[threading.Thread] = set()
        self._back: deque[tuple[threading.Thread, str, threading.Event]] = deque()
        self._is_closed = False

    def submit(self, name: str, function: Callable[[], None]) -> None:
        """Call function when there is room. name: what it does, for slow()."""
        with self._lock:
            self._waiting.append((name, function))
        self.look()

    def look(self) -> None:
        """Begin what there is room for; called now and then, for what has become slow makes room."""
        with self._lock:
            while self._back and self._has_room():
                self._let_back(*self._back.popleft())
            while self._waiting and not self._is_closed and self._has_room():
                name, function = self._waiting.popleft()
                thread = threading.Thread(target=self._run, args=(function,), name="step", daemon=True)
                self._running[thread] = (time.monotonic(), name)
                thread.start()

    def leave(self) -> str:
        """Give the place of this thread's step to others. Returns what it does, for come_back()."""
        thread = threading.current_thread()
        with self._lock:
            _, name = self._running.pop(thread)
            self._away.add(thread)
        self.look()
        return name

    def come_back(self, name: str) -> None:
        """Wait for a place for this thread's step; it comes before steps that have not begun."""
        has_place = threading.Event()
        with self._lock:
            self._back.append((threading.current_thread(), name, has_place))
        self.look()
        has_place.wait()

    def slow(self) -> dict[str, float]:
        """What has lasted long, and for how many seconds."""
        with self._lock:
            lasts_s = {name: time.monotonic() - began for began, name in self._running.values()}
        return {name: seconds for name, seconds in lasts_s.items() if seconds > self._slow_after_s}

    @property
    def is_stuck(self) -> bool:
        """Whether something waits, and nothing that runs looks as if it would end."""
        with self._lock:
            return bool(self._waiting or self._back) and len(self._running) >= 2 * self._size

    def close(self) -> None:
        """Begin nothing more, and wait for what is not slow."""
        with self._lock:
            self._is_closed = True
        concurrency.wait_for(lambda: not self._away and not self._quick(), self._slow_after_s)

    def _has_room(self) -> bool:
        return self._quick() < self._size and len(self._running) < 2 * self._size

    def _quick(self) -> int:
        now = time.monotonic()
        return sum(now - began <= self._slow_after_s for began, _ in list(self._running.values()))

    def _let_back(self, thread: threading.Thread, name: str, has_place: threading.Event) -> None:
        self._away.discard(thread)
        self._running[thread] = (time.monotonic(), name)
        has_place.set()

    def _run(self, function: Callable[[], None]) -> None:
        _place.pool = self
        try:
            function()
        finally:
            with self._lock:
                del self._running[threading.current_thread()]
            self.look()
