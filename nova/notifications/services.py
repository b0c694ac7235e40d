"""Daemons."""

from typing import Any

from nova.notifications.envelope import time_text, versioned
from nova.notifications.event import NotificationEvent


def service(event: NotificationEvent) -> dict[str, Any]:
    """report_count is 0: signs of life are heard by every conductor and counted by none."""
    found = event.details.service
    assert found is not None
    return versioned(
        "ServiceStatusPayload",
        "1.1",
        {
            "uuid": found.uuid,
            "host": found.host,
            "binary": found.binary,
            "topic": found.binary.removeprefix("nova-"),
            "version": found.version,
            "disabled": found.is_disabled,
            "disabled_reason": found.disabled_reason,
            "forced_down": found.is_forced_down,
            "last_seen_up": time_text(found.last_seen_at),
            "report_count": 0,
            "availability_zone": None,
        },
    )
