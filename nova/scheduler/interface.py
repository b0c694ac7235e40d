"""What a nova-scheduler answers."""

from typing import cast

import oslo_messaging

from nova.messaging import rpc
from nova.structs.schedule import Decision, PlacementRequest

TOPIC = "scheduler"
# Whoever asks the conductor to explain a choice waits 60 s; the scheduler itself waits 30 s for Placement.
_PATIENCE_S = 45.0


class SchedulerCalls:
    """Any scheduler will do: each has the same view of the hosts, and Placement settles their races."""

    def select(self, request: PlacementRequest) -> Decision:
        """Choose a host and claim it in Placement (unless is_dry_run).

        A Decision without a host carries the reason. Asking again for a server whose claim stands
        gives the same host. Raises errors.Unavailable when Placement or the conductor does not answer.
        """

    @rpc.fanout
    def hosts_changed(self, version: int) -> None:
        """Something a host view is made of changed; fetch it."""


def over_bus(bus: oslo_messaging.Transport, timeout_s: float = _PATIENCE_S) -> SchedulerCalls:
    """The schedulers that listen on the bus; select goes to one of them, hosts_changed to all."""
    return cast(SchedulerCalls, rpc.client(bus, TOPIC, SchedulerCalls, timeout_s=timeout_s))
