"""/usages and /resource_providers/{uuid}/usages. Source: Placement API reference, "Usages"."""

from typing import Any

from nova.placement.allocations import sum_usage
from nova.placement.api import schemas
from nova.placement.api.operations import Service, operation
from nova.placement.api.queries import check_query
from nova.placement.api.wsgi import Answer, Request, now
from nova.placement.providers import get_provider

TYPES_SINCE = 38
_UNKNOWN = "unknown"


@operation("GET", "/usages", "placement:usages", since=9, checks_policy=False)
def of_project(service: Service, request: Request) -> Answer:
    """Policy is asked with the project in question, by the handler itself. By consumer type since 1.38."""
    check_query(schemas.SUM_USAGES, request)
    query = dict(request.query)
    service.authorize(request, "placement:usages", project_id=query["project_id"])
    with service.store.query() as connection:
        kind = query.get("consumer_type") if request.minor >= TYPES_SINCE else "all"
        usage, counts = sum_usage(connection, query["project_id"], query.get("user_id"), kind)
    with service.store.read() as index:
        names = index.classes.names
        named = {kind: {names[class_id]: used for class_id, used in sums.items()} for kind, sums in usage.items()}
    if request.minor < TYPES_SINCE:
        return Answer(200, {"usages": named.get("all", {})}, now())
    by_type: dict[str, Any] = {
        kind or _UNKNOWN: {**named.get(kind, {}), "consumer_count": count} for kind, count in counts.items()
    }
    return Answer(200, {"usages": by_type}, now())


@operation("GET", "/resource_providers/{uuid}/usages", "placement:resource_providers:usages")
def of_provider(service: Service, request: Request, uuid: str) -> Answer:
    """A class that the provider has, and nobody holds any of, is shown with 0."""
    with service.store.read() as index:
        provider = get_provider(index, uuid)
        usages = {index.classes.names[class_id]: room.used for class_id, room in index.rooms[provider.id].items()}
        body = {"resource_provider_generation": provider.generation, "usages": usages}
        return Answer(200, body, provider.updated_at)
