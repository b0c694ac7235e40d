"""Allocation candidates: every way the providers of a tree, and those that share with it, meet a query.

Trees are taken in turn, one candidate of each at a time, so that a limit shows as many hosts as it
can. Nothing is worked out before it is asked for.
Source: Placement API reference, "Allocation Candidates"; Placement user guide, "Provider Tree".
"""

import itertools
from collections.abc import Iterable, Iterator

from nova.placement.index import Index, Tree
from nova.placement.structs import Candidate, CandidatesQuery, Group, Provider


def find_candidates(
    index: Index, query: CandidatesQuery, breadth_first: bool = True, start: int = 0
) -> list[Candidate]:
    """Candidates for a query, at most query.limit of them. start turns the order of trees by so many."""
    roots = candidate_roots(index, query)
    if start and roots:
        start %= len(roots)
        roots = roots[start:] + roots[:start]
    limit = query.limit
    found: list[Candidate] = []
    # A candidate made of shared providers alone looks the same from every tree they share with.
    seen: set | None = set() if index.sharing() else None
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


def candidate_roots(index: Index, query: CandidatesQuery) -> list[int]:
    """Roots of the trees that may hold candidates: those that have the rarest class asked for."""
    sharing = index.sharing()
    rarest: dict[int, None] | None = None
    for class_id in {class_id for group in query.groups for class_id, _ in group.resources}:
        holders = index.by_class.get(class_id, {})
        if not sharing.keys().isdisjoint(holders):
            continue
        if rarest is None or len(holders) < len(rarest):
            rarest = holders
    if rarest is None:
        return list(index.members)
    providers = index.providers
    return list(dict.fromkeys([providers[number].root_id for number in rarest]))


def meets_root(index: Index, query: CandidatesQuery, root_id: int) -> bool:
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
    return Candidate({provider.id: dict(group.resources)}, {group.suffix: (provider.id,)})


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


def _identity(candidate: Candidate) -> tuple:
    return (
        frozenset((p, c, a) for p, amounts in candidate.resources.items() for c, a in amounts.items()),
        frozenset(candidate.mappings.items()),
    )


def memberships(index: Index, provider: Provider) -> frozenset[str]:
    """The aggregates a provider counts as a member of: those of its root span the whole tree."""
    if provider.parent_id is None:
        return provider.aggregates
    return provider.aggregates | index.providers[provider.root_id].aggregates


def may_use(index: Index, group: Group, provider: Provider) -> bool:
    """Whether a provider may take part in a group, its room and required traits aside."""
    if group.forbidden and not group.forbidden.isdisjoint(provider.traits):
        return False
    if group.tree is not None and group.tree != provider.root_id:
        return False
    if group.member_of or group.not_member_of:
        own = memberships(index, provider)
        if not group.not_member_of.isdisjoint(own) or any(any_of.isdisjoint(own) for any_of in group.member_of):
            return False
    return True


def may_answer_alone(index: Index, group: Group, provider: Provider) -> bool:
    """Whether one provider meets a whole granular group."""
    rooms = index.rooms[provider.id]
    for class_id, amount in group.resources:
        room = rooms.get(class_id)
        if room is None or not room.fits(amount):
            return False
    return may_use(index, group, provider) and all(not any_of.isdisjoint(provider.traits) for any_of in group.required)


def sharing_with(index: Index, tree: Tree) -> list[Provider]:
    """Providers outside a tree that share with it: they have an aggregate with one of its members."""
    sharing = index.sharing()
    if not sharing or not tree.aggregates:
        return []
    found: dict[int, None] = {}
    for aggregate in tree.aggregates:
        for number in index.by_aggregate.get(aggregate, ()):
            if number in sharing and number not in tree.parents:
                found[number] = None
    return [index.providers[number] for number in sorted(found)]


class Combiner:
    """Tries every combination of providers for one tree, leaving a branch as soon as it cannot work.

    The parts of a combination are, in order, each granular group and each class of the unsuffixed one.
    """

    def __init__(self, index: Index, query: CandidatesQuery, tree: Tree) -> None:
        self._index = index
        self._query = query
        self._tree = tree
        self._unsuffixed: Group | None = None
        # Per part: the group's suffix, what it takes, and the providers to try.
        self._parts: list[tuple[str, tuple[tuple[int, int], ...], list[Provider]]] = []
        self._is_possible = self._collect()
        self._subtrees = [subtree for subtree in query.same_subtree if len(subtree) > 1]

    def candidates(self) -> Iterator[Candidate]:
        if self._is_possible:
            yield from self._combine(0, {}, {})

    def _collect(self) -> bool:
        index = self._index
        reachable = [*self._tree.providers, *sharing_with(index, self._tree)]
        granular = sorted((g for g in self._query.groups if g.is_granular), key=lambda g: not g.resources)
        for group in granular:
            options = [provider for provider in reachable if may_answer_alone(index, group, provider)]
            if not options:
                return False
            self._parts.append((group.suffix, group.resources, options))
        self._unsuffixed = next((group for group in self._query.groups if not group.is_granular), None)
        if self._unsuffixed is None:
            return True
        usable = [provider for provider in reachable if may_use(index, self._unsuffixed, provider)]
        for class_id, amount in self._unsuffixed.resources:
            options = []
            for provider in usable:
                room = index.rooms[provider.id].get(class_id)
                if room is not None and room.fits(amount):
                    options.append(provider)
            if not options:
                return False
            self._parts.append(("", ((class_id, amount),), options))
        together: set[int] = set()
        for suffix, _, options in self._parts:
            if suffix == "":
                together.update(*(provider.traits for provider in options))
        return all(not any_of.isdisjoint(together) for any_of in self._unsuffixed.required)

    def _combine(
        self, depth: int, taken: dict[tuple[int, int], int], chosen: dict[str, list[int]]
    ) -> Iterator[Candidate]:
        """Candidates that begin with the choices made so far. Both dicts are as before when it ends."""
        if depth == len(self._parts):
            if self._is_whole(chosen):
                yield self._candidate(taken, chosen)
            return
        suffix, resources, options = self._parts[depth]
        for provider in options:
            if self._query.isolate and suffix and self._is_taken(provider.id, chosen):
                continue
            if not self._fits(provider.id, resources, taken):
                continue
            for class_id, amount in resources:
                key = (provider.id, class_id)
                taken[key] = taken.get(key, 0) + amount
            chosen.setdefault(suffix, []).append(provider.id)
            if self._holds_together(suffix, chosen):
                yield from self._combine(depth + 1, taken, chosen)
            chosen[suffix].pop()
            if not chosen[suffix]:
                del chosen[suffix]
            for class_id, amount in resources:
                key = (provider.id, class_id)
                taken[key] -= amount
                if not taken[key]:
                    del taken[key]

    def _is_taken(self, number: int, chosen: dict[str, list[int]]) -> bool:
        return any(suffix and numbers[0] == number for suffix, numbers in chosen.items())

    def _fits(self, number: int, resources: tuple[tuple[int, int], ...], taken: dict[tuple[int, int], int]) -> bool:
        """Whether the provider has room for this on top of what the combination takes already."""
        for class_id, amount in resources:
            before = taken.get((number, class_id))
            if before:
                room = self._index.rooms[number][class_id]
                if before + amount > room.free or before + amount > room.max_unit:
                    return False
        return True

    def _holds_together(self, suffix: str, chosen: dict[str, list[int]]) -> bool:
        """Whether the subtrees that this choice completes have one of their providers above the others."""
        for subtree in self._subtrees:
            if suffix in subtree and subtree <= chosen.keys():
                numbers = {chosen[name][0] for name in subtree}
                if len(numbers) > 1 and not self._has_ancestor(numbers):
                    return False
        return True

    def _has_ancestor(self, numbers: set[int]) -> bool:
        index = self._index
        return any(all(index.is_inside(other, top) for other in numbers) for top in numbers)

    def _is_whole(self, chosen: dict[str, list[int]]) -> bool:
        providers = self._index.providers
        if self._unsuffixed is not None and self._unsuffixed.required:
            together: set[int] = set()
            together.update(*(providers[number].traits for number in chosen[""]))
            if any(any_of.isdisjoint(together) for any_of in self._unsuffixed.required):
                return False
        if self._query.nested:
            return True
        numbers = {number for several in chosen.values() for number in several}
        return len({providers[number].root_id for number in numbers}) == len(numbers)

    def _candidate(self, taken: dict[tuple[int, int], int], chosen: dict[str, list[int]]) -> Candidate:
        resources: dict[int, dict[int, int]] = {}
        for (number, class_id), amount in taken.items():
            resources.setdefault(number, {})[class_id] = amount
        return Candidate(resources, {suffix: tuple(dict.fromkeys(numbers)) for suffix, numbers in chosen.items()})
