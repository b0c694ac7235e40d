"""The state report that SIGUSR2 asks for: what each thread does now, what is held, who is missed. No values, no secrets."""

import gc
import os
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType

from nova import neighbours, release
from nova.daemon.component import Component
from nova.readiness import Readiness


def state(name: str, services: Sequence[Component], readiness: Readiness) -> str:
    """The report of one process, in several lines."""
    lines = [f"State of {name} {release.version()}, process {os.getpid()}"]
    lines += _section("Away", neighbours.away())
    lines += _section("Failing", [f"{check}: {why}" for check, why in sorted(readiness.failing().items())])
    for service in services:
        facts: dict[str, object] = getattr(service, "report", dict)()
        lines += _section(type(service).__name__, [f"{what}: {value}" for what, value in facts.items()])
    lines += _section("Open files", [f"{kind}: {count}" for kind, count in sorted(_open_files().items())])
    for title, stacks in (("Threads", _threads()), ("Green threads", _green_threads())):
        # Many of a pool wait in the same place.
        alike = Counter(stacks)
        if alike:
            lines += ["", f"{title}: {sum(alike.values())}"]
            lines += [f"  {count} x {stack}" for stack, count in alike.most_common()]
    return "\n".join(lines)


def _section(title: str, lines: Iterable[str]) -> list[str]:
    indented = [f"  {line}" for line in lines]
    return ["", title, *indented] if indented else []


def _open_files() -> Counter[str]:
    kinds: Counter[str] = Counter()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            # That of the directory itself.
            continue
        kinds[target.partition(":")[0] if ":[" in target else "file"] += 1
    return kinds


def _threads() -> Iterator[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        # Threads of one pool differ in their number alone.
        name = names.get(ident, "without a name").rstrip("0123456789").rstrip("-_ (")
        yield f"{name}\n{_stack(frame)}"


def _green_threads() -> Iterator[str]:
    if (module := sys.modules.get("greenlet")) is None:
        return
    for thing in gc.get_objects():
        if isinstance(thing, module.greenlet) and thing and thing.gr_frame is not None:
            yield f"green\n{_stack(thing.gr_frame)}"


def _stack(frame: FrameType) -> str:
    places = traceback.extract_stack(frame, limit=25)
    return "\n".join(f"      {place.filename}:{place.lineno} in {place.name}" for place in places)
