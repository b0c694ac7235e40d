"""Undo in other services what a request created there before it was refused.

Only what is created before a request is accepted needs this: whatever comes later is undone by its operation.
"""

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from nova import concurrency, errors

LOG = logging.getLogger(__name__)

# For an hour: the user's token, with which things are deleted, is not valid for much longer.
_PAUSES_S = (1, 5, 15, *(60,) * 60)

Undo = tuple[str, Callable[[], Any]]


class Rollback:
    """A context manager that undoes what was created inside it when an error leaves it.

    An error of an undo never replaces that error: the undo is tried again in a thread of its own, and the log
    names what is left in the end.
    Nothing is undone while the request may have been accepted after all.
    """

    def __init__(self) -> None:
        self._undos: list[Undo] = []

    def __enter__(self) -> "Rollback":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, errors.MaybeDone):
            self.run(at_once=not isinstance(error, errors.Unavailable))

    def made(self, what: str, undo: Callable[..., Any], *args: Any) -> None:
        """Something was created, or may have been; undo(*args) deletes it, and accepts that it does not exist."""
        self._undos.append((what, lambda: undo(*args)))

    def keep(self) -> None:
        """What was created so far stays, whatever happens in the rest of the block."""
        self._undos.clear()

    def run(self, at_once: bool = True) -> None:
        """Undo, the last first. at_once: before this returns, if the other service is there."""
        undos = self._undos[::-1]
        self._undos.clear()
        while at_once and undos and _is_done(*undos[0]):
            undos.pop(0)
        if undos:
            concurrency.spawn(_run_later, undos, name="rollback")


def _run_later(undos: list[Undo]) -> None:
    for pause_s in _PAUSES_S:
        undos = [undo for undo in undos if not _is_done(*undo)]
        if not undos:
            return
        time.sleep(pause_s)
    for what, _ in undos:
        LOG.error("%s of a refused request is left behind", what)


def _is_done(what: str, undo: Callable[[], Any]) -> bool:
    try:
        undo()
    except errors.DomainError as error:
        LOG.warning("%s of a refused request is not undone yet: %s", what, error)
        return False
    return True
