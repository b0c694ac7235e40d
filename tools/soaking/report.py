"""What a run did and found, a line each as it happens, and in numbers at the end."""

import threading
import time
from collections import Counter


class Report:
    """Shared by all threads of a run."""

    def __init__(self, seed: int) -> None:
        self._began = time.monotonic()
        self._seed = seed
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {"killed": Counter(), "asked": Counter(), "ended": Counter()}
        self._violations: list[str] = []
        print(f"seed {seed}", flush=True)

    def count(self, kind: str, what: str, detail: str = "") -> None:
        """One more of killed, asked or ended."""
        with self._lock:
            self._counts[kind][what] += 1
        self._say(f"{kind} {what} {detail}".rstrip())

    def violation(self, what: str) -> None:
        with self._lock:
            self._violations.append(what)
        self._say(f"VIOLATION {what}")

    def sum_up(self) -> int:
        """Print the numbers; the exit status."""
        for kind, counts in self._counts.items():
            named = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
            print(f"{kind}: {counts.total()} ({named})")
        print(f"violations: {len(self._violations)}")
        for what in self._violations:
            print(f"  {what}")
        print(f"seed {self._seed}, {time.monotonic() - self._began:.0f} s")
        return 1 if self._violations else 0

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:7.1f}  {text}", flush=True)
