"""Live migrations under way on this host: their progress, and which are to be aborted.

Kept in memory only: after a restart of nova-compute a migration is watched again, and an abort is
requested again.
"""

import threading


class Jobs:
    """Migrations by server. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._percent: dict[str, int] = {}
        self._aborted: set[str] = set()

    def begin(self, instance_id: str) -> None:
        """A migration begins; one that is under way keeps its progress."""
        with self._lock:
            self._percent.setdefault(instance_id, 0)

    def end(self, instance_id: str) -> None:
        """Forget a migration, also a request to abort it."""
        with self._lock:
            self._percent.pop(instance_id, None)
            self._aborted.discard(instance_id)

    def advance(self, instance_id: str, percent: int) -> bool:
        """Record a migration's progress; False when it is to be aborted."""
        with self._lock:
            self._percent[instance_id] = percent
            return instance_id not in self._aborted

    def abort(self, instance_id: str) -> bool:
        """Request that a migration is aborted; False when none is under way."""
        with self._lock:
            if instance_id not in self._percent:
                return False
            self._aborted.add(instance_id)
            return True

    def percent(self, instance_id: str) -> int | None:
        """The progress of a server's migration; None when none is under way here."""
        with self._lock:
            return self._percent.get(instance_id)
