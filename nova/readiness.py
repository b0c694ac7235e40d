"""Whether a daemon can do its work: named checks, looked at in the background, so that to ask costs nothing.

A check that does not come back fails like one that says no: nobody who asks waits for it.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nova import concurrency, errors, metrics, neighbours

LOG = logging.getLogger(__name__)

# From a failure to its place on the page: an interval, and as long again for a look that hangs, make 8 seconds.
INTERVAL_S = 4.0
# What a look may wait for.
LOOK_S = 3.0
_HANGS_S = 4.0
# A daemon that starts does not miss anybody yet: what is not there by then is worth a line of the log.
_GRACE_S = 5.0


@dataclass(frozen=True)
class Check:
    """One thing a daemon needs. service is what the log calls it; look raises errors.Unavailable while it is not there.

    behind: who has to be there to reach it, as the log calls that one.
    """

    name: str
    service: str
    look: Callable[[], None]
    interval_s: float = INTERVAL_S
    behind: str | None = None


class Readiness:
    """The checks of one process. Until release(), it also waits for what hold() named."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._held: dict[str, str] = {}
        self._periodics: list[concurrency.Periodic] = []

    def hold(self, name: str, reason: str) -> None:
        """Fail under this name until it is released."""
        self._held[name] = reason

    def release(self, name: str) -> None:
        self._held.pop(name, None)

    def watch(self, checks: Iterable[Check]) -> None:
        """Look at these from now on. What several components need is looked at once."""
        for check in checks:
            alike = [watched.check.service for watched in self._watched.values() if watched.check.name == check.name]
            if check.service in alike:
                continue
            # In one process, two daemons may each have a database.
            name = f"{check.name}-{len(alike) + 1}" if alike else check.name
            watched = self._watched[name] = _Watched(name, check, self._clock)
            looking = concurrency.Periodic(check.interval_s, watched.look, f"check of {name}", at_once=True)
            self._periodics.append(looking)
        if self._periodics:
            self._periodics.append(concurrency.Periodic(1.0, self._tell_of_hanging, "checks that hang"))

    def state(self) -> dict[str, str | None]:
        """Every check by its name: why it fails, or None."""
        failing = self.failing()
        return {name: failing.get(name) for name in sorted({*self._watched, *self._held})}

    def failing(self) -> dict[str, str]:
        """What is missing, by the name of its check, and why."""
        looked = {name: watched.reason() for name, watched in list(self._watched.items())}
        return {**{name: reason for name, reason in looked.items() if reason is not None}, **self._held}

    def stop(self) -> None:
        for periodic in self._periodics:
            periodic.cancel()

    def _tell_of_hanging(self) -> None:
        for watched in list(self._watched.values()):
            if watched.hangs():
                metrics.CHECKS.labels(watched.name).set(0)
                neighbours.lost(watched.check.service, str(watched.reason()), watched.check.behind)


class _Watched:
    """A check and what it last said."""

    def __init__(self, name: str, check: Check, clock: Callable[[], float]) -> None:
        self.name = name
        self.check = check
        self._clock = clock
        self._began = clock()
        self._said_at: float | None = None
        self._reason: str | None = "nobody has looked yet"

    def look(self) -> None:
        is_told = False
        try:
            self.check.look()
            reason = None
        except errors.DomainError as error:
            reason = str(error.details.get("reason") or error.message)
            is_told = isinstance(error, errors.Unavailable) and error.is_logged
        except Exception as error:
            LOG.debug("the check %s failed", self.name, exc_info=True)
            reason = f"{type(error).__name__}: {error}"
        self._reason, self._said_at = reason, self._clock()
        metrics.CHECKS.labels(self.name).set(reason is None)
        if reason is None:
            neighbours.answered(self.check.service)
        elif not is_told and self._said_at - self._began >= _GRACE_S:
            neighbours.lost(self.check.service, reason, self.check.behind)

    def hangs(self) -> bool:
        since = self._began if self._said_at is None else self._said_at
        return self._clock() - since > self.check.interval_s + _HANGS_S

    def reason(self) -> str | None:
        """Why it fails; None while it passes."""
        return "it does not answer" if self.hangs() else self._reason


def disk(path: str, free_mb: int) -> Check:
    """The directory can be written to, and its file system has so many MiB left."""

    def look() -> None:
        place = next(one for one in _upwards(path) if os.path.isdir(one))
        if os.statvfs(place).f_flag & os.ST_RDONLY or not os.access(place, os.W_OK):
            raise errors.Unavailable(service=path, reason="it cannot be written to")
        free = shutil.disk_usage(place).free >> 20
        if free < free_mb:
            raise errors.Unavailable(service=path, reason=f"it has {free} MiB left; less than {free_mb} is too little")

    return Check("disk", f"The directory {path}", look)


def _upwards(path: str) -> Iterator[str]:
    """A directory and all it is in: one that a daemon has yet to make counts as where it will be."""
    path = os.path.abspath(path)
    while path != "/":
        yield path
        path = os.path.dirname(path)
    yield path


class Needs:
    """A component of a daemon that is nothing but checks, for what its other components need and do not watch."""

    def __init__(self, *checks: Check) -> None:
        self._checks = checks

    def start(self) -> None:
        """Nothing has to be started: the daemon looks at the checks."""

    def stop(self) -> None:
        """Nothing has to be stopped."""

    def checks(self) -> tuple[Check, ...]:
        return self._checks
