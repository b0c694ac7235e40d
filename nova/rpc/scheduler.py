"""What a nova-scheduler answers."""

from typing import cast

import oslo_messaging

from nova.rpc.bus import timeout_part
from nova.rpc.client import make_client
from nova.rpc.declaration import fanout
from nova.structs.schedule import Decision, PlacementRequest

TOPIC = "scheduler"
# Of the time a user waits for the conductor to explain a choice; the scheduler itself waits half of it for Placement.
_PART = 0.75


class SchedulerCalls:
    """Any scheduler will do: each has the same view of the hosts, and Placement settles their races."""

    def select(self, request: PlacementRequest) -> Decision:
        """Choose a host and claim it in Placement (unless is_dry_run).

        A Decision without a host carries the reason. Asking again for a server whose claim stands
        gives the same host. Raises errors.Unavailable when Placement or the conductor does not answer.
        """

    @fanout
    def hosts_changed(self, version: int) -> None:
        """Something a host view is made of changed; fetch it."""


def scheduler_client(bus: oslo_messaging.Transport) -> SchedulerCalls:
    """The schedulers that listen on the bus; select goes to one of them, hosts_changed to all."""
    return cast(SchedulerCalls, make_client(bus, TOPIC, SchedulerCalls, timeout_s=timeout_part(bus, _PART)))
