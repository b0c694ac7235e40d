"""Why not: for each stage of a candidates query, what it left over and why it dropped the rest.

Judges with the same rules as the search (nova.placement.matching, nova.placement.combiner) and only
adds the words. Stages about one group count providers; those about a whole combination count trees.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from nova.placement.candidates import find_candidates
from nova.placement.combiner import Combiner
from nova.placement.index import Index, Tree
from nova.placement.matching import memberships, sharing_with
from nova.placement.structs import CandidatesQuery, Group, Provider, Room

# So many candidates are counted; beyond, the answer says that there are at least as many.
_MOST_COUNTED = 1000


class Dropped(msgspec.Struct, frozen=True):
    """A provider that a stage dropped; for a stage about trees, the root."""

    uuid: str
    name: str
    reason: str


class Stage(msgspec.Struct, frozen=True):
    """One stage: what it looks at, for which group (None: all together), and what became of what came in."""

    stage: str
    counts: str
    group: str | None
    remained: int
    dropped: int
    reasons: list[Dropped]


class Explanation(msgspec.Struct, frozen=True):
    """candidates is how many there are, exact when is_complete."""

    candidates: int
    is_complete: bool
    stages: list[Stage]


def explain(index: Index, query: CandidatesQuery, most_reasons: int, about: Provider | None = None) -> Explanation:
    """Walk the stages of a query. about narrows the reasons to the tree of one provider."""
    stages: list[Stage] = []
    is_shown = (lambda p: True) if about is None else (lambda p: p.root_id == about.root_id)
    remaining: dict[str, set[int]] = {}
    for group in query.groups:
        left: Iterable[Provider] = index.providers.values()
        for name, judge in _GROUP_STAGES:
            reasons = _Reasons(most_reasons, is_shown)
            left = [provider for provider in left if reasons.keep(provider, judge(index, query, group, provider))]
            stages.append(reasons.stage(name, "providers", group.suffix, len(left)))
        remaining[group.suffix] = {provider.id for provider in left}
    trees = _roots(index, query, remaining)
    for name, judge_tree in _TREE_STAGES:
        reasons = _Reasons(most_reasons, is_shown)
        trees = [root for root in trees if reasons.keep(root, judge_tree(index, query, root, remaining))]
        stages.append(reasons.stage(name, "trees", None, len(trees)))
    bound = msgspec.structs.replace(query, limit=min(query.limit or _MOST_COUNTED, _MOST_COUNTED))
    found = len(find_candidates(index, bound))
    return Explanation(found, found < (bound.limit or 0), stages)


class _Reasons:
    """Collects what one stage dropped."""

    def __init__(self, most: int, is_shown: Callable[[Provider], bool]) -> None:
        self._most = most
        self._is_shown = is_shown
        self._count = 0
        self._reasons: list[Dropped] = []

    def keep(self, provider: Provider, reason: str | None) -> bool:
        """Whether there is no reason to drop the provider. Every drop is counted; the first few reasons are kept."""
        if reason is None:
            return True
        self._count += 1
        if len(self._reasons) < self._most and self._is_shown(provider):
            self._reasons.append(Dropped(provider.uuid, provider.name, reason))
        return False

    def stage(self, name: str, counts: str, group: str | None, remained: int) -> Stage:
        return Stage(name, counts, group, remained, self._count, self._reasons)


# -- one provider for one group --------------------------------------------------------------------


def _judge_classes(index: Index, query: CandidatesQuery, group: Group, provider: Provider) -> str | None:
    """A granular group needs all its classes of one provider, the unsuffixed one at least one."""
    rooms = index.rooms[provider.id]
    refusals = [refusal for class_id, amount in group.resources if (refusal := _refuse(index, rooms, class_id, amount))]
    if not refusals or (not group.is_granular and len(refusals) < len(group.resources)):
        return None
    return "; ".join(refusals)


def _refuse(index: Index, rooms: dict[int, Room], class_id: int, amount: int) -> str | None:
    """Why these rooms do not give an amount of a class; None when they do."""
    name, room = index.classes.names[class_id], rooms.get(class_id)
    if room is None:
        return f"has no inventory of {name}"
    if room.fits(amount):
        return None
    if amount < room.min_unit:
        return f"{name}: {amount} asked, at least {room.min_unit} at once (min_unit)"
    if amount > room.max_unit:
        return f"{name}: {amount} asked, at most {room.max_unit} at once (max_unit)"
    if amount % room.step_size:
        return f"{name}: {amount} asked, only multiples of {room.step_size} are given (step_size)"
    return f"{name}: {amount} asked, {max(room.free, 0)} of {room.capacity} free"


def _judge_traits(index: Index, query: CandidatesQuery, group: Group, provider: Provider) -> str | None:
    names = index.traits.names
    refusals = [f"has the forbidden trait {names[trait]}" for trait in sorted(group.forbidden & provider.traits)]
    if group.is_granular:
        refusals.extend(_missing(index, group, provider.traits))
    return "; ".join(refusals) or None


def _missing(index: Index, group: Group, traits: frozenset[int] | set[int]) -> Iterator[str]:
    for any_of in group.required:
        if any_of.isdisjoint(traits):
            names = sorted(index.traits.names[trait] for trait in any_of)
            yield f"lacks the trait {names[0]}" if len(names) == 1 else f"has none of the traits {', '.join(names)}"


def _judge_aggregates(index: Index, query: CandidatesQuery, group: Group, provider: Provider) -> str | None:
    own = memberships(index, group, provider)
    refusals = [f"is in the forbidden aggregate {aggregate}" for aggregate in sorted(group.not_member_of & own)]
    for any_of in group.member_of:
        if any_of.isdisjoint(own):
            which = "the aggregate" if len(any_of) == 1 else "any of the aggregates"
            refusals.append(f"is not in {which} {', '.join(sorted(any_of))}")
    return "; ".join(refusals) or None


def _judge_tree(index: Index, query: CandidatesQuery, group: Group, provider: Provider) -> str | None:
    if group.tree is None or group.tree == provider.root_id:
        return None
    if group.tree < 0:
        return "the provider that in_tree names does not exist"
    return f"is not in the tree of {index.providers[group.tree].uuid} (in_tree)"


_GROUP_STAGES = (
    ("resource_class", _judge_classes),
    ("trait", _judge_traits),
    ("aggregate", _judge_aggregates),
    ("in_tree", _judge_tree),
)


# -- a tree for the whole query --------------------------------------------------------------------


def _roots(index: Index, query: CandidatesQuery, remaining: dict[str, set[int]]) -> list[Provider]:
    """Roots of all trees, but for those of which nothing was left for any group."""
    roots: dict[int, None] = {}
    for numbers in remaining.values():
        for number in numbers:
            provider = index.providers[number]
            roots[provider.root_id] = None
            if number in index.sharing():
                # A sharing provider stands for every tree that has an aggregate with it.
                for aggregate in provider.aggregates:
                    for member in index.by_aggregate.get(aggregate, ()):
                        roots[index.providers[member].root_id] = None
    return [index.providers[number] for number in sorted(roots)]


def _judge_root(index: Index, query: CandidatesQuery, root: Provider, remaining: dict[str, set[int]]) -> str | None:
    names = index.traits.names
    refusals = [f"the root lacks the trait {names[trait]}" for trait in sorted(query.root_required - root.traits)]
    refusals.extend(
        f"the root has the forbidden trait {names[trait]}" for trait in sorted(query.root_forbidden & root.traits)
    )
    return "; ".join(refusals) or None


def _judge_sharing(index: Index, query: CandidatesQuery, root: Provider, remaining: dict[str, set[int]]) -> str | None:
    """Whether the tree, with what is shared with it, has something for each group and class."""
    tree = index.tree(root.id)
    shared = sharing_with(index, tree)
    reachable = {provider.id for provider in (*tree.providers, *shared)}
    refusals = []
    for group in query.groups:
        able = remaining[group.suffix] & reachable
        label = f"group {group.suffix}" if group.is_granular else "the unsuffixed group"
        if group.is_granular:
            if not able:
                refusals.append(f"no provider of the tree, nor any that shares with it, meets {label}")
            continue
        for class_id, amount in group.resources:
            if not any(_refuse(index, index.rooms[number], class_id, amount) is None for number in able):
                refusals.append(_describe_lack(index, tree, class_id, amount))
    return "; ".join(refusals) or None


def _describe_lack(index: Index, tree: Tree, class_id: int, amount: int) -> str:
    """Why neither the tree nor what is shared with it gives an amount of a class."""
    name = index.classes.names[class_id]
    holders = [p for p in (*tree.providers, *sharing_with(index, tree)) if class_id in index.rooms[p.id]]
    if not holders:
        return f"neither the tree nor what is shared with it has inventory of {name}"
    said = []
    for provider in holders[:3]:
        refusal = _refuse(index, index.rooms[provider.id], class_id, amount)
        said.append(f"{provider.name}: {refusal or f'{name} is free, but the provider was dropped before'}")
    more = f"; and {len(holders) - 3} more" if len(holders) > 3 else ""
    return f"{amount} {name} cannot be had ({'; '.join(said)}{more})"


def _judge_combination(
    index: Index, query: CandidatesQuery, root: Provider, remaining: dict[str, set[int]]
) -> str | None:
    """Whether at least one combination of the tree's providers meets all groups at once."""
    if next(Combiner(index, query, index.tree(root.id)).candidates(), None) is not None:
        return None
    causes = ["the providers that each group could have cannot be combined:"]
    unsuffixed = next((group for group in query.groups if not group.is_granular), None)
    if unsuffixed is not None and unsuffixed.required:
        causes.append("the unsuffixed group's required traits must be on the providers that give its resources;")
    if query.isolate:
        causes.append("group_policy=isolate asks for a provider of its own for each group;")
    if query.same_subtree:
        causes.append("same_subtree asks that one of the providers be above the others;")
    if not query.nested:
        causes.append("before 1.29 a tree takes part with one of its providers only;")
    causes.append("what the groups take together must be free on each provider")
    return " ".join(causes)


_TREE_STAGES = (
    ("tree", _judge_root),
    ("sharing", _judge_sharing),
    ("combination", _judge_combination),
)
