"""The frozen shapes of Placement's nouns, as read from its tables and as asked for by a request."""

from collections.abc import Mapping

import msgspec

# The largest whole number that every JSON reader takes for what it is.
_MOST = 2**53 - 1


class Inventory(msgspec.Struct, frozen=True, gc=False):
    """How much of one class a provider has.

    Amounts count in the class's unit. Source: Placement API reference, "Resource provider inventories".
    """

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = 2147483647
    step_size: int = 1
    allocation_ratio: float = 1.0

    @property
    def capacity(self) -> int:
        """The most that may be allocated: (total - reserved) * allocation_ratio, rounded down; as much as JSON carries exactly."""
        return min(int((self.total - self.reserved) * self.allocation_ratio), _MOST)


class Room(msgspec.Struct, gc=False):
    """One class of one provider with what is in use of it: the numbers a search compares.

    Changed by the index alone, while it holds its lock.
    """

    inventory: Inventory
    used: int
    capacity: int
    free: int
    min_unit: int
    max_unit: int
    step_size: int

    def fits(self, amount: int) -> bool:
        """Whether this amount can be taken at once, in one piece of the unit's steps."""
        return self.min_unit <= amount <= self.max_unit and amount <= self.free and amount % self.step_size == 0


class Provider(msgspec.Struct, frozen=True, gc=False):
    """One resource provider, but for its inventories."""

    id: int
    uuid: str
    name: str
    generation: int
    parent_id: int | None
    root_id: int
    traits: frozenset[int]
    aggregates: frozenset[str]
    updated_at: int


class Consumer(msgspec.Struct, frozen=True):
    """Who holds allocations, and what they are: provider id -> class id -> amount."""

    id: int
    uuid: str
    project_id: str
    user_id: str
    consumer_type: str | None
    generation: int
    updated_at: int
    held: Mapping[int, Mapping[int, int]]


class Claim(msgspec.Struct, frozen=True):
    """What one consumer shall hold from now on; nothing removes the consumer.

    resources is provider uuid -> class name -> amount. generation is the consumer's generation
    the caller knows, None when the consumer shall be new, and UNSET when the caller does not say.
    """

    consumer: str
    project_id: str
    user_id: str
    resources: Mapping[str, Mapping[str, int]]
    generation: int | msgspec.UnsetType | None = msgspec.UNSET
    consumer_type: str | msgspec.UnsetType | None = msgspec.UNSET


class Group(msgspec.Struct, frozen=True):
    """One request group of a candidates query, its names resolved to ids.

    Each of required is a set of traits of which one must be there, each of member_of a set of
    aggregates of which one must hold the provider (or its root). tree is the root that in_tree
    names: None when not asked for, -1 when no such provider exists.
    """

    suffix: str
    resources: tuple[tuple[int, int], ...] = ()
    required: tuple[frozenset[int], ...] = ()
    forbidden: frozenset[int] = frozenset()
    member_of: tuple[frozenset[str], ...] = ()
    not_member_of: frozenset[str] = frozenset()
    tree: int | None = None

    @property
    def is_granular(self) -> bool:
        """Whether one provider must answer for the whole group."""
        return self.suffix != ""


class CandidatesQuery(msgspec.Struct, frozen=True):
    """A whole candidates query."""

    groups: tuple[Group, ...]
    isolate: bool = False
    limit: int | None = None
    root_required: frozenset[int] = frozenset()
    root_forbidden: frozenset[int] = frozenset()
    same_subtree: tuple[frozenset[str], ...] = ()
    nested: bool = True


class Pick(msgspec.Struct, frozen=True, gc=False):
    """One provider chosen for a granular group, or for one class of the unsuffixed group."""

    suffix: str
    provider_id: int
    resources: tuple[tuple[int, int], ...]


# One way to meet a query: a pick for each of its parts.
Candidate = tuple[Pick, ...]
