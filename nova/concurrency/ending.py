"""Ends a process after a signal, whatever its main thread is in.

Python runs a handler when the main thread comes back from C; one that resolves a name or waits for a library may not for
minutes. The number of each signal goes through a pipe to a native thread, which needs nobody.
"""

import functools
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from nova import backend


def end_after(
    numbers: tuple[int, ...],
    seconds: float,
    last_words: str,
    spawn_native: Callable[..., None],
    heard: Callable[[int], None],
) -> None:
    """Once one of these signals has come, the process has so long. To be called by the main thread.

    last_words go to standard error: the log may be what hangs. heard is told of every signal, in a native thread: a main thread
    that begins to wait just when a signal comes runs the signal's handler when it wakes up, and not before.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # The signals of a process that this one forks are not its own.
    os.register_at_fork(after_in_child=functools.partial(signal.set_wakeup_fd, -1))
    spawn_native(functools.partial(_wait, reading, numbers, seconds, last_words, heard), name="end after a signal")


def _wait(
    reading: int, numbers: tuple[int, ...], seconds: float, last_words: str, heard: Callable[[int], None]
) -> None:
    # Under eventlet the patched ones would look for a hub in this thread.
    system: Any = backend.eventlet.patcher.original("os") if backend.eventlet else os
    clock: Any = backend.eventlet.patcher.original("time") if backend.eventlet else time
    come: set[int] = set()
    while not come & set(numbers):
        come = set(system.read(reading, 64))
        for number in come:
            heard(number)
    clock.sleep(seconds)
    system.write(2, f"{last_words}\n".encode())
    system._exit(0)
