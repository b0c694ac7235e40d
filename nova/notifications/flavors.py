"""Flavors."""

from typing import Any

from nova.notifications.envelope import versioned
from nova.notifications.event import NotificationEvent
from nova.structs.flavor import Flavor


def flavor(event: NotificationEvent) -> dict[str, Any]:
    """The flavor and, where the event has them, the projects that may use it."""
    flavor = event.details.flavor
    assert flavor is not None
    projects = event.details.projects
    return of(flavor, None if projects is None else list(projects))


def of(flavor: Flavor, projects: list[str] | None = None) -> dict[str, Any]:
    """projects: those that may use a private flavor; None where they were not read."""
    return versioned(
        "FlavorPayload",
        "1.4",
        {
            "flavorid": flavor.id,
            "name": flavor.name,
            "memory_mb": flavor.memory_mb,
            "vcpus": flavor.vcpus,
            "root_gb": flavor.root_gb,
            "ephemeral_gb": flavor.ephemeral_gb,
            "swap": flavor.swap_mb,
            "rxtx_factor": flavor.rxtx_factor,
            "vcpu_weight": 0,
            "disabled": flavor.is_disabled,
            "is_public": flavor.is_public,
            "extra_specs": flavor.extra_specs,
            "projects": projects,
            "description": flavor.description,
        },
    )
