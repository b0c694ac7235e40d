"""What a notification is made from, and what it is when it is made."""

import datetime
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nova.structs.event_details import EventDetails
from nova.structs.flavor import Flavor
from nova.structs.instance import Instance


@dataclass(frozen=True)
class Settings:
    """host: of the conductor that sends. notify_on_state_change: None, vm_state or vm_and_task_state."""

    host: str
    level: str = "INFO"
    with_block_devices: bool = False
    with_shares: bool = False
    notify_on_state_change: str | None = None
    instance_name_template: str = "instance-%08x"


@dataclass(frozen=True)
class NotificationEvent:
    """An event of the log. was, now: the server before and after it; None for an event about none."""

    kind: str
    at: datetime.datetime
    details: EventDetails
    settings: Settings
    request_id: str | None = None
    was: Instance | None = None
    now: Instance | None = None

    @property
    def server(self) -> Instance:
        """The server the event is about. Only for events that have one."""
        assert self.now is not None
        return self.now

    @property
    def flavor(self) -> Flavor:
        """What the server is to become; what it is when it stays that."""
        chosen = self.about.get("flavor")
        return msgspec.convert(chosen, Flavor) if chosen else self.server.flavor

    @property
    def about(self) -> dict[str, Any]:
        """What the workflow says of its operation, such as the volume's id."""
        return self.details.about


@dataclass(frozen=True)
class Notification:
    """priority: INFO or ERROR, as upstream names them. oslo.messaging adds topic and envelope."""

    event_type: str
    publisher_id: str
    priority: str
    payload: dict[str, Any] = field(hash=False)


def by_api(event: NotificationEvent) -> str:
    """nova-api. Which API host took the request is not known: the conductor's host stands for it."""
    return f"nova-api:{event.settings.host}"


def by_conductor(event: NotificationEvent) -> str:
    """The publisher of events of the conductor, with its host."""
    return f"nova-conductor:{event.settings.host}"


def by_scheduler(event: NotificationEvent) -> str:
    """The publisher of events of the scheduler."""
    return f"nova-scheduler:{event.settings.host}"


def by_host(event: NotificationEvent) -> str:
    """nova-compute of the host the server is on, or goes to, or was on."""
    was = event.was.host if event.was else None
    host = event.server.host or event.about.get("host") or was or event.settings.host
    return f"nova-compute:{host}"


def by_source(event: NotificationEvent) -> str:
    """nova-compute of the source of a moving server."""
    source = event.about.get("source_host")
    return f"nova-compute:{source}" if source else by_host(event)


def by_destination(event: NotificationEvent) -> str:
    """nova-compute of the destination of a moving server."""
    destination = event.about.get("host")
    return f"nova-compute:{destination}" if destination else by_host(event)


def by_host_if_any(event: NotificationEvent) -> str:
    """nova-compute of the server's host; nova-api for a server that never had one."""
    return by_host(event) if event.server.host else by_api(event)


def by_service(event: NotificationEvent) -> str:
    """The publisher of events about a service: nova-compute on that service's host."""
    service = event.details.service
    assert service is not None
    return f"nova-compute:{service.host}"
