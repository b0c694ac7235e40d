"""Whether a provider may take part in a request group: the rules a search and its explanation share.

Source: Placement API reference, "Allocation Candidates"; Placement user guide, "Provider Tree".
"""

from nova.placement.index import Index, Tree
from nova.placement.structs import Group, Provider


def memberships(index: Index, group: Group, provider: Provider) -> frozenset[str]:
    """The aggregates a provider counts as a member of.

    To the unsuffixed group those of its root span the whole tree; to a granular group, which is
    about one provider, they do not.
    """
    if provider.parent_id is None or group.is_granular:
        return provider.aggregates
    return provider.aggregates | index.providers[provider.root_id].aggregates


def may_use(index: Index, group: Group, provider: Provider) -> bool:
    """Whether a provider may take part in a group, its room and required traits aside."""
    if group.forbidden and not group.forbidden.isdisjoint(provider.traits):
        return False
    if group.tree is not None and group.tree != provider.root_id:
        return False
    if group.member_of or group.not_member_of:
        own = memberships(index, group, provider)
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
