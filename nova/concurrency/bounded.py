"""Calls that may hang: in C, in a daemon that does not answer, in a file system whose server is away.

Python cannot break such a call off. So each runs in a native thread of its own, under either backend, and
who waits for it does so for a bounded time. A call that was given up keeps its thread until it ends by itself; there is a
most of those, beyond which nothing more of the kind is begun.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from nova import backend, errors

LOG = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

# How often a green thread looks whether a native one is done: seldom at last, for some calls take hours.
_FIRST_LOOK_S, _LAST_LOOK_S = 0.0005, 0.05
# Who comes late to a call that hangs waits so long, in case it has just stopped to.
_GLANCE_S = 0.5


class NativeCall(Generic[T]):
    """A function that runs in a native thread of its own, which does not keep the process alive."""

    def __init__(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> None:
        self._function = functools.partial(function, *args, **kwargs)
        self._began = time.monotonic()
        self._value: T | None = None
        self._error: BaseException | None = None
        self._is_done = False
        # No lock of eventlet's may be touched by a native thread.
        native: Any = backend.eventlet.patcher.original("threading") if backend.eventlet else threading
        self._done = native.Event()
        native.Thread(target=self._run, name="native-call", daemon=True).start()

    @property
    def is_done(self) -> bool:
        return self._is_done

    @property
    def lasts_s(self) -> float:
        """For how long it has been under way, or had when it was last looked at."""
        return time.monotonic() - self._began

    def wait(self, timeout_s: float | None) -> bool:
        """Whether it ended within timeout_s; None waits for ever. Any number may wait."""
        if backend.eventlet is None:
            return bool(self._done.wait(timeout_s))
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        pause_s = _FIRST_LOOK_S
        while not self._is_done and (deadline is None or time.monotonic() < deadline):
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_LOOK_S)
        return self._is_done

    def result(self) -> T:
        """What a call that is done gave, or raised."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:
            self._error = error
        self._is_done = True
        self._done.set()


class BoundedCalls:
    """Calls of one kind, such as those to one daemon. what: its name, as a message may say it.

    most_abandoned: how many calls that were given up may still hang before nothing more is begun.
    """

    def __init__(self, what: str, most_abandoned: int = 16) -> None:
        self.what = what
        self._most_abandoned = most_abandoned
        self._lock = threading.Lock()
        self._abandoned: dict[str, NativeCall[Any]] = {}

    def run(self, timeout_s: float | None, name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """function(*args, **kwargs), waited for at most timeout_s (None: for ever, on purpose).

        name says, in the log, what is done and to what: of calls with one name one may hang. Raises errors.Unavailable when it has
        not ended in time, and at once while its like, or too many others, hang. Whether what was given up happens
        later is unknown.
        """
        self.check(name)
        call = NativeCall(function, *args, **kwargs)
        if call.wait(timeout_s):
            return call.result()
        with self._lock:
            self._abandoned[name if name not in self._abandoned else f"{name} {id(call)}"] = call
        LOG.error("%s: %s has not ended within %.0f s and is waited for no more", self.what, name, timeout_s)
        raise self._unavailable(f"it has not answered within {timeout_s:.0f} s")

    def check(self, name: str = "") -> None:
        """Raises errors.Unavailable while a call of this name, or too many calls, hang."""
        hanging = self.hanging()
        if name in hanging:
            raise self._unavailable(f"it has not answered for {hanging[name].lasts_s:.0f} s")
        if len(hanging) >= self._most_abandoned:
            longest_s = max(call.lasts_s for call in hanging.values())
            raise self._unavailable(f"{len(hanging)} calls hang in it, the first for {longest_s:.0f} s")

    def hanging(self) -> dict[str, NativeCall[Any]]:
        """The calls that were given up and have not ended yet."""
        with self._lock:
            self._abandoned = {name: call for name, call in self._abandoned.items() if not call.is_done}
            return dict(self._abandoned)

    def _unavailable(self, reason: str) -> errors.Unavailable:
        error = errors.Unavailable(service=self.what, reason=reason)
        error.__cause__ = TimeoutError(reason)
        return error


class SharedCall:
    """A call that may hang and is made once for all who need it done: one thread, however many wait."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._call: NativeCall[None] | None = None

    def run(self, patience_s: float) -> None:
        """Have it done once from now, or join the call under way. Raises what it raises.

        TimeoutError when it is not done: after patience_s, soon when it has been under way for longer.
        """
        with self._lock:
            if self._call is None or self._call.is_done:
                self._call = NativeCall(self._function)
            call = self._call
        if not call.wait(max(_GLANCE_S, patience_s - call.lasts_s)):
            raise TimeoutError(f"for {call.lasts_s:.0f} s")
        call.result()
