"""Allocation candidates: every way the providers of a tree, and those that share with it, meet a query.

Trees are taken in turn, one candidate of each at a time, so that a limit shows as many hosts as it
can. Nothing is worked out before it is asked for.
Source: Placement API reference, "Allocation Candidates"; Placement user guide, "Provider Tree".
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from nova.placement.combiner import Combiner
from nova.placement.index import Index
from nova.placement.matching import may_use
from nova.placement.structs import Candidate, CandidatesQuery, Group, Pick, Provider


def find_candidates(
    index: Index, query: CandidatesQuery, breadth_first: bool = True, start: int = 0
) -> list[Candidate]:
    """Candidates for a query, at most query.limit of them. start turns the order of trees by so many."""
    roots: Iterable[int] = candidate_roots(index, query)
    if start:
        ordered = list(roots)
        start %= max(len(ordered), 1)
        roots = ordered[start:] + ordered[:start]
    limit = query.limit
    found: list[Candidate] = []
    # A candidate made of shared providers alone looks the same from every tree they share with.
    seen: set[Any] | None = set() if index.sharing() else None
    for candidate in _in_turn(_of_trees(index, query, roots), breadth_first):
        if seen is not None:
            identity = _identity(candidate)
            if identity in seen:
                continue
            seen.add(identity)
        found.append(candidate)
        if limit is not None and len(found) >= limit:
            break
    return found


def candidate_roots(index: Index, query: CandidatesQuery) -> Iterator[int]:
    """Roots of the trees that may hold candidates: those that have the rarest class asked for."""
    sharing = index.sharing()
    rarest: dict[int, None] | None = None
    for class_id in {class_id for group in query.groups for class_id, _ in group.resources}:
        holders = index.by_class.get(class_id, {})
        if sharing and not sharing.keys().isdisjoint(holders):
            continue
        if rarest is None or len(holders) < len(rarest):
            rarest = holders
    if rarest is None:
        yield from index.members
        return
    seen: set[int] = set()
    for number in rarest:
        root_id = index.providers[number].root_id
        if root_id not in seen:
            seen.add(root_id)
            yield root_id


def meets_root(index: Index, query: CandidatesQuery, root_id: int) -> bool:
    """Whether a tree's root has what root_required asks of it, and nothing it forbids."""
    traits = index.providers[root_id].traits
    return query.root_required <= traits and query.root_forbidden.isdisjoint(traits)


def _of_trees(index: Index, query: CandidatesQuery, roots: Iterable[int]) -> Iterator[Iterator[Candidate]]:
    checks_root = bool(query.root_required or query.root_forbidden)
    shares = bool(index.sharing())
    group = query.groups[0] if len(query.groups) == 1 else None
    for root_id in roots:
        if checks_root and not meets_root(index, query, root_id):
            continue
        if group is not None and not shares and len(index.members[root_id]) == 1:
            single = _single(index, group, index.providers[root_id])
            if single is not None:
                yield iter((single,))
            continue
        tree = index.tree(root_id)
        yield Combiner(index, query, tree).candidates()


def _single(index: Index, group: Group, provider: Provider) -> Candidate | None:
    """The one candidate that a provider without a tree and without shared resources can be."""
    rooms = index.rooms[provider.id]
    for class_id, amount in group.resources:
        room = rooms.get(class_id)
        if (
            room is None
            or amount > room.free
            or not room.min_unit <= amount <= room.max_unit
            or (room.step_size != 1 and amount % room.step_size)
        ):
            return None
    if not may_use(index, group, provider) or not all(not r.isdisjoint(provider.traits) for r in group.required):
        return None
    return (Pick(group.suffix, provider.id, group.resources),)


def _in_turn(sources: Iterator[Iterator[Candidate]], breadth_first: bool) -> Iterator[Candidate]:
    if not breadth_first:
        yield from itertools.chain.from_iterable(sources)
        return
    waiting: list[Iterator[Candidate]] = []
    for source in sources:
        first = next(source, None)
        if first is not None:
            yield first
            waiting.append(source)
    while waiting:
        still: list[Iterator[Candidate]] = []
        for source in waiting:
            following = next(source, None)
            if following is not None:
                yield following
                still.append(source)
        waiting = still


def _identity(candidate: Candidate) -> tuple[Any, ...]:
    amounts: dict[tuple[int, int], int] = {}
    for pick in candidate:
        for class_id, amount in pick.resources:
            key = (pick.provider_id, class_id)
            amounts[key] = amounts.get(key, 0) + amount
    return frozenset(amounts.items()), frozenset((pick.suffix, pick.provider_id) for pick in candidate)
