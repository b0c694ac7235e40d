"""Concurrency: green threads under eventlet, native threads without.

nova.backend has chosen; library code asks this module and never knows which backend runs. Under
eventlet the standard library is patched, so threading, queue, time.sleep and sockets cooperate;
what blocks in C (libvirt, image conversion) goes through run_blocking().
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from nova import backend, errors
from nova.concurrency import ending
from nova.concurrency.bounded import BoundedCalls, NativeCall, SharedCall

__all__ = ["BoundedCalls", "NativeCall", "Periodic", "Pool", "SharedCall", "call_within", "end_after", "executor_name"]
__all__ += ["is_green"]
__all__ += ["run_blocking", "spawn", "spawn_native", "wait_for", "worker_number"]

LOG = logging.getLogger(__name__)

T = TypeVar("T")

# Which of its daemon's worker processes this is, set by nova.daemon after the fork; None for the only one.
worker_number: int | None = None


def is_green() -> bool:
    """Whether this process runs on eventlet."""
    return backend.eventlet is not None


def executor_name() -> str:
    """What oslo.messaging calls the executor that fits the backend."""
    return "eventlet" if is_green() else "threading"


class Pool:
    """At most size functions at once, each in a thread (green or native) of its own."""

    def __init__(self, size: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=size, thread_name_prefix=name)

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        return self._executor.submit(function, *args, **kwargs)

    def close(self, wait: bool = True) -> None:
        """Functions that have not begun never will; wait: for those under way."""
        self._executor.shutdown(wait=wait, cancel_futures=True)


def spawn(function: Callable[..., None], *args: Any, name: str | None = None) -> threading.Thread:
    """Run function in a thread of its own that does not keep the process alive."""
    thread = threading.Thread(target=function, args=args, name=name, daemon=True)
    thread.start()
    return thread


def spawn_native(function: Callable[..., None], *args: Any, name: str | None = None) -> None:
    """Run function in a native thread under either backend: for a loop in C that never ends.

    Such a loop must not be run_blocking's, whose threads the process waits for when it ends.
    """
    module = backend.eventlet.patcher.original("threading") if is_green() else threading
    module.Thread(target=function, args=args, name=name, daemon=True).start()


def end_after(
    numbers: tuple[int, ...], seconds: float, last_words: str, heard: Callable[[int], None] = lambda number: None
) -> None:
    """Whatever hangs: this process ends so long after one of these signals, with these words on standard error.

    To be called by the main thread. heard is told of every signal that comes until then, in a native thread.
    """
    ending.end_after(numbers, seconds, last_words, spawn_native, heard)


def run_blocking(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function that blocks in C without holding up the rest of the process. What may hang: see BoundedCalls."""
    if not is_green():
        return function(*args, **kwargs)
    # Not in eventlet's pool of threads: a few calls that hang, or copy disks, would hold up all others.
    call = NativeCall(function, *args, **kwargs)
    call.wait(None)
    return call.result()


def call_within(timeout_s: float, function: Callable[..., T], *args: Any) -> T:
    """function(*args), for a caller that will not wait longer than timeout_s. Raises TimeoutError.

    The call itself cannot be broken off: it goes on in a thread of its own, and nobody gets what it gives.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(function(*args))
        except Exception as error:
            outcome.set_exception(error)

    spawn(run, name="call-within")
    return outcome.result(timeout_s)


class Periodic:
    """Calls a function again and again until stopped; an exception is logged and the next turn comes.

    A service that is away is no defect, and comes without a trace: one line when it goes, unless the log knows of it
    already, and one when the work goes on.

    The first call comes after one interval unless at_once. wake() brings the next call forward.
    """

    def __init__(self, interval_s: float, function: Callable[[], Any], name: str, at_once: bool = False) -> None:
        self._interval_s = interval_s
        self._function = function
        self._name = name
        self._wake = threading.Event()
        self._stopped = False
        self._has_told = False
        if at_once:
            self._wake.set()
        self._thread = spawn(self._run, name=name)

    def wake(self) -> None:
        """A call under way is not interrupted: the next one follows it at once."""
        self._wake.set()

    def cancel(self) -> None:
        """No call begins any more; one under way goes on to its end."""
        self._stopped = True
        self._wake.set()

    def stop(self) -> None:
        """Waits ten seconds for a call under way, unless it is this call that stops."""
        self.cancel()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait(self._interval_s)
            self._wake.clear()
            if self._stopped:
                return
            try:
                self._function()
            except errors.Unavailable as error:
                self._tell_once(error)
            except Exception:
                LOG.exception("%s failed; next try in %s s", self._name, self._interval_s)
            else:
                if self._has_told:
                    LOG.info("%s goes on", self._name)
                self._has_told = False

    def _tell_once(self, error: errors.Unavailable) -> None:
        is_told = self._has_told or error.is_logged
        LOG.log(logging.DEBUG if is_told else logging.WARNING, "%s has to wait: %s", self._name, error)
        self._has_told = self._has_told or not error.is_logged


def wait_for(condition: Callable[[], Any], timeout_s: float, interval_s: float = 0.01) -> bool:
    """Whether condition() became true within timeout_s."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval_s)
    return True
