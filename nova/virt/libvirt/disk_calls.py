"""What looks at or changes files of guests: on a file system whose server is away, every such call hangs.

Whatever a step, a report or a question to this host does with guests' files goes through quick() or at_length(), or is a
function that @bounded_in_time makes such a call. What tools do with them is bounded by nova.virt.programs.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from nova import concurrency
from nova.virt.programs import COPY_S

T = TypeVar("T")
P = ParamSpec("P")

_QUICK_S = 120.0
_LOOK_S = 15.0
_CALLS = concurrency.BoundedCalls("The storage of the host's disks", most_abandoned=32)


def quick(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """function(*args, **kwargs), which ends at once but for a file system that hangs. Raises errors.Unavailable then."""
    return _CALLS.run(_QUICK_S, _name(function, args), function, *args, **kwargs)


def at_length(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As quick(), for what may be as long as the disks are large."""
    return _CALLS.run(COPY_S, _name(function, args), function, *args, **kwargs)


def look(directory: str) -> os.statvfs_result:
    """The file system of a directory. Raises errors.Unavailable when it does not answer."""
    return _CALLS.run(_LOOK_S, f"look at {directory}", lambda: os.statvfs(_nearest(Path(directory))))


def bounded_in_time(function: Callable[P, T]) -> Callable[P, T]:
    """The function as one that goes through quick()."""

    @functools.wraps(function)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> T:
        return quick(function, *args, **kwargs)

    return bounded


def _name(function: Any, args: tuple[Any, ...]) -> str:
    """For the log, and to know a call again: the function and the files it is about."""
    about = (getattr(function, "__self__", None), *args)
    return " ".join([function.__name__, *(str(each) for each in about if isinstance(each, str | Path))])


def _nearest(path: Path) -> Path:
    """path, or the parent that exists: a new host has no guests' directory yet."""
    return path if path.exists() else _nearest(path.parent)
