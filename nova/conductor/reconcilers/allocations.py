"""Gives back allocations whose server is gone.

A claim that was answered after its conductor had died, or an undo that was given up, leaves
resources allocated to nobody.
"""

import logging
from collections.abc import Iterator
from typing import NamedTuple

from nova.clients.placement import PlacementClient
from nova.conductor.core import Core
from nova.db import hosts, instances, server_migrations
from nova.db.engine import Database

LOG = logging.getLogger(__name__)


class IdleConsumer(NamedTuple):
    """A consumer that holds resources of our nodes while no server or migration does. is_ours: provably: by its type,
    and by a record. held: amounts by provider and resource class."""

    uuid: str
    type: str | None
    held: dict[str, dict[str, int]]
    is_ours: bool


def reconcile(core: Core) -> None:
    """Release what servers and migrations hold on our nodes that are over.

    Others, such as another service's reservations, are named in the log.
    """
    for consumer in idle_consumers(core.db, core.step_context.placement):
        if consumer.is_ours:
            core.step_context.placement.release(consumer.uuid)
        else:
            LOG.warning(
                "consumer %s of type %s holds %s, and no server does: it is left to its owner",
                consumer.uuid,
                consumer.type,
                consumer.held,
            )


def idle_consumers(db: Database, placement: PlacementClient) -> Iterator[IdleConsumer]:
    """The consumers of our nodes that are idle.

    Records come before allocations and go after them, so what is read second cannot be missing
    for a consumer seen first.
    """
    consumers: set[str] = set()
    for node in db.read(hosts.nodes):
        consumers |= set(placement.provider_allocations(node.uuid))
    idle = consumers - db.read(instances.live_uuids) - db.read(server_migrations.holders)
    if not idle:
        return
    ours = {
        **dict.fromkeys(db.read(lambda c: instances.recorded(c, idle)), "INSTANCE"),
        **dict.fromkeys(db.read(lambda c: server_migrations.recorded(c, idle)), "MIGRATION"),
    }
    for consumer in sorted(idle):
        held = placement.allocations(consumer)
        if held.resources:
            yield IdleConsumer(consumer, held.consumer_type, held.resources, held.consumer_type == ours.get(consumer))
