"""Server groups."""

from typing import Any

from nova.notifications.envelope import versioned
from nova.notifications.event import NotificationEvent


def server_group(event: NotificationEvent) -> dict[str, Any]:
    """members: of a group that others joined, those who did."""
    found = event.details.group
    assert found is not None
    return versioned(
        "ServerGroupPayload",
        "1.1",
        {
            "uuid": found.uuid,
            "name": found.name,
            "project_id": found.project_id,
            "user_id": found.user_id,
            "policies": [found.policy],
            "policy": found.policy,
            "rules": {name: str(value) for name, value in found.rules.items()},
            "members": list(found.members),
            "hosts": None,
        },
    )
