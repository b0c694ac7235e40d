"""The threads that do steps: so many at a time, and none of them lost to a step that hangs.

Every call that may hang has a bound of its own (nova.concurrency.bounded). A step may still take very long, and hang where
nobody thought of it: after a while it counts no more, and another is begun in its stead. Of those there is a most, too.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from nova import concurrency

# What moves disks takes longer; it is not what the number of steps at a time is to bound.
_SLOW_AFTER_S = 600.0


class StepPool:
    """At most size functions at a time beside those that have lasted long, of which there are at most size, too."""

    def __init__(self, size: int, slow_after_s: float = _SLOW_AFTER_S) -> None:
        self._size = size
        self._slow_after_s = slow_after_s
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, Callable[[], None]]] = deque()
        # When each thread began what it does, and what that is.
        self._running: dict[threading.Thread, tuple[float, str]] = {}
        self._is_closed = False

    def submit(self, name: str, function: Callable[[], None]) -> None:
        """Call function when there is room. name: what it does, for slow()."""
        with self._lock:
            self._waiting.append((name, function))
        self.look()

    def look(self) -> None:
        """Begin what there is room for; called now and then, for what has become slow makes room."""
        with self._lock:
            while self._waiting and not self._is_closed and self._has_room():
                name, function = self._waiting.popleft()
                thread = threading.Thread(target=self._run, args=(function,), name="step", daemon=True)
                self._running[thread] = (time.monotonic(), name)
                thread.start()

    def slow(self) -> dict[str, float]:
        """What has lasted long, and for how many seconds."""
        with self._lock:
            lasts_s = {name: time.monotonic() - began for began, name in self._running.values()}
        return {name: seconds for name, seconds in lasts_s.items() if seconds > self._slow_after_s}

    @property
    def is_stuck(self) -> bool:
        """Whether something waits, and nothing that runs looks as if it would end."""
        with self._lock:
            return bool(self._waiting) and len(self._running) >= 2 * self._size

    def close(self) -> None:
        """Begin nothing more, and wait for what is not slow."""
        with self._lock:
            self._is_closed = True
        concurrency.wait_for(lambda: not self._quick(), self._slow_after_s)

    def _has_room(self) -> bool:
        return self._quick() < self._size and len(self._running) < 2 * self._size

    def _quick(self) -> int:
        now = time.monotonic()
        return sum(now - began <= self._slow_after_s for began, _ in list(self._running.values()))

    def _run(self, function: Callable[[], None]) -> None:
        try:
            function()
        finally:
            with self._lock:
                del self._running[threading.current_thread()]
            self.look()
