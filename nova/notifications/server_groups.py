"""Server groups."""

from typing import Any

from nova.notifications.envelope import versioned
from nova.notifications.event import NotificationEvent


def server_group(event: NotificationEvent) -> dict[str, Any]:
    """members: of a group that others joined, those who did."""
    group = event.details.group
    assert group is not None
    return versioned(
        "ServerGroupPayload",
        "1.1",
        {
            "uuid": group.uuid,
            "name": group.name,
            "project_id": group.project_id,
            "user_id": group.user_id,
            "policies": [group.policy],
            "policy": group.policy,
            "rules": {name: str(value) for name, value in group.rules.items()},
            "members": list(group.members),
            "hosts": None,
        },
    )
