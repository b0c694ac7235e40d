"""Inventories of a provider: what it has of each resource class.

Each function is the work of one write transaction; inventory that is in use cannot be taken away.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from nova.placement import models as m
from nova.placement.errors import BadRequest, ConcurrentUpdate, InventoryInUse, NotFound
from nova.placement.index import Index, make_room
from nova.placement.providers import check_generation, get_provider
from nova.placement.store import Transaction
from nova.placement.structs import Inventory, Provider, Room


def check_inventory(
    inventory: Inventory, class_name: str, provider: Provider, may_reserve_all: bool, verb: str
) -> None:
    """Refuse an inventory that reserves more than there is."""
    limit = inventory.total + 1 if may_reserve_all else inventory.total
    if inventory.reserved >= limit:
        relation = "greater than total" if may_reserve_all else "greater than or equal to total"
        raise BadRequest(
            f"Unable to {verb} inventory for resource provider {provider.uuid}: Invalid inventory for "
            f"'{class_name}' on resource provider '{provider.uuid}'. The reserved value is {relation}."
        )


def add_inventory(
    tx: Transaction, uuid: str, class_name: str, inventory: Inventory, generation: int | None, may_reserve_all: bool
) -> int:
    """Add one class to a provider; the provider's new generation."""
    provider = get_provider(tx.index, uuid)
    class_id = tx.index.classes.ids.get(class_name)
    if class_id is None:
        raise BadRequest(f"No such resource class {class_name}.")
    check_inventory(inventory, class_name, provider, may_reserve_all, "create")
    if generation is not None:
        check_generation(provider, generation)
    if class_id in tx.index.rooms[provider.id]:
        raise ConcurrentUpdate(
            f"Update conflict: Inventory of {class_name} already exists for resource provider {uuid}."
        )
    _insert(tx, provider.id, {class_id: inventory})
    touch_rooms(tx, provider, {**_inventories(tx.index, provider), class_id: inventory})
    return provider.generation + 1


def update_inventory(
    tx: Transaction, uuid: str, class_name: str, inventory: Inventory, generation: int, may_reserve_all: bool
) -> int:
    """Change one class a provider has; the provider's new generation."""
    provider = get_provider(tx.index, uuid)
    check_generation(provider, generation)
    check_inventory(inventory, class_name, provider, may_reserve_all, "update")
    class_id = tx.index.classes.ids.get(class_name)
    if class_id is None:
        raise NotFound(f"No such resource class {class_name}.")
    if class_id not in tx.index.rooms[provider.id]:
        raise BadRequest(f"No inventory record with resource class for resource provider {uuid}: {class_name}")
    _update(tx, provider.id, class_id, inventory)
    touch_rooms(tx, provider, {**_inventories(tx.index, provider), class_id: inventory})
    return provider.generation + 1


def set_inventories(
    tx: Transaction, uuid: str, inventories: Mapping[str, Inventory], generation: int, may_reserve_all: bool
) -> int:
    """Replace all a provider has; its new generation."""
    provider = get_provider(tx.index, uuid)
    check_generation(provider, generation)
    resolved = resolve(tx.index, provider, inventories, may_reserve_all)
    check_removable(tx.index, provider, set(tx.index.rooms[provider.id]) - resolved.keys(), "update conflict: ")
    replace_rows(tx, provider, resolved)
    touch_rooms(tx, provider, resolved)
    return provider.generation + 1


def resolve(
    index: Index, provider: Provider, inventories: Mapping[str, Inventory], may_reserve_all: bool
) -> dict[int, Inventory]:
    """The inventories by class id, each checked."""
    resolved = {}
    for class_name, inventory in inventories.items():
        class_id = index.classes.ids.get(class_name)
        if class_id is None:
            raise BadRequest(
                f"Unknown resource class in inventory for resource provider {provider.uuid}: "
                f"No such resource class {class_name}."
            )
        check_inventory(inventory, class_name, provider, may_reserve_all, "update")
        resolved[class_id] = inventory
    return resolved


def check_removable(index: Index, provider: Provider, class_ids: set[int], prefix: str = "") -> None:
    """Refuse to take away inventory of which somebody holds some."""
    rooms = index.rooms[provider.id]
    used = [class_id for class_id in sorted(rooms) if class_id in class_ids and rooms[class_id].used]
    if used:
        names = ", ".join(index.classes.names[class_id] for class_id in used)
        raise InventoryInUse(f"{prefix}Inventory for '{names}' on resource provider '{provider.uuid}' in use.")


def replace_rows(tx: Transaction, provider: Provider, resolved: Mapping[int, Inventory]) -> None:
    """Make the rows of a provider's inventories equal to resolved, writing only what differs."""
    rooms = tx.index.rooms[provider.id]
    gone = [class_id for class_id in rooms if class_id not in resolved]
    if gone:
        tx.execute(sa.delete(m.Inventory).where(m.Inventory.provider_id == provider.id, m.Inventory.class_id.in_(gone)))
    for class_id, inventory in resolved.items():
        if class_id in rooms and rooms[class_id].inventory != inventory:
            _update(tx, provider.id, class_id, inventory)
    added = {class_id: inventory for class_id, inventory in resolved.items() if class_id not in rooms}
    if added:
        _insert(tx, provider.id, added)


def delete_inventory(tx: Transaction, uuid: str, class_name: str) -> None:
    """Take one class away from a provider."""
    provider = get_provider(tx.index, uuid)
    class_id = tx.index.classes.ids.get(class_name)
    if class_id is None or class_id not in tx.index.rooms[provider.id]:
        raise NotFound(f"No inventory of class {class_name} found for delete")
    check_removable(tx.index, provider, {class_id})
    tx.execute(sa.delete(m.Inventory).where(m.Inventory.provider_id == provider.id, m.Inventory.class_id == class_id))
    left = _inventories(tx.index, provider)
    del left[class_id]
    touch_rooms(tx, provider, left)


def delete_inventories(tx: Transaction, uuid: str) -> None:
    """Take everything away from a provider."""
    provider = get_provider(tx.index, uuid)
    check_removable(tx.index, provider, set(tx.index.rooms[provider.id]))
    tx.execute(sa.delete(m.Inventory).where(m.Inventory.provider_id == provider.id))
    touch_rooms(tx, provider, {})


def touch_rooms(
    tx: Transaction, provider: Provider, inventories: Mapping[int, Inventory], bump: int = 1
) -> dict[int, Room]:
    """Note that a provider now has these inventories; the rooms they make with today's usage."""
    before = tx.index.rooms[provider.id]
    rooms = {
        class_id: make_room(inventory, before[class_id].used if class_id in before else 0)
        for class_id, inventory in inventories.items()
    }
    tx.touch(provider.id, bump)
    tx.after_commit(lambda index: index.set_rooms(provider.id, rooms))
    return rooms


def _inventories(index: Index, provider: Provider) -> dict[int, Inventory]:
    return {class_id: room.inventory for class_id, room in index.rooms[provider.id].items()}


def _insert(tx: Transaction, provider_id: int, inventories: Mapping[int, Inventory]) -> None:
    rows = [
        {"provider_id": provider_id, "class_id": class_id, **_columns(inventory)}
        for class_id, inventory in inventories.items()
    ]
    tx.execute(sa.insert(m.Inventory), rows)


def _update(tx: Transaction, provider_id: int, class_id: int, inventory: Inventory) -> None:
    statement = sa.update(m.Inventory).where(m.Inventory.provider_id == provider_id, m.Inventory.class_id == class_id)
    tx.execute(statement.values(**_columns(inventory)))


def _columns(inventory: Inventory) -> dict[str, int | float]:
    return {
        "total": inventory.total,
        "reserved": inventory.reserved,
        "min_unit": inventory.min_unit,
        "max_unit": inventory.max_unit,
        "step_size": inventory.step_size,
        "allocation_ratio": inventory.allocation_ratio,
    }
