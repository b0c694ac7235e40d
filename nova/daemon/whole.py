"""The health page of a daemon with several workers, in a process of its own that does nothing else.

It asks all workers when it is asked, and tells of the daemon as a whole: what any of them misses, and the sums of what they
have counted. A sum never falls: what a worker had counted when it was last asked stays in it after the worker's end.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric

from nova import metrics
from nova.daemon.worker_state import ALL, CONDITION, Family, Sample, WorkerState, ask, metrics_of_this_process

_CHECK = "workers"
_COUNTED = ("counter", "histogram", "summary")


class Whole:
    """names: the workers' sockets, in their order."""

    def __init__(self, names: Sequence[bytes]) -> None:
        self._names = names
        # Two that ask at once must not both count a worker that has ended.
        self._lock = threading.Lock()
        self._last: dict[int, WorkerState] = {}
        self._departed: list[Family] = []

    def checks(self, own: dict[str, str | None]) -> dict[str, str | None]:
        """What any worker misses, or this process, and which workers do not answer."""
        states = ask(self._names, CONDITION)
        silent = [str(number) for number, state in enumerate(states) if state is None]
        said = f"{len(silent)} of {len(states)} do not answer; their numbers, from 0: {', '.join(silent)}"
        checks = {**own, _CHECK: said if silent else None}
        for state in states:
            for name, reason in state.checks.items() if state else ():
                checks[name] = checks.get(name) or reason
        return checks

    def are_alive(self) -> bool:
        """Whether the main loops of the workers turn. One that does not answer is for the parent to replace."""
        return all(state.is_alive for state in ask(self._names, CONDITION) if state)

    def figures(self) -> bytes:
        """The metrics of all workers and of this process, as one page."""
        with self._lock:
            states = ask(self._names, ALL)
            for number, state in enumerate(states):
                self._remember(number, state)
            metrics.CHECKS.labels(_CHECK).set(None not in states)
            silent = [_counted(self._last[number].families) for number in self._last if states[number] is None]
            told = [state.families for state in states if state]
            return _text(combine([metrics_of_this_process(), self._departed, *silent, *told]))

    def _remember(self, number: int, state: WorkerState | None) -> None:
        if state is None:
            return
        before = self._last.get(number)
        if before is not None and before.pid != state.pid:
            self._departed = combine([self._departed, _counted(before.families)])
        self._last[number] = state


def combine(parts: Iterable[list[Family]]) -> list[Family]:
    """The families of several processes as those of one: counts are added up, gauges as nova.metrics says."""
    families: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], list[float]]] = {}
    for family in (family for part in parts for family in part):
        families.setdefault(family.name, family)
        series = values.setdefault(family.name, {})
        for sample in family.samples:
            series.setdefault((sample.name, tuple(sample.labels.items())), []).append(sample.value)
    return [
        Family(name, family.meaning, family.kind, list(_samples(values[name], _rule(family))))
        for name, family in families.items()
    ]


def _samples(series: dict[Any, list[float]], rule: metrics.Combine) -> Iterator[Sample]:
    for (name, labels), values in series.items():
        yield Sample(name, dict(labels), rule(values))


def _rule(family: Family) -> metrics.Combine:
    return sum if family.kind in _COUNTED else metrics.COMBINED.get(family.name, max)


def _counted(families: list[Family]) -> list[Family]:
    return [family for family in families if family.kind in _COUNTED]


def _text(families: list[Family]) -> bytes:
    return generate_latest(_Collected(families))


class _Collected:
    """What generate_latest() asks of a registry."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.meaning, family.kind)
            for sample in family.samples:
                metric.add_sample(sample.name, sample.labels, sample.value)
            yield metric
