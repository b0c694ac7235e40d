"""Aggregates, before and after a change."""

from typing import Any

from nova.notifications.envelope import versioned
from nova.notifications.event import NotificationEvent
from nova.structs.host import Aggregate


def aggregate(event: NotificationEvent) -> dict[str, Any]:
    found = event.details.aggregate
    assert found is not None
    return _of(found, found.id, list(found.hosts))


def before(event: NotificationEvent) -> dict[str, Any]:
    found = event.details.aggregate_before
    assert found is not None
    return _of(found, found.id, list(found.hosts))


def to_be_made(event: NotificationEvent) -> dict[str, Any]:
    """An aggregate that has no number yet."""
    found = event.details.aggregate
    assert found is not None
    return _of(found, None, None)


def _of(one: Aggregate, number: int | None, hosts: list[str] | None) -> dict[str, Any]:
    return versioned(
        "AggregatePayload",
        "1.1",
        {"id": number, "uuid": one.uuid, "name": one.name, "hosts": hosts, "metadata": one.metadata},
    )
