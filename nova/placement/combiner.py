"""Tries the combinations of providers that one tree offers for a query.

A branch is left as soon as it cannot work. A combination is one pick for each part of the query:
each granular group is a part, and each class of the unsuffixed group.
"""

import logging
from collections.abc import Iterator

from nova.placement.index import Index, Tree
from nova.placement.matching import may_answer_alone, may_use, sharing_with
from nova.placement.structs import Candidate, CandidatesQuery, Group, Pick, Provider

LOG = logging.getLogger(__name__)

# After so many steps without a candidate each further pick is proven possible before it is taken.
_PATIENCE = 200
# A tree that yields nothing for so many steps is given up: the question is as hard as packing a bag.
_MOST_STEPS = 500_000

# A pick, its tree's root, and what it takes: (provider, class), amount, the most that may be taken in all.
Option = tuple[Pick, int, tuple[tuple[tuple[int, int], int, int], ...]]


class Combiner:
    """The combinations of one tree with the providers that share with it."""

    def __init__(self, index: Index, query: CandidatesQuery, tree: Tree) -> None:
        self._index = index
        self._query = query
        self._tree = tree
        self._unsuffixed = next((group for group in query.groups if not group.is_granular), None)
        self._subtrees = [subtree for subtree in query.same_subtree if len(subtree) > 1]
        # Granular groups come first, those with the fewest options before the others.
        self._parts: list[list[Option]] = []
        self._granular = 0
        self.is_possible = self._collect() and self._can_finish([], {})

    def candidates(self) -> Iterator[Candidate]:
        """Whole combinations, as they are found. Ends early, with a warning, when none is found for too long."""
        if not self.is_possible:
            return
        parts, last = self._parts, len(self._parts) - 1
        picked: list[Option] = []
        taken: dict[tuple[int, int], int] = {}
        waiting = [iter(parts[0])]
        fruitless = 0
        while waiting:
            depth = len(picked)
            option = next(waiting[-1], None)
            if option is None:
                waiting.pop()
                if picked:
                    _put_back(picked.pop(), taken)
                continue
            fruitless += 1
            if fruitless > _MOST_STEPS:
                LOG.warning("gave up on tree %s after %s combinations", self._tree.root_id, fruitless)
                return
            if not self._may_pick(option, depth, picked, taken):
                continue
            picked.append(option)
            _take(option, taken)
            if (self._subtrees and not self._holds_together(picked)) or (
                fruitless > _PATIENCE and not self._can_finish(picked, taken)
            ):
                _put_back(picked.pop(), taken)
            elif depth < last:
                waiting.append(iter(parts[depth + 1]))
            else:
                if self._is_whole(picked):
                    fruitless = 0
                    yield tuple([option[0] for option in picked])
                _put_back(picked.pop(), taken)

    def _collect(self) -> bool:
        """Gather the options of each part; whether each part has some."""
        index = self._index
        reachable = [*self._tree.providers, *sharing_with(index, self._tree)]
        for group in self._query.groups:
            if group.is_granular:
                able = [provider for provider in reachable if may_answer_alone(index, group, provider)]
                self._parts.append([self._option(group.suffix, p.id, p.root_id, group.resources) for p in able])
        self._parts.sort(key=len)
        self._granular = len(self._parts)
        if self._unsuffixed is not None:
            self._collect_unsuffixed(self._unsuffixed, reachable)
        return all(self._parts) and self._traits_suffice()

    def _collect_unsuffixed(self, group: Group, reachable: list[Provider]) -> None:
        usable = [provider for provider in reachable if may_use(self._index, group, provider)]
        for class_id, amount in group.resources:
            options = []
            for provider in usable:
                room = self._index.rooms[provider.id].get(class_id)
                if room is not None and room.fits(amount):
                    options.append(self._option("", provider.id, provider.root_id, ((class_id, amount),)))
            self._parts.append(options)

    def _option(self, suffix: str, number: int, root_id: int, resources: tuple[tuple[int, int], ...]) -> Option:
        rooms = self._index.rooms[number]
        needs = []
        for class_id, amount in resources:
            room = rooms[class_id]
            needs.append(((number, class_id), amount, min(room.free, room.max_unit)))
        return Pick(suffix, number, resources), root_id, tuple(needs)

    def _traits_suffice(self) -> bool:
        """Whether all options of the unsuffixed group together have the traits it requires."""
        if self._unsuffixed is None or not self._unsuffixed.required:
            return True
        return self._have_required([option for part in self._parts[self._granular :] for option in part])

    def _have_required(self, options: list[Option]) -> bool:
        assert self._unsuffixed is not None
        together: set[int] = set()
        for pick, _, _ in options:
            together |= self._index.providers[pick.provider_id].traits
        return all(not any_of.isdisjoint(together) for any_of in self._unsuffixed.required)

    def _may_pick(self, option: Option, depth: int, picked: list[Option], taken: dict[tuple[int, int], int]) -> bool:
        """Whether an option agrees with the picks before it."""
        pick, root_id, needs = option
        for key, amount, most in needs:
            if key in taken and taken[key] + amount > most:
                return False
        if self._query.isolate and depth < self._granular:
            for other, _, _ in picked:
                if other.provider_id == pick.provider_id:
                    return False
        if not self._query.nested:
            for other, other_root, _ in picked:
                if other_root == root_id and other.provider_id != pick.provider_id:
                    return False
        return True

    def _holds_together(self, picked: list[Option]) -> bool:
        """Whether each subtree that the last pick completes has one of its providers above the others."""
        if len(picked) > self._granular:
            return True
        last = picked[-1][0].suffix
        by_suffix = {pick.suffix: pick.provider_id for pick, _, _ in picked}
        for subtree in self._subtrees:
            if last in subtree and subtree <= by_suffix.keys():
                numbers = {by_suffix[suffix] for suffix in subtree}
                if not any(all(self._index.is_inside(other, top) for other in numbers) for top in numbers):
                    return False
        return True

    def _is_whole(self, picked: list[Option]) -> bool:
        if self._unsuffixed is None or not self._unsuffixed.required:
            return True
        return self._have_required(picked[self._granular :])

    def _can_finish(self, picked: list[Option], taken: dict[tuple[int, int], int]) -> bool:
        """Whether the granular groups not picked yet can each be given a place.

        Places are counted generously, so that no is always right: a provider has as many as its
        smallest takers fit into it, one when groups are isolated. Each group then finds a place by
        asking those that stand in its way to move.
        """
        pending = self._parts[len(picked) : self._granular]
        if len(pending) < 2:
            return True
        used = {pick.provider_id for pick, _, _ in picked} if self._query.isolate else set()
        takers: dict[int, list[Option]] = {}
        for part in pending:
            for option in part:
                if option[0].provider_id not in used:
                    takers.setdefault(option[0].provider_id, []).append(option)
        places = {number: self._count_places(options, taken) for number, options in takers.items()}
        held: dict[int, list[int]] = {number: [] for number in places}
        return all(self._find_place(part, pending, places, held, set()) for part in range(len(pending)))

    def _count_places(self, options: list[Option], taken: dict[tuple[int, int], int]) -> int:
        if self._query.isolate:
            return 1
        least = len(options)
        by_key: dict[tuple[int, int], list[int]] = {}
        most_of: dict[tuple[int, int], int] = {}
        for _, _, needs in options:
            for key, amount, most in needs:
                by_key.setdefault(key, []).append(amount)
                most_of[key] = most
        for key, amounts in by_key.items():
            # Takers that want nothing of this class are not in its way.
            free, count = most_of[key] - taken.get(key, 0), len(options) - len(amounts)
            for amount in sorted(amounts):
                free -= amount
                if free < 0:
                    break
                count += 1
            least = min(least, count)
        return least

    def _find_place(
        self,
        part: int,
        pending: list[list[Option]],
        places: dict[int, int],
        held: dict[int, list[int]],
        asked: set[int],
    ) -> bool:
        for pick, _, _ in pending[part]:
            number = pick.provider_id
            if number in asked or not places.get(number):
                continue
            asked.add(number)
            if len(held[number]) < places[number]:
                held[number].append(part)
                return True
            for other in list(held[number]):
                if self._find_place(other, pending, places, held, asked):
                    held[number].remove(other)
                    held[number].append(part)
                    return True
        return False


def _take(option: Option, taken: dict[tuple[int, int], int]) -> None:
    for key, amount, _ in option[2]:
        taken[key] = taken.get(key, 0) + amount


def _put_back(option: Option, taken: dict[tuple[int, int], int]) -> None:
    for key, amount, _ in option[2]:
        left = taken[key] - amount
        if left:
            taken[key] = left
        else:
            del taken[key]
