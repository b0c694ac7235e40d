"""The decision itself: filters drop hosts, weighers order the rest. No clock, no network, no state.

Linear in the number of hosts, with little per host: a thousand take milliseconds.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from nova.scheduler.filters.filter import Filter
from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.scheduler.weighers.weigher import MULTIPLIER, Weigher, normalise
from nova.structs.host import HostState
from nova.structs.schedule import Dropped, PlacementRequest, Stage, Weighed

# A decision names this many dropped and this many weighed hosts; it counts all.
SHOWN = 20


class Ranking(msgspec.Struct, frozen=True):
    """The hosts that passed, the best first, with the weight of each and the record of the first few.

    scales: the values of each weigher that has a say.
    """

    hosts: list[HostCandidate]
    weights: list[float]
    weighed: tuple[Weighed, ...]
    scales: tuple[tuple[Weigher, list[float]], ...] = ()


class Filtered(msgspec.Struct, frozen=True):
    """The hosts that passed all filters, and the stages. lost counts the dropped hosts by short reason."""

    passed: Sequence[HostCandidate]
    stages: tuple[Stage, ...]
    lost: Counter[str]


def pass_filters(
    hosts: Sequence[HostCandidate], filters: Iterable[Filter], request: PlacementRequest, known: Mapping[str, HostState]
) -> Filtered:
    """Apply the filters in order to the hosts that are left; stop when there are none."""
    stages: list[Stage] = []
    lost: Counter[str] = Counter()
    for filter_ in filters:
        if not hosts:
            break
        if request.only_image and not filter_.judges_image:
            continue
        before = len(hosts)
        dropped: list[tuple[HostCandidate, Refusal]] = []
        check = filter_.check_among(request, known)
        if check is not None:
            passed = []
            for host in hosts:
                refusal = check(host)
                if refusal is None:
                    passed.append(host)
                else:
                    dropped.append((host, refusal))
            hosts = passed
            lost.update(refusal.short for _, refusal in dropped)
        stages.append(stage(type(filter_).__name__, before, len(hosts), dropped))
    return Filtered(hosts, tuple(stages), lost)


def stage(name: str, before: int, after: int, dropped: Iterable[tuple[HostCandidate, Refusal]]) -> Stage:
    """The record of a stage, with the first few hosts it dropped."""
    shown = (
        Dropped(host=host.state.host, node=host.state.node, reason=str(why))
        for (host, why), _ in zip(dropped, range(SHOWN), strict=False)
    )
    return Stage(name=name, before=before, after=after, dropped=tuple(shown))


def rank(hosts: Sequence[HostCandidate], weighers: Iterable[Weigher], request: PlacementRequest) -> Ranking:
    """The hosts by weight; equal ones stay in their order."""
    shares: dict[str, list[float]] = {}
    scales: list[tuple[Weigher, list[float]]] = []
    # Few hosts have aggregates that set multipliers: they alone are asked, once for all weighers.
    special = [place for place, host in enumerate(hosts) if _sets_multipliers(host)]
    for weigher in weighers:
        scale = weigher.scale(request)
        if scale is None:
            continue
        raw = [scale(host) for host in hosts]
        values = normalise(raw)
        scales.append((weigher, raw))
        if values is None:
            continue
        parts = [value * weigher.multiplier for value in values] if weigher.multiplier != 1.0 else list(values)
        for place in special:
            parts[place] = values[place] * weigher.multiplier_for(hosts[place])
        if any(parts):
            shares[type(weigher).__name__] = parts
    totals = list(map(sum, zip(*shares.values(), strict=True))) if shares else [0.0] * len(hosts)
    order = sorted(range(len(hosts)), key=totals.__getitem__, reverse=True)
    weighed = (
        Weighed(
            host=hosts[place].state.host,
            node=hosts[place].state.node,
            weight=totals[place],
            weights={name: values[place] for name, values in shares.items()},
        )
        for place in order[:SHOWN]
    )
    return Ranking([hosts[place] for place in order], [totals[place] for place in order], tuple(weighed), tuple(scales))


def change_of_best(ranking: Ranking, request: PlacementRequest) -> float:
    """By how much the weight of the best host changes when it takes the server: below 0 where servers are spread,
    above where they are stacked."""
    if not ranking.hosts:
        return 0.0
    before, after = ranking.hosts[0], ranking.hosts[0].taking(request.amounts)
    joined = request
    if (group := request.group) is not None:
        hosts = (*group.hosts, before.state.host)
        joined = msgspec.structs.replace(request, group=msgspec.structs.replace(group, hosts=hosts))
    change = 0.0
    for weigher, values in ranking.scales:
        now, then = weigher.scale(request), weigher.scale(joined)
        if now is not None and then is not None:
            span = (max(values) - min(values)) or 1.0
            change += weigher.multiplier_for(before) * (then(after) - now(before)) / span
    return change


def _sets_multipliers(host: HostCandidate) -> bool:
    for aggregate in host.state.aggregates:
        for key in aggregate.metadata:
            if key.endswith(MULTIPLIER):
                return True
    return False


def order_of_trial(ranking: Ranking, subset_size: int, shuffle_equals: bool) -> list[HostCandidate]:
    """The order in which hosts are tried: by weight, with the randomness that the configuration asks for.

    A random one of the best subset_size hosts comes first; with shuffle_equals, hosts that weigh as much as the best
    stand in random order.
    """
    hosts = ranking.hosts
    if not hosts:
        return []
    if shuffle_equals:
        equals = sum(weight == ranking.weights[0] for weight in ranking.weights)
        hosts = random.sample(hosts[:equals], equals) + hosts[equals:]
    chosen = random.randrange(min(subset_size, len(hosts)))
    return [hosts[chosen], *hosts[:chosen], *hosts[chosen + 1 :]]
