"""Lists providers that are as asked, each judged by itself: trees and sharing play no part here."""

from nova.placement.index import Index
from nova.placement.structs import Group, Provider

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nova.placement.api.queries import ProviderFilters


def list_providers(index: Index, filters: "ProviderFilters") -> list[Provider]:
    """Providers that pass every filter, oldest first."""
    group = filters.group
    return [
        index.providers[number]
        for number in _start(index, filters)
        if matches(index, index.providers[number], group)
        and (filters.name is None or index.providers[number].name == filters.name)
        and (filters.uuid is None or index.providers[number].uuid == filters.uuid)
    ]


def _start(index: Index, filters: "ProviderFilters") -> list[int]:
    """The providers worth looking at, by whichever filter leaves few."""
    if filters.uuid is not None:
        number = index.by_uuid.get(filters.uuid)
        return [] if number is None else [number]
    if filters.name is not None:
        number = index.by_name.get(filters.name)
        return [] if number is None else [number]
    if filters.group.tree is not None:
        return sorted(index.members.get(filters.group.tree, ()))
    return sorted(index.providers)


def matches(index: Index, provider: Provider, group: Group) -> bool:
    """Whether one provider alone meets a group: traits, aggregates, tree, and room for each amount."""
    rooms = index.rooms[provider.id]
    return (
        (group.tree is None or provider.root_id == group.tree)
        and all(not any_of.isdisjoint(provider.traits) for any_of in group.required)
        and group.forbidden.isdisjoint(provider.traits)
        and all(not any_of.isdisjoint(provider.aggregates) for any_of in group.member_of)
        and group.not_member_of.isdisjoint(provider.aggregates)
        and all(class_id in rooms and rooms[class_id].fits(amount) for class_id, amount in group.resources)
    )
