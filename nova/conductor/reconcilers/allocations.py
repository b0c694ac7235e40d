"""Gives back allocations whose server is gone.

A claim that was answered after its conductor had died, or an undo that was given up, leaves
resources allocated to nobody.
"""

from nova.conductor.core import Core
from nova.db import hosts, instances, server_migrations


def reconcile(core: Core) -> None:
    """Release what consumers hold on our nodes that are no servers of ours.

    Records come before allocations and go after them, so what is read second cannot be missing
    for a consumer seen first. Consumers of other types are other projects' business.
    """
    consumers: set[str] = set()
    for node in core.db.read(hosts.nodes):
        consumers |= set(core.step_context.placement.provider_allocations(node.uuid))
    known = core.db.read(instances.live_uuids) | core.db.read(server_migrations.holders)
    for consumer in consumers - known:
        core.step_context.placement.release(consumer)
