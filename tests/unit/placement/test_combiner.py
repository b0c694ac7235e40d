"""Combinations within one tree, without a database: who may go with whom, and giving up in time."""

import pytest

from nova.placement.combiner import Combiner
from nova.placement.index import Index, make_room
from nova.placement.structs import CandidatesQuery, Group, Inventory, Provider

CARD, VCPU = 1, 2


def make_index(parents: dict[int, int | None], cards: dict[int, int]) -> Index:
    """One tree of providers numbered from 1, with so many cards each."""
    index = Index()
    for number, parent in parents.items():
        provider = Provider(number, f"uuid-{number}", f"name-{number}", 0, parent, 1, frozenset(), frozenset(), 0)
        total = cards.get(number)
        index.add(provider, {CARD: make_room(Inventory(total), 0)} if total else {})
    return index


def combine(index: Index, query: CandidatesQuery) -> list[tuple[int, ...]]:
    """The provider of each group, in the order of their suffixes."""
    found = Combiner(index, query, index.tree(1)).candidates()
    return [tuple(p.provider_id for p in sorted(picks, key=lambda p: p.suffix)) for picks in found]


def groups(*amounts: int) -> tuple[Group, ...]:
    return tuple(Group(f"_{n}", ((CARD, amount),)) for n, amount in enumerate(amounts))


FLAT = {1: None, 2: 1, 3: 1}


def test_every_combination_that_fits_is_found_once() -> None:
    index = make_index(FLAT, {2: 2, 3: 1})

    found = combine(index, CandidatesQuery(groups(1, 1)))

    assert sorted(found) == [(2, 2), (2, 3), (3, 2)]


def test_isolated_groups_have_a_provider_each() -> None:
    index = make_index(FLAT, {2: 2, 3: 1})

    found = combine(index, CandidatesQuery(groups(1, 1), isolate=True))

    assert sorted(found) == [(2, 3), (3, 2)]


def test_before_nested_trees_one_provider_answers_for_its_tree() -> None:
    index = make_index(FLAT, {2: 2, 3: 1})

    found = combine(index, CandidatesQuery(groups(1, 1), nested=False))

    assert found == [(2, 2)]


def test_subtree_needs_one_provider_above_the_others() -> None:
    index = make_index({1: None, 2: 1, 3: 2, 4: 1}, {2: 1, 3: 1, 4: 1})

    together = frozenset({"_0", "_1"})
    found = combine(index, CandidatesQuery(groups(1, 1), isolate=True, same_subtree=(together,)))

    assert sorted(found) == [(2, 3), (3, 2)]


@pytest.mark.parametrize("isolate", [True, False])
def test_one_group_too_many_is_refused_without_a_search(isolate: bool) -> None:
    devices = 20
    index = make_index({1: None, **dict.fromkeys(range(2, 2 + devices), 1)}, dict.fromkeys(range(2, 2 + devices), 1))

    combiner = Combiner(index, CandidatesQuery(groups(*[1] * (devices + 1)), isolate=isolate), index.tree(1))

    assert not combiner.is_possible


def test_unequal_groups_find_the_only_way_they_fit() -> None:
    index = make_index({1: None, 2: 1, 3: 1, 4: 1}, {2: 5, 3: 5, 4: 5})

    found = combine(index, CandidatesQuery(groups(5, 4, 3, 2, 1)))

    assert found
    for choice in found:
        taken = dict.fromkeys((2, 3, 4), 0)
        for number, amount in zip(choice, (5, 4, 3, 2, 1), strict=True):
            taken[number] += amount
        assert taken == dict.fromkeys((2, 3, 4), 5)
