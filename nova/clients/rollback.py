"""Undo in other services what a request made there before it was refused.

Only what is made before a request is accepted needs this: whatever comes later is undone by its operation.
"""

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from nova import concurrency, errors

LOG = logging.getLogger(__name__)

# For an hour: the user's token, which it is done with, is not good for much longer.
_PAUSES_S = (1, 5, 15, *(60,) * 60)


class Rollback:
    """A context manager that undoes what was made inside it when an error leaves it.

    The error is never replaced by one of the undo: an undo that fails is tried again in a thread of its own,
    and what is left at last is in the log. Nothing is undone while the request may have been accepted after all.
    """

    def __init__(self) -> None:
        self._made: list[tuple[str, Callable[[], Any]]] = []

    def __enter__(self) -> "Rollback":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, errors.OutcomeUnknown):
            self.run(at_once=not isinstance(error, errors.Unavailable))

    def made(self, what: str, undo: Callable[..., Any], *args: Any) -> None:
        """Something was made, or may have been; undo(*args) removes it, and accepts that it is not there."""
        self._made.append((what, lambda: undo(*args)))

    def keep(self) -> None:
        self._made.clear()

    def run(self, at_once: bool = True) -> None:
        """Undo, the last first. at_once: before this returns, if the other service is there."""
        rest = self._made[::-1]
        self._made.clear()
        while rest and at_once:
            at_once = _is_gone(*rest[0])
            if at_once:
                rest.pop(0)
        if rest:
            concurrency.spawn(_run_later, rest, name="rollback")


def _run_later(rest: list[tuple[str, Callable[[], Any]]]) -> None:
    for pause_s in _PAUSES_S:
        rest = [undo for undo in rest if not _is_gone(*undo)]
        if not rest:
            return
        time.sleep(pause_s)
    for what, _ in rest:
        LOG.error("%s of a refused request is left behind", what)


def _is_gone(what: str, undo: Callable[[], Any]) -> bool:
    try:
        undo()
    except errors.DomainError as error:
        LOG.warning("%s of a refused request is not undone yet: %s", what, error)
        return False
    return True
