"""Allocations: what consumers hold of providers. A claim is exact or does not happen.

The writer is alone while it works (see nova.placement.store), so the usage it finds in the index is
the usage it commits against. Freeing is always possible.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam, func, select

from nova.placement import models as m
from nova.placement.database import Statement
from nova.placement.errors import BadRequest, ConcurrentUpdate, Conflict, NotFound
from nova.placement.index import Index
from nova.placement.store import Store, Transaction
from nova.placement.structs import Claim, Consumer, Room

LOG = logging.getLogger(__name__)

_CONSUMERS = m.Consumer.__table__
_ALLOCATIONS = m.Allocation.__table__

_CONSUMER = (
    select(_CONSUMERS, _ALLOCATIONS.c.provider_id, _ALLOCATIONS.c.class_id, _ALLOCATIONS.c.used)
    .select_from(_CONSUMERS.outerjoin(_ALLOCATIONS, _ALLOCATIONS.c.consumer_id == _CONSUMERS.c.id))
    .order_by(_CONSUMERS.c.id, _ALLOCATIONS.c.provider_id, _ALLOCATIONS.c.class_id)
)
_CONSUMERS_NAMED = _CONSUMER.where(_CONSUMERS.c.uuid.in_(bindparam("uuids", expanding=True)))
_ONE_CONSUMER = Statement(_CONSUMER.where(_CONSUMERS.c.uuid == bindparam("uuid")))
_OF_PROVIDER = (
    select(_CONSUMERS.c.uuid, _CONSUMERS.c.generation, _ALLOCATIONS.c.class_id, _ALLOCATIONS.c.used)
    .select_from(_ALLOCATIONS.join(_CONSUMERS, _ALLOCATIONS.c.consumer_id == _CONSUMERS.c.id))
    .where(_ALLOCATIONS.c.provider_id == bindparam("provider_id"))
    .order_by(_CONSUMERS.c.id, _ALLOCATIONS.c.class_id)
)
_INSERT_CONSUMER = Statement(
    sa.insert(_CONSUMERS).values({column.name: bindparam(column.name) for column in _CONSUMERS.c})
)
_INSERT_ALLOCATION = Statement(
    sa.insert(_ALLOCATIONS).values({column.name: bindparam(column.name) for column in _ALLOCATIONS.c})
)
_DELETE_ALLOCATIONS = Statement(sa.delete(_ALLOCATIONS).where(_ALLOCATIONS.c.consumer_id == bindparam("consumer")))
_DELETE_CONSUMER = Statement(sa.delete(_CONSUMERS).where(_CONSUMERS.c.id == bindparam("consumer")))
_UPDATE_CONSUMER = Statement(
    sa.update(_CONSUMERS)
    .where(_CONSUMERS.c.id == bindparam("consumer"))
    .values(
        generation=_CONSUMERS.c.generation + sa.literal_column("1"),
        project_id=bindparam("project"),
        user_id=bindparam("user"),
        consumer_type=bindparam("type"),
        updated_at=bindparam("when"),
    )
)


def find_consumers(connection: sa.Connection, uuids: Sequence[str]) -> dict[str, Consumer]:
    """The consumers that exist, with what they hold."""
    found: dict[str, tuple[sa.Row[Any], dict[int, dict[int, int]]]] = {}
    if len(uuids) == 1:
        rows = _ONE_CONSUMER.run(connection, {"uuid": uuids[0]})
    else:
        rows = connection.execute(_CONSUMERS_NAMED, {"uuids": list(uuids)})
    for row in rows:
        _, held = found.setdefault(row.uuid, (row, {}))
        if row.provider_id is not None:
            held.setdefault(row.provider_id, {})[row.class_id] = row.used
    return {
        uuid: Consumer(
            row.id, uuid, row.project_id, row.user_id, row.consumer_type, row.generation, row.updated_at, held
        )
        for uuid, (row, held) in found.items()
    }


def list_of_provider(connection: sa.Connection, provider_id: int) -> dict[str, tuple[int, dict[int, int]]]:
    """Who holds what of a provider: consumer uuid -> (its generation, class id -> amount)."""
    held: dict[str, tuple[int, dict[int, int]]] = {}
    for uuid, generation, class_id, used in connection.execute(_OF_PROVIDER, {"provider_id": provider_id}):
        held.setdefault(uuid, (generation, {}))[1][class_id] = used
    return held


def sum_usage(
    connection: sa.Connection, project_id: str, user_id: str | None, consumer_type: str | None
) -> tuple[dict[str | None, dict[int, int]], dict[str | None, int]]:
    """What a project (and user) holds by consumer type and class, and how many consumers that are.

    consumer_type narrows to one type; "all" sums every type under that name, "unknown" means
    consumers that have none.
    """
    own = [_CONSUMERS.c.project_id == project_id]
    if user_id is not None:
        own.append(_CONSUMERS.c.user_id == user_id)
    if consumer_type == "unknown":
        own.append(_CONSUMERS.c.consumer_type.is_(None))
    elif consumer_type not in (None, "all"):
        own.append(_CONSUMERS.c.consumer_type == consumer_type)
    kind = sa.literal("all") if consumer_type == "all" else _CONSUMERS.c.consumer_type
    by_kind = [] if consumer_type == "all" else [kind]
    joined = _CONSUMERS.join(_ALLOCATIONS, _ALLOCATIONS.c.consumer_id == _CONSUMERS.c.id)
    sums = select(kind, _ALLOCATIONS.c.class_id, func.sum(_ALLOCATIONS.c.used)).select_from(joined).where(*own)
    counts = select(kind, func.count(_CONSUMERS.c.id)).where(*own)
    usage: dict[str | None, dict[int, int]] = {}
    for name, class_id, used in connection.execute(sums.group_by(*by_kind, _ALLOCATIONS.c.class_id)):
        usage.setdefault(name, {})[class_id] = int(used)
    count: dict[str | None, int] = dict(
        connection.execute(counts.group_by(*by_kind) if by_kind else counts).tuples().all()
    )
    return usage, {name: number for name, number in count.items() if number}


def remove_consumer(tx: Transaction, uuid: str) -> None:
    """Give back all a consumer holds, and forget it."""
    consumer = find_consumers(tx.connection, [uuid]).get(uuid)
    if consumer is None:
        raise NotFound(f"No allocations for consumer '{uuid}'")
    _release(tx, consumer)


def write_claims(store: Store, claims: list[Claim]) -> None:
    """claim() in a transaction of its own.

    Consumers that shall be new are taken to be new: only when the database knows one of them after
    all is it asked about them first. Most claims are of that kind.
    """
    if all(request.generation is None and request.resources for request in claims):
        try:
            store.write(lambda tx: claim(tx, claims, looks_first=False))
            return
        except sa.exc.IntegrityError:
            LOG.debug("a consumer that should be new is not")
    store.write(lambda tx: claim(tx, claims))


def claim(tx: Transaction, claims: list[Claim], looks_first: bool = True) -> None:
    """Make each consumer hold exactly what its claim says, all of them or none.

    Raises BadRequest for an unknown provider or class, ConcurrentUpdate for a consumer that is not
    of the generation its claim names, Conflict when there is no room.
    """
    consumers = find_consumers(tx.connection, [c.consumer for c in claims]) if looks_first else {}
    wanted = [(c, consumers.get(c.consumer), _resolve(tx.index, c)) for c in claims]
    for request, consumer, _ in wanted:
        _check_consumer(request, consumer)
    difference = _difference(wanted)
    for _, _, resources in wanted:
        _check_room(tx.index, resources, difference, tx.pending_rooms)
    for request, consumer, resources in wanted:
        _write(tx, request, consumer, resources)
    # A provider's generation moves with what is claimed of it, and with a consumer's last release.
    bumped = {number for _, consumer, new in wanted for number in (new or (consumer.held if consumer else ()))}
    for provider_id, amounts in difference.items():
        tx.touch_usage(provider_id, 1 if provider_id in bumped else 0, amounts)


def _resolve(index: Index, request: Claim) -> dict[int, dict[int, int]]:
    """What is claimed, by provider id and class id."""
    resolved: dict[int, dict[int, int]] = {}
    for uuid, resources in request.resources.items():
        provider = index.find(uuid)
        if provider is None:
            raise BadRequest(f"Allocation for resource provider '{uuid}' that does not exist.")
        held = resolved.setdefault(provider.id, {})
        for name, amount in resources.items():
            class_id = index.classes.ids.get(name)
            if class_id is None:
                raise BadRequest(
                    f"Unable to allocate inventory for consumer {request.consumer}: No such resource class {name}."
                )
            held[class_id] = held.get(class_id, 0) + amount
    return resolved


def _check_consumer(request: Claim, consumer: Consumer | None) -> None:
    if request.generation is UNSET:
        return
    current = None if consumer is None else consumer.generation
    if request.generation != current:
        expected = "null" if current is None else current
        raise ConcurrentUpdate(f"consumer generation conflict - expected {expected} but got {request.generation}")


def _difference(
    wanted: list[tuple[Claim, Consumer | None, dict[int, dict[int, int]]]],
) -> dict[int, dict[int, int]]:
    """By how much the usage of each provider and class changes when all claims are written."""
    difference: dict[int, dict[int, int]] = {}
    for _, consumer, resources in wanted:
        for provider_id, amounts in resources.items():
            classes = difference.setdefault(provider_id, {})
            for class_id, amount in amounts.items():
                classes[class_id] = classes.get(class_id, 0) + amount
        for provider_id, held in (consumer.held if consumer else {}).items():
            classes = difference.setdefault(provider_id, {})
            for class_id, amount in held.items():
                classes[class_id] = classes.get(class_id, 0) - amount
    return difference


def _check_room(
    index: Index,
    resources: Mapping[int, Mapping[int, int]],
    difference: Mapping[int, Mapping[int, int]],
    pending: Mapping[int, Mapping[int, Room]],
) -> None:
    """Refuse amounts that the inventory does not give in one piece, or has no room for.

    pending holds the rooms of providers whose inventories this same transaction changes.
    """
    for provider_id, amounts in resources.items():
        rooms = pending.get(provider_id, index.rooms[provider_id])
        for class_id, amount in amounts.items():
            name, uuid = index.classes.names[class_id], index.providers[provider_id].uuid
            failed = (
                f"Unable to allocate inventory: Unable to create allocation for '{name}' on resource provider '{uuid}'."
            )
            room = rooms.get(class_id)
            if room is None:
                raise Conflict(
                    f"Unable to allocate inventory: Inventory for '{name}' on resource provider '{uuid}' invalid."
                )
            if not room.min_unit <= amount <= room.max_unit or amount % room.step_size:
                raise Conflict(f"{failed} The requested amount would violate inventory constraints.")
            more = difference[provider_id][class_id]
            # Whoever takes no more than before may stay where an operator has since made less room.
            if more > 0 and room.used + more > room.capacity:
                raise Conflict(f"{failed} The requested amount would exceed the capacity.")


def _write(tx: Transaction, request: Claim, consumer: Consumer | None, resources: dict[int, dict[int, int]]) -> None:
    if not resources:
        if consumer is not None:
            _forget(tx, consumer.id)
        return
    if consumer is None:
        number = tx.new_id()
        row = {
            "id": number,
            "uuid": request.consumer,
            "project_id": request.project_id,
            "user_id": request.user_id,
            "consumer_type": None if request.consumer_type is UNSET else request.consumer_type,
            "generation": 1,
            "updated_at": tx.when,
        }
        tx.later(_INSERT_CONSUMER, row)
    else:
        number = consumer.id
        # A caller too old to know of types leaves the type alone.
        kind = consumer.consumer_type if request.consumer_type is UNSET else request.consumer_type
        tx.later(
            _UPDATE_CONSUMER,
            {
                "consumer": number,
                "project": request.project_id,
                "user": request.user_id,
                "type": kind,
                "when": tx.when,
            },
        )
        tx.later(_DELETE_ALLOCATIONS, {"consumer": number})
    for provider_id, amounts in resources.items():
        for class_id, amount in amounts.items():
            held = {"consumer_id": number, "provider_id": provider_id, "class_id": class_id, "used": amount}
            tx.later(_INSERT_ALLOCATION, held)


def _release(tx: Transaction, consumer: Consumer) -> None:
    _forget(tx, consumer.id)
    for provider_id, amounts in consumer.held.items():
        tx.touch_usage(provider_id, 0, {class_id: -amount for class_id, amount in amounts.items()})


def _forget(tx: Transaction, consumer_id: int) -> None:
    tx.later(_DELETE_ALLOCATIONS, {"consumer": consumer_id})
    tx.later(_DELETE_CONSUMER, {"consumer": consumer_id})
