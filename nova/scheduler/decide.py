"""The decision itself: filters drop hosts, weighers order the rest. No clock, no network, no state.

Linear in the number of hosts, with little per host: a thousand take milliseconds.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter

import msgspec

from nova.scheduler.contender import Contender, Refusal
from nova.scheduler.filters.filter import Filter
from nova.scheduler.weighers.weigher import Weigher, normalise
from nova.structs.schedule import Dropped, PlacementRequest, Stage, Weighed

# A decision names this many dropped and this many weighed hosts; it counts all.
SHOWN = 20


class Ranked(msgspec.Struct, frozen=True, gc=False):
    """A host that passed, with its weight and each weigher's part in it."""

    host: Contender
    weight: float
    weights: dict[str, float]


class Filtered(msgspec.Struct, frozen=True):
    """Who passed all filters, stage by stage; lost counts the dropped by the short reason."""

    passed: Sequence[Contender]
    stages: tuple[Stage, ...]
    lost: Counter[str]


def pass_filters(hosts: Sequence[Contender], filters: Iterable[Filter], request: PlacementRequest) -> Filtered:
    """Put every filter's question to the hosts that are left; stop when none is."""
    stages: list[Stage] = []
    lost: Counter[str] = Counter()
    for one in filters:
        if not hosts:
            break
        before = len(hosts)
        dropped: list[tuple[Contender, Refusal]] = []
        check = one.check(request)
        if check is not None:
            kept = []
            for host in hosts:
                refusal = check(host)
                if refusal is None:
                    kept.append(host)
                else:
                    dropped.append((host, refusal))
            hosts = kept
            lost.update(refusal.short for _, refusal in dropped)
        stages.append(stage(type(one).__name__, before, len(hosts), dropped))
    return Filtered(hosts, tuple(stages), lost)


def stage(name: str, before: int, after: int, dropped: Iterable[tuple[Contender, Refusal]]) -> Stage:
    """The record of a stage, with the first few hosts it dropped."""
    shown = (
        Dropped(host=host.state.host, node=host.state.node, reason=str(why))
        for (host, why), _ in zip(dropped, range(SHOWN), strict=False)
    )
    return Stage(name=name, before=before, after=after, dropped=tuple(shown))


def rank(hosts: Sequence[Contender], weighers: Iterable[Weigher], request: PlacementRequest) -> list[Ranked]:
    """The hosts by weight, the best first; equal ones stay in their order."""
    if not hosts:
        return []
    shares: dict[str, list[float]] = {}
    for one in weighers:
        scale = one.scale(request)
        if scale is None:
            continue
        values = _multiply(one, hosts, normalise([scale(host) for host in hosts]))
        if any(values):
            shares[type(one).__name__] = values
    if not shares:
        return [Ranked(host, 0.0, {}) for host in hosts]
    totals = [sum(row) for row in zip(*shares.values(), strict=True)]
    order = sorted(enumerate(totals), key=itemgetter(1), reverse=True)
    return [
        Ranked(hosts[place], total, {name: values[place] for name, values in shares.items()}) for place, total in order
    ]


def _multiply(one: Weigher, hosts: Sequence[Contender], values: list[float]) -> list[float]:
    return [
        value * (one.multiplier_for(host) if host.state.aggregates else one.multiplier)
        for host, value in zip(hosts, values, strict=True)
    ]


def put_chosen_first(ranked: list[Ranked], subset_size: int, shuffle_equals: bool) -> list[Ranked]:
    """The order in which hosts are tried: mostly the given one, with the dice the configuration throws.

    One of the best subset_size hosts comes first; with shuffle_equals, the hosts as good as the best
    stand in random order.
    """
    if not ranked:
        return ranked
    if shuffle_equals:
        best = [one for one in ranked if one.weight == ranked[0].weight]
        ranked = random.sample(best, len(best)) + ranked[len(best) :]
    chosen = random.randrange(min(subset_size, len(ranked)))
    return [ranked[chosen], *ranked[:chosen], *ranked[chosen + 1 :]]


def shown(ranked: Sequence[Ranked]) -> tuple[Weighed, ...]:
    """The record of the weights."""
    return tuple(
        Weighed(host=one.host.state.host, node=one.host.state.node, weight=one.weight, weights=one.weights)
        for one in ranked[:SHOWN]
    )
