"""Aggregates, before and after a change."""

from typing import Any

from nova.notifications.envelope import versioned
from nova.notifications.event import NotificationEvent
from nova.structs.host import Aggregate


def aggregate(event: NotificationEvent) -> dict[str, Any]:
    """The aggregate as it is after the change."""
    aggregate = event.details.aggregate
    assert aggregate is not None
    return _of(aggregate, aggregate.id, list(aggregate.hosts))


def before(event: NotificationEvent) -> dict[str, Any]:
    """The aggregate as it was before the change."""
    aggregate = event.details.aggregate_before
    assert aggregate is not None
    return _of(aggregate, aggregate.id, list(aggregate.hosts))


def to_be_made(event: NotificationEvent) -> dict[str, Any]:
    """An aggregate that has no number yet."""
    aggregate = event.details.aggregate
    assert aggregate is not None
    return _of(aggregate, None, None)


def _of(aggregate: Aggregate, number: int | None, hosts: list[str] | None) -> dict[str, Any]:
    return versioned(
        "AggregatePayload",
        "1.1",
        {"id": number, "uuid": aggregate.uuid, "name": aggregate.name, "hosts": hosts, "metadata": aggregate.metadata},
    )
