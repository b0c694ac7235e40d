"""Resource providers: making, renaming, moving and removing them, their traits and aggregates.

Each function is the work of one write transaction.
"""

import sqlalchemy as sa

from nova.placement import models as m
from nova.placement.errors import (
    BadRequest,
    ConcurrentUpdate,
    Conflict,
    DuplicateName,
    NotFound,
    ProviderHasChildren,
    ProviderInUse,
)
from nova.placement.index import Index
from nova.placement.store import Transaction
from nova.placement.structs import Provider

_PROVIDERS = m.ResourceProvider.__table__


def get_provider(index: Index, uuid: str, purpose: str = "") -> Provider:
    """The provider with this uuid; NotFound otherwise."""
    found = index.find(uuid)
    if found is None:
        raise NotFound(f"No resource provider with uuid {uuid} found{purpose}")
    return found


def check_generation(
    provider: Provider, generation: int, message: str = "resource provider generation conflict"
) -> None:
    """Raises ConcurrentUpdate where the provider has changed since the client read it, at this generation."""
    if provider.generation != generation:
        raise ConcurrentUpdate(message)


def create_provider(tx: Transaction, name: str, uuid: str, parent_uuid: str | None) -> None:
    """Add a provider, as a root or below its parent."""
    failed = f'Unable to create resource provider "{name}", {uuid}: '
    if parent_uuid == uuid:
        raise BadRequest(
            f"{failed}parent provider UUID cannot be same as UUID. Please set parent provider UUID to None if there is no parent."
        )
    parent = None
    if parent_uuid is not None:
        parent = tx.index.find(parent_uuid)
        if parent is None:
            raise BadRequest(f"{failed}parent provider UUID does not exist: {parent_uuid}")
    if uuid in tx.index.by_uuid:
        raise Conflict(f"Conflicting resource provider uuid: {uuid} already exists.")
    _check_name_is_free(tx.index, name, None)
    row = {
        "uuid": uuid,
        "name": name,
        "generation": 0,
        "parent_id": parent.id if parent else None,
        "root_id": parent.root_id if parent else None,
        "version": tx.version,
        "shape_version": tx.version,
        "updated_at": tx.when,
    }
    key = tx.execute(sa.insert(_PROVIDERS), row).inserted_primary_key
    assert key is not None
    number = key[0]
    if parent is None:
        tx.execute(sa.update(_PROVIDERS).where(_PROVIDERS.c.id == number).values(root_id=number))
    created = Provider(
        number,
        uuid,
        name,
        0,
        parent.id if parent else None,
        parent.root_id if parent else number,
        frozenset(),
        frozenset(),
        tx.when,
    )
    tx.after_commit(lambda index: index.add(created, {}))


def update_provider(
    tx: Transaction, uuid: str, name: str, parent_uuid: str | None, sets_parent: bool, may_move: bool
) -> None:
    """Rename a provider and, when sets_parent, put it below another one or make it a root.

    Before it may_move, a provider that has a parent keeps it.
    """
    provider = get_provider(tx.index, uuid)
    _check_name_is_free(tx.index, name, provider.id)
    parent_id, root_id = provider.parent_id, provider.root_id
    if sets_parent:
        parent_id, root_id = _new_place(tx.index, provider, parent_uuid, may_move)
    statement = sa.update(_PROVIDERS).where(_PROVIDERS.c.id == provider.id)
    tx.execute(statement.values(name=name, parent_id=parent_id, root_id=root_id))
    tx.touch(provider.id, bump=0)
    tx.after_commit(lambda index: index.change(provider.id, name=name, parent_id=parent_id, root_id=root_id))
    if root_id != provider.root_id:
        moved = [
            p for p in tx.index.members[provider.root_id] if p != provider.id and tx.index.is_inside(p, provider.id)
        ]
        if moved:
            tx.execute(sa.update(_PROVIDERS).where(_PROVIDERS.c.id.in_(moved)).values(root_id=root_id))
        for number in moved:
            tx.touch(number, bump=0)

        def follow(index: Index) -> None:
            for number in moved:
                index.change(number, root_id=root_id)

        tx.after_commit(follow)


def _new_place(index: Index, provider: Provider, parent_uuid: str | None, may_move: bool) -> tuple[int | None, int]:
    """Parent and root of a provider that is to be below parent_uuid."""
    failed = f"Unable to save resource provider {provider.uuid}: "
    if parent_uuid is None:
        if provider.parent_id is None:
            return None, provider.id
        if not may_move:
            raise BadRequest(f"{failed}un-parenting a provider is not currently allowed.")
        return None, provider.id
    parent = index.find(parent_uuid)
    if parent is None:
        raise BadRequest(f"{failed}parent provider UUID does not exist: {parent_uuid}")
    if provider.parent_id is not None and parent.id != provider.parent_id and not may_move:
        raise BadRequest(f"{failed}re-parenting a provider is not currently allowed.")
    if index.is_inside(parent.id, provider.id):
        raise BadRequest(f"{failed}creating loop in the provider tree is not allowed.")
    return parent.id, parent.root_id


def _check_name_is_free(index: Index, name: str, own_id: int | None) -> None:
    if index.by_name.get(name, own_id) != own_id:
        raise DuplicateName(f"Conflicting resource provider name: {name} already exists.")


def delete_provider(tx: Transaction, uuid: str) -> None:
    """Remove a provider that has no children and of which nobody holds anything."""
    provider = get_provider(tx.index, uuid, " for delete")
    if tx.index.children.get(provider.id):
        raise ProviderHasChildren(f"Unable to delete parent resource provider {uuid}: It has child resource providers.")
    if any(room.used for room in tx.index.rooms[provider.id].values()):
        raise ProviderInUse(f"Unable to delete resource provider {uuid}: Resource provider has allocations.")
    for model in (m.Inventory, m.ProviderTrait, m.ProviderAggregate):
        tx.execute(sa.delete(model).where(model.provider_id == provider.id))
    tx.execute(sa.update(_PROVIDERS).where(_PROVIDERS.c.id == provider.id).values(root_id=None))
    tx.execute(sa.delete(_PROVIDERS).where(_PROVIDERS.c.id == provider.id))
    tx.remove_provider(provider.id)


def set_traits(tx: Transaction, uuid: str, names: list[str], generation: int | None) -> int:
    """Replace a provider's traits; its new generation. None as generation asks for no check."""
    provider = get_provider(tx.index, uuid)
    if generation is not None:
        check_generation(
            provider,
            generation,
            "Resource provider's generation already changed. Please update the generation and try again.",
        )
    unknown = sorted(set(names) - tx.index.traits.ids.keys())
    if unknown:
        raise BadRequest(f"No such trait {', '.join(unknown)}")
    wanted = {tx.index.traits.ids[name] for name in names}
    if wanted == provider.traits:
        return provider.generation
    tx.execute(sa.delete(m.ProviderTrait).where(m.ProviderTrait.provider_id == provider.id))
    if wanted:
        rows = [{"provider_id": provider.id, "trait_id": trait} for trait in sorted(wanted)]
        tx.execute(sa.insert(m.ProviderTrait), rows)
    tx.touch(provider.id)
    tx.after_commit(lambda index: index.change(provider.id, traits=frozenset(wanted)))
    return provider.generation + 1


def set_aggregates(tx: Transaction, uuid: str, aggregates: list[str], generation: int | None) -> int:
    """Replace a provider's aggregates; its new generation.

    Without a generation (before 1.19) nothing is checked and the generation stays.
    """
    provider = get_provider(tx.index, uuid)
    bump = 0
    if generation is not None:
        check_generation(
            provider,
            generation,
            "Resource provider's generation already changed. Please update the generation and try again.",
        )
        bump = 1
    tx.execute(sa.delete(m.ProviderAggregate).where(m.ProviderAggregate.provider_id == provider.id))
    if aggregates:
        rows = [{"provider_id": provider.id, "aggregate": aggregate} for aggregate in sorted(set(aggregates))]
        tx.execute(sa.insert(m.ProviderAggregate), rows)
    tx.touch(provider.id, bump=bump)
    tx.after_commit(lambda index: index.change(provider.id, aggregates=frozenset(aggregates)))
    return provider.generation + bump
