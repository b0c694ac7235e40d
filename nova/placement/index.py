"""All providers in memory, as they are in the database: the read model of Placement.

It is exact by the clock: refresh() reads the clock's row and then only what changed since. Nothing
else changes the index, but for a writer that tells it after the commit what it has done.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam, func, select

from nova.placement import models as m
from nova.placement.database import Statement
from nova.placement.structs import Inventory, Provider, Room

SHARES = "MISC_SHARES_VIA_AGGREGATE"
# From so many changed providers on, reading everything costs less than reading them by id.
_MANY = 2000
# Fields of a provider by which nobody looks it up.
_LOOSE_FIELDS = frozenset({"generation", "updated_at"})

_PROVIDERS = m.ResourceProvider.__table__
_INVENTORIES = m.Inventory.__table__
_TRAITS = m.ProviderTrait.__table__
_AGGREGATES = m.ProviderAggregate.__table__
_ALLOCATIONS = m.Allocation.__table__

_CLOCK = select(m.Clock.version, m.Clock.names_version, m.Clock.removed_version)
_VERSION = Statement(select(m.Clock.version))
_ALL_PROVIDERS = select(_PROVIDERS).order_by(_PROVIDERS.c.id)
_CHANGED_PROVIDERS = _ALL_PROVIDERS.where(_PROVIDERS.c.version > bindparam("since"))
_REMOVED = select(m.RemovedProvider.provider_id).where(m.RemovedProvider.version > bindparam("since"))
_ALL_INVENTORIES = select(_INVENTORIES).order_by(_INVENTORIES.c.provider_id, _INVENTORIES.c.class_id)
_ALL_TRAITS = select(_TRAITS)
_ALL_AGGREGATES = select(_AGGREGATES)
_ALL_USAGE = select(_ALLOCATIONS.c.provider_id, _ALLOCATIONS.c.class_id, func.sum(_ALLOCATIONS.c.used)).group_by(
    _ALLOCATIONS.c.provider_id, _ALLOCATIONS.c.class_id
)
_CLASSES = select(m.ResourceClass.id, m.ResourceClass.name, m.ResourceClass.updated_at).order_by(m.ResourceClass.id)
_TRAIT_NAMES = select(m.Trait.id, m.Trait.name, m.Trait.updated_at).order_by(m.Trait.id)


class Names:
    """Names and ids of one kind, both ways, with the time of each one's last change."""

    def __init__(self, rows: list[tuple[int, str, int]]) -> None:
        self.ids = {name: number for number, name, _ in rows}
        self.names = {number: name for number, name, _ in rows}
        self.updated_at = {number: when for number, _, when in rows}


class Tree:
    """The providers of one tree, parents before children."""

    __slots__ = ("aggregates", "parents", "providers", "root_id")

    def __init__(self, root_id: int, providers: list[Provider]) -> None:
        self.root_id = root_id
        self.providers = providers
        self.parents = {p.id: p.parent_id for p in providers}
        self.aggregates = frozenset().union(*(p.aggregates for p in providers))


class Index:
    """See the module. Not thread-safe: the store holds a lock around every use."""

    def __init__(self) -> None:
        self.version = -1
        self.classes = Names([])
        self.traits = Names([])
        self.providers: dict[int, Provider] = {}
        self.rooms: dict[int, dict[int, Room]] = {}
        self.by_uuid: dict[str, int] = {}
        self.by_name: dict[str, int] = {}
        self.children: dict[int, dict[int, None]] = {}
        # Members of each tree by its root; dicts stand in for ordered sets.
        self.members: dict[int, dict[int, None]] = {}
        self.by_class: dict[int, dict[int, None]] = {}
        self.by_aggregate: dict[str, dict[int, None]] = {}
        self.by_trait: dict[int, dict[int, None]] = {}
        self._trees: dict[int, Tree] = {}

    # -- reading -----------------------------------------------------------------------------------

    def find(self, uuid: str) -> Provider | None:
        number = self.by_uuid.get(uuid)
        return None if number is None else self.providers[number]

    def tree(self, root_id: int) -> Tree:
        """The root and all below it, breadth first; kept until the tree changes."""
        found = self._trees.get(root_id)
        if found is None:
            ordered: list[Provider] = []
            pending = [root_id]
            while pending:
                number = pending.pop(0)
                ordered.append(self.providers[number])
                pending.extend(self.children.get(number, ()))
            found = self._trees[root_id] = Tree(root_id, ordered)
        return found

    def sharing(self) -> dict[int, None]:
        """Providers that share what they have with the members of their aggregates."""
        return self.by_trait.get(self.traits.ids.get(SHARES, -1), {})

    def is_inside(self, number: int, ancestor: int) -> bool:
        """Whether a provider is in the subtree below (and with) ancestor."""
        current: int | None = number
        while current is not None:
            if current == ancestor:
                return True
            current = self.providers[current].parent_id
        return False

    # -- keeping up --------------------------------------------------------------------------------

    def is_current(self, connection: sa.Connection) -> bool:
        """Whether nobody has written since; one query."""
        return bool(_VERSION.run(connection).scalar_one() == self.version)

    def refresh(self, connection: sa.Connection, upto: int | None = None) -> None:
        """Read what changed. The caller has begun a transaction that sees one moment.

        A writer gives upto, the version before its own: its clock is already ahead of it.
        """
        clock = connection.execute(_CLOCK).one()
        version = clock.version if upto is None else upto
        if version == self.version:
            return
        if clock.names_version > self.version:
            self.classes = Names(list(connection.execute(_CLASSES).tuples()))
            self.traits = Names(list(connection.execute(_TRAIT_NAMES).tuples()))
        if self.version < 0:
            self._load_all(connection)
        else:
            self._load_changes(connection, removed=clock.removed_version > self.version)
        self.version = version

    # -- told by writers, after the commit ---------------------------------------------------------

    def add(self, provider: Provider, rooms: dict[int, Room]) -> None:
        """A provider that was not here."""
        self._place(provider)
        self.rooms[provider.id] = rooms
        for class_id in rooms:
            self.by_class.setdefault(class_id, {})[provider.id] = None

    def change(self, number: int, **fields: Any) -> None:
        """A provider is as before but for these fields."""
        old = self.providers[number]
        new = msgspec.structs.replace(old, **fields)
        self._trees.pop(old.root_id, None)
        if fields.keys() <= _LOOSE_FIELDS:
            self.providers[number] = new
            return
        self._displace(old)
        self._place(new)

    def set_rooms(self, number: int, rooms: dict[int, Room]) -> None:
        """A provider has these inventories and no others."""
        for class_id in self.rooms[number]:
            if class_id not in rooms:
                _discard(self.by_class, class_id, number)
        self.rooms[number] = rooms
        for class_id in rooms:
            self.by_class.setdefault(class_id, {})[number] = None

    def add_usage(self, provider_id: int, class_id: int, difference: int) -> None:
        """So much more of a class is in use."""
        room = self.rooms[provider_id].get(class_id)
        # A reshape may take the last use of a class and its inventory away in one step.
        if room is not None:
            room.used += difference
            room.free -= difference

    # -- reading the database ----------------------------------------------------------------------

    def _load_all(self, connection: sa.Connection) -> None:
        rows = connection.execute(_ALL_PROVIDERS).all()
        details = _details(connection, None)
        # Only now, so that a connection lost half-way leaves the index as it was.
        kept: tuple[dict[Any, Any], ...] = (
            self.providers, self.rooms, self.by_uuid, self.by_name, self.children, self.members, self.by_class,
            self.by_aggregate, self.by_trait, self._trees,
        )  # fmt: skip
        for one in kept:
            one.clear()
        self._put(rows, *details)

    def _load_changes(self, connection: sa.Connection, removed: bool) -> None:
        since = {"since": self.version}
        if removed:
            for (number,) in connection.execute(_REMOVED, since):
                self._drop(number)
        rows = connection.execute(_CHANGED_PROVIDERS, since).all()
        shaped = [row for row in rows if row.shape_version > self.version or row.id not in self.providers]
        if len(rows) > _MANY:
            self._load_all(connection)
            return
        for row in rows:
            if row.id in self.providers:
                self.change(row.id, generation=row.generation, updated_at=row.updated_at)
        if shaped:
            for row in shaped:
                self._drop(row.id)
            self._put(shaped, *_details(connection, [row.id for row in shaped]))
        used = [row.id for row in rows if row.shape_version <= self.version]
        if used:
            self._set_usage(used, _usage(connection, used))

    def _put(
        self,
        rows: Sequence[sa.Row[Any]],
        inventories: dict[int, dict[int, Inventory]],
        traits: dict[int, set[int]],
        aggregates: dict[int, set[str]],
        usage: dict[tuple[int, int], int],
    ) -> None:
        # Most providers have the same traits and aggregates as others: one set serves them all.
        same: dict[frozenset[Any], frozenset[Any]] = {}
        nothing: frozenset[Any] = frozenset()
        for row in rows:
            own_traits = frozenset(traits.get(row.id, nothing))
            own_aggregates = frozenset(aggregates.get(row.id, nothing))
            provider = Provider(
                row.id,
                row.uuid,
                row.name,
                row.generation,
                row.parent_id,
                row.root_id,
                same.setdefault(own_traits, own_traits),
                same.setdefault(own_aggregates, own_aggregates),
                row.updated_at,
            )
            rooms = {
                class_id: make_room(inventory, usage.get((row.id, class_id), 0))
                for class_id, inventory in inventories.get(row.id, {}).items()
            }
            self.add(provider, rooms)

    def _place(self, provider: Provider) -> None:
        self.providers[provider.id] = provider
        self.by_uuid[provider.uuid] = provider.id
        self.by_name[provider.name] = provider.id
        self.members.setdefault(provider.root_id, {})[provider.id] = None
        self._trees.pop(provider.root_id, None)
        if provider.parent_id is not None:
            self.children.setdefault(provider.parent_id, {})[provider.id] = None
        for trait in provider.traits:
            self.by_trait.setdefault(trait, {})[provider.id] = None
        for aggregate in provider.aggregates:
            self.by_aggregate.setdefault(aggregate, {})[provider.id] = None

    def _drop(self, number: int) -> None:
        provider = self.providers.pop(number, None)
        if provider is None:
            return
        self._displace(provider)
        for class_id in self.rooms.pop(number, {}):
            _discard(self.by_class, class_id, number)

    def _displace(self, provider: Provider) -> None:
        number = provider.id
        self._trees.pop(provider.root_id, None)
        # Another provider may already have the name.
        if self.by_name.get(provider.name) == number:
            del self.by_name[provider.name]
        del self.by_uuid[provider.uuid]
        _discard(self.members, provider.root_id, number)
        if provider.parent_id is not None:
            _discard(self.children, provider.parent_id, number)
        for trait in provider.traits:
            _discard(self.by_trait, trait, number)
        for aggregate in provider.aggregates:
            _discard(self.by_aggregate, aggregate, number)

    def _set_usage(self, numbers: list[int], usage: dict[tuple[int, int], int]) -> None:
        for number in numbers:
            for class_id, room in self.rooms[number].items():
                room.used = usage.get((number, class_id), 0)
                room.free = room.capacity - room.used


def _discard(groups: dict[Any, Any], key: object, number: int) -> None:
    group = groups.get(key)
    if group is not None:
        group.pop(number, None)
        if not group:
            del groups[key]


def make_room(inventory: Inventory, used: int) -> Room:
    """The room an inventory gives when so much of it is in use."""
    capacity = inventory.capacity
    return Room(inventory, used, capacity, capacity - used, inventory.min_unit, inventory.max_unit, inventory.step_size)


def _details(
    connection: sa.Connection, numbers: list[int] | None
) -> tuple[dict[int, dict[int, Inventory]], dict[int, set[int]], dict[int, set[str]], dict[tuple[int, int], int]]:
    """Inventories, traits, aggregates and usage of these providers, or of all."""
    inventories: dict[int, dict[int, Inventory]] = {}
    for row in connection.execute(_only(_ALL_INVENTORIES, _INVENTORIES, numbers)):
        inventories.setdefault(row[0], {})[row[1]] = Inventory(*row[2:])
    traits: dict[int, set[int]] = {}
    for provider_id, trait_id in connection.execute(_only(_ALL_TRAITS, _TRAITS, numbers)):
        traits.setdefault(provider_id, set()).add(trait_id)
    aggregates: dict[int, set[str]] = {}
    for provider_id, aggregate in connection.execute(_only(_ALL_AGGREGATES, _AGGREGATES, numbers)):
        aggregates.setdefault(provider_id, set()).add(aggregate)
    return inventories, traits, aggregates, _usage(connection, numbers)


def _usage(connection: sa.Connection, numbers: list[int] | None) -> dict[tuple[int, int], int]:
    rows = connection.execute(_only(_ALL_USAGE, _ALLOCATIONS, numbers))
    return {(provider_id, class_id): int(used) for provider_id, class_id, used in rows}


def _only(statement: sa.Select[Any], table: sa.Table, numbers: list[int] | None) -> sa.Select[Any]:
    return statement if numbers is None else statement.where(table.c.provider_id.in_(numbers))
