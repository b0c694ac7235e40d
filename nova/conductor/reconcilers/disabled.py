"""Says in Placement which hosts take no servers by an operator's word.

Whoever asks Placement for candidates can leave them out.
Source: compute administration guide, the trait COMPUTE_STATUS_DISABLED.
"""

import time

from nova.clients.placement.providers import DISABLED
from nova.conductor.core import Core
from nova.db import hosts

_LOOK_AGAIN_S = 300.0


class DisabledHosts:
    """The trait on the providers of disabled and forced-down hosts, and on no other host's."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._told: set[str] | None = None
        self._look_again_at = 0.0

    def reconcile(self) -> None:
        """Ask Placement when the hosts have changed, and now and then. Raises errors.Unavailable."""
        services = self._core.db.read(lambda c: hosts.services(c, binary="nova-compute"))
        disabled = {service.host for service in services if service.is_disabled or service.is_forced_down}
        wanted = {node.uuid for node in self._core.db.read(lambda c: hosts.nodes_of(c, disabled))}
        if wanted == self._told and time.monotonic() < self._look_again_at:
            return
        placement = self._core.step_context.placement
        marked = {provider.uuid for provider in placement.providers(required=DISABLED)}
        # Providers of others are theirs to mark.
        free = {node.uuid for node in self._core.db.read(hosts.nodes)} & marked - wanted
        are_there = [placement.set_trait(uuid, DISABLED, uuid in wanted) for uuid in sorted(wanted - marked | free)]
        self._told = wanted if all(are_there) else None
        self._look_again_at = time.monotonic() + _LOOK_AGAIN_S
