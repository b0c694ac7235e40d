"""Reshaping: inventories of several providers and allocations of several consumers change as one.

Source: Placement API reference, "Reshaper".
"""

from collections.abc import Mapping

from nova.placement.allocations import claim
from nova.placement.errors import ConcurrentUpdate, InventoryInUse, UnknownProvider
from nova.placement.inventories import replace_rows, resolve, touch_rooms
from nova.placement.store import Transaction
from nova.placement.structs import Claim, Inventory


def reshape(
    tx: Transaction, inventories: Mapping[str, tuple[int, Mapping[str, Inventory]]], claims: list[Claim]
) -> None:
    """Set the inventories (provider uuid -> generation and inventories), then the claims, at once.

    The claims are checked against the new inventories. Inventory that goes away must be held by
    nobody once the claims are written: InventoryInUse otherwise.
    """
    gone: list[tuple[int, int]] = []
    for uuid, (generation, wanted) in inventories.items():
        provider = tx.index.find(uuid)
        if provider is None:
            raise UnknownProvider(
                f"Resource provider {uuid} in inventories not found: No resource provider with uuid {uuid} found"
            )
        if provider.generation != generation:
            raise ConcurrentUpdate(
                f"resource provider generation conflict for provider {uuid}: actual: {provider.generation}, given: {generation}"
            )
        resolved = resolve(tx.index, provider, wanted, may_reserve_all=True)
        gone.extend((provider.id, class_id) for class_id in tx.index.rooms[provider.id] if class_id not in resolved)
        replace_rows(tx, provider, resolved)
        # Clients count on two steps: to what old and new inventory have together, and on to the new.
        tx.pending_rooms[provider.id] = {
            **tx.index.rooms[provider.id],
            **touch_rooms(tx, provider, resolved, bump=2),
        }
    if claims:
        claim(tx, claims)
    for provider_id, class_id in gone:
        if tx.index.rooms[provider_id][class_id].used + tx.usage_difference(provider_id, class_id):
            name, uuid = tx.index.classes.names[class_id], tx.index.providers[provider_id].uuid
            raise InventoryInUse(f"update conflict: Inventory for '{name}' on resource provider '{uuid}' in use.")
