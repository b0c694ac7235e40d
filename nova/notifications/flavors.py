"""Flavors."""

from typing import Any

from nova.notifications.envelope import versioned
from nova.notifications.event import NotificationEvent
from nova.structs.flavor import Flavor


def flavor(event: NotificationEvent) -> dict[str, Any]:
    found = event.details.flavor
    assert found is not None
    projects = event.details.projects
    return of(found, None if projects is None else list(projects))


def of(one: Flavor, projects: list[str] | None = None) -> dict[str, Any]:
    """projects: those that may use a flavor that is not public; None where nobody looked."""
    return versioned(
        "FlavorPayload",
        "1.4",
        {
            "flavorid": one.id,
            "name": one.name,
            "memory_mb": one.memory_mb,
            "vcpus": one.vcpus,
            "root_gb": one.root_gb,
            "ephemeral_gb": one.ephemeral_gb,
            "swap": one.swap_mb,
            "rxtx_factor": one.rxtx_factor,
            "vcpu_weight": 0,
            "disabled": one.is_disabled,
            "is_public": one.is_public,
            "extra_specs": one.extra_specs,
            "projects": projects,
            "description": one.description,
        },
    )
