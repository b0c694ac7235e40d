"""The one cache of answers of other services: an answer counts for some seconds, then it is asked for again."""

import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class TtlCache(Generic[T]):
    """Keeps answers for ttl_s seconds. Two callers may load one answer at once: no lock is held while loading."""

    def __init__(self, ttl_s: float, size: int = 10000, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[Hashable, tuple[float, T]] = {}

    def peek(self, key: Hashable) -> T | None:
        """The answer, if it is here and still counts."""
        entry = self._entries.get(key)
        return entry[1] if entry and entry[0] > self._clock() else None

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """The answer; load() gives it when it is not here. None is no answer."""
        value = self.peek(key)
        if value is None:
            value = load()
            self.put(key, value)
        return value

    def get_many(self, keys: Sequence[str], load: Callable[[list[str]], Mapping[str, T]]) -> dict[str, T]:
        """Answers by key; what is missing is loaded in one call."""
        answers = {key: value for key in dict.fromkeys(keys) if (value := self.peek(key)) is not None}
        missing = [key for key in dict.fromkeys(keys) if key not in answers]
        if missing:
            loaded = load(missing)
            for key, value in loaded.items():
                self.put(key, value)
            answers.update(loaded)
        return answers

    def values(self) -> list[T]:
        """Every answer that still counts."""
        now = self._clock()
        return [value for expires, value in list(self._entries.values()) if expires > now]

    def put(self, key: Hashable, value: T) -> None:
        """A full cache drops what counts no more; where all of it counts, everything."""
        with self._lock:
            now = self._clock()
            if len(self._entries) >= self._size:
                self._entries = {kept: entry for kept, entry in self._entries.items() if entry[0] > now}
            if len(self._entries) >= self._size:
                self._entries = {}
            self._entries[key] = (now + self._ttl_s, value)

    def forget(self, concerns: Callable[[Hashable], bool] = lambda key: True) -> None:
        """Drop the answers whose keys are concerned; all of them by default."""
        with self._lock:
            self._entries = {key: entry for key, entry in self._entries.items() if not concerns(key)}
