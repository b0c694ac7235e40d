"""What a nova-scheduler answers, and what all of them hear."""

from typing import cast

import oslo_messaging

from nova.rpc.bus import timeout_part
from nova.rpc.client import make_client
from nova.rpc.declaration import fanout
from nova.structs.schedule import Decision, PlacementRequest, PromiseNews

TOPIC = "scheduler"
# Of its own, so that schedulers of a release that knows nothing of promises do not hear of them.
NEWS_TOPIC = "scheduler-news"
# Of the time a user waits for the conductor to explain a choice; the scheduler itself waits half of it for Placement.
_PART = 0.75


class SchedulerCalls:
    """Any scheduler will do: each has the same view of the hosts, hears what the others promise, and Placement settles
    what races are left."""

    def select(self, request: PlacementRequest) -> Decision:
        """Choose a host and claim it in Placement (unless is_dry_run).

        A Decision without a host carries the reason. Asking again for a server whose claim stands
        gives the same host. Raises errors.Unavailable when Placement or the conductor does not answer.
        """

    @fanout
    def hosts_changed(self, version: int) -> None:
        """Something a host view is made of changed; fetch it."""


class SchedulerNews:
    """What becomes of promises. A message that is lost costs a worse choice, never a server its place."""

    @fanout
    def promised(self, news: PromiseNews) -> None:
        """A scheduler tells the others what it has promised, and what became of its promises."""

    @fanout
    def released(self, instance_id: str) -> None:
        """A server gave back what it was promised, or is deleted."""


def news_client(bus: oslo_messaging.Transport) -> SchedulerNews:
    """All schedulers that listen on the bus."""
    return cast(SchedulerNews, make_client(bus, NEWS_TOPIC, SchedulerNews))


def scheduler_client(bus: oslo_messaging.Transport) -> SchedulerCalls:
    """The schedulers that listen on the bus; select goes to one of them, the rest to all."""
    return cast(SchedulerCalls, make_client(bus, TOPIC, SchedulerCalls, timeout_s=timeout_part(bus, _PART)))
