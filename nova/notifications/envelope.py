"""The shape every payload has: an object's name, version and fields."""

import datetime
from typing import Any


def versioned(name: str, version: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A versioned object as upstream serialises it: name, version and data."""
    return {
        "nova_object.name": name,
        "nova_object.namespace": "nova",
        "nova_object.version": version,
        "nova_object.data": fields,
    }


def time_text(time: datetime.datetime | None) -> str | None:
    """UTC, to the second."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ")
