"""Daemons."""

from typing import Any

from nova.notifications.envelope import time_text, versioned
from nova.notifications.event import NotificationEvent


def service(event: NotificationEvent) -> dict[str, Any]:
    """report_count is 0: every conductor receives heartbeats, and none counts them."""
    service = event.details.service
    assert service is not None
    return versioned(
        "ServiceStatusPayload",
        "1.1",
        {
            "uuid": service.uuid,
            "host": service.host,
            "binary": service.binary,
            "topic": service.binary.removeprefix("nova-"),
            "version": service.version,
            "disabled": service.is_disabled,
            "disabled_reason": service.disabled_reason,
            "forced_down": service.is_forced_down,
            "last_seen_up": time_text(service.last_seen_at),
            "report_count": 0,
            "availability_zone": None,
        },
    )
