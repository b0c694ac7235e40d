"""Gives back allocations whose server is gone.

A claim that was answered after its conductor had died, or an undo that was given up, leaves
resources allocated to nobody.
"""

import logging

from nova.conductor.core import Core
from nova.db import hosts, instances, server_migrations

LOG = logging.getLogger(__name__)


def reconcile(core: Core) -> None:
    """Release what servers and migrations hold on our nodes that are over.

    Records come before allocations and go after them, so what is read second cannot be missing
    for a consumer seen first. Only consumers that are provably ours are released: by their type, and by a record.
    Others, such as another service's reservations, are named in the log.
    """
    consumers: set[str] = set()
    for node in core.db.read(hosts.nodes):
        consumers |= set(core.step_context.placement.provider_allocations(node.uuid))
    idle = consumers - core.db.read(instances.live_uuids) - core.db.read(server_migrations.holders)
    if not idle:
        return
    ours = {
        **dict.fromkeys(core.db.read(lambda c: instances.recorded(c, idle)), "INSTANCE"),
        **dict.fromkeys(core.db.read(lambda c: server_migrations.recorded(c, idle)), "MIGRATION"),
    }
    for consumer in sorted(idle):
        held = core.step_context.placement.allocations(consumer)
        if held.resources and held.consumer_type == ours.get(consumer):
            core.step_context.placement.release(consumer)
        elif held.resources:
            LOG.warning(
                "consumer %s of type %s holds %s, and no server does: it is left to its owner",
                consumer,
                held.consumer_type,
                held.resources,
            )
