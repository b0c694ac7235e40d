"""/resource_providers/{uuid}/aggregates. Source: Placement API reference, "Resource provider aggregates"."""

import uuid as uuids
from typing import Any

from nova.placement import providers
from nova.placement.api import schemas
from nova.placement.api.operations import Service, operation
from nova.placement.api.wsgi import Answer, Request, now

GENERATION_SINCE = 19
_PATH = "/resource_providers/{uuid}/aggregates"


def _view(aggregates: list[str], generation: int, request: Request) -> dict[str, Any]:
    view: dict[str, Any] = {"aggregates": aggregates}
    if request.minor >= GENERATION_SINCE:
        view["resource_provider_generation"] = generation
    return view


@operation("GET", _PATH, "placement:resource_providers:aggregates:list", since=1)
def list_all(service: Service, request: Request, uuid: str) -> Answer:
    """Sorted by uuid; with the provider's generation since 1.19."""
    with service.store.read() as index:
        provider = providers.get_provider(index, uuid)
        return Answer(200, _view(sorted(provider.aggregates), provider.generation, request), provider.updated_at)


@operation("PUT", _PATH, "placement:resource_providers:aggregates:update", since=1, body=schemas.SET_AGGREGATES)
def set_all(service: Service, request: Request, body: Any, uuid: str) -> Answer:
    """Replace all of them; the answer keeps the order of the request. Before 1.19 no generation is asked for, and none is checked."""
    given, generation = body, None
    if request.minor >= GENERATION_SINCE:
        given, generation = body["aggregates"], body["resource_provider_generation"]
    aggregates = list(dict.fromkeys(str(uuids.UUID(aggregate)) for aggregate in given))
    new = service.store.write(lambda tx: providers.set_aggregates(tx, uuid, aggregates, generation))
    return Answer(200, _view(aggregates, new, request), now())
