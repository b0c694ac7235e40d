"""Which neighbours of this daemon are away: one line of the log when one goes, and one when it is back.

Whoever asks a neighbour says how that went, however often it asks; the log is told of changes alone.
"""

import logging
import threading
import time
from dataclasses import dataclass

LOG = logging.getLogger(__name__)

# A success this soon after a failure may have been asked for before it: nobody is back yet.
_SETTLES_S = 1.0

_lock = threading.Lock()
_away: dict[str, "_Absence"] = {}


@dataclass
class _Absence:
    since: float
    seen: float
    is_told: bool


def lost(neighbour: str, reason: str, behind: str | None = None) -> None:
    """A neighbour has failed somebody. behind: who has to be there to reach it; while that one is away, no line is due."""
    now = time.monotonic()
    with _lock:
        absence = _away.get(neighbour)
        is_due = (absence is None or not absence.is_told) and behind not in _away
        if absence is None:
            absence = _away[neighbour] = _Absence(now, now, is_due)
        absence.seen, absence.is_told = now, absence.is_told or is_due
    if is_due:
        LOG.warning("%s is away: %s", neighbour, reason)


def answered(neighbour: str) -> None:
    """A neighbour has done what it was asked for. Costs next to nothing while it is known to be there."""
    if neighbour not in _away:
        return
    now = time.monotonic()
    with _lock:
        absence = _away.get(neighbour)
        if absence is None or now - absence.seen < _SETTLES_S:
            return
        del _away[neighbour]
    if absence.is_told:
        LOG.info("%s is back after %.0f s", neighbour, now - absence.since)


def away() -> list[str]:
    """Who is away."""
    with _lock:
        return sorted(_away)
