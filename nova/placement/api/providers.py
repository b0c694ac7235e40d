"""/resource_providers. Source: Placement API reference, "Resource Providers" and "Resource Provider"."""

import uuid as uuids
from typing import Any

from nova.placement import providers
from nova.placement.api import schemas
from nova.placement.api.operations import Service, operation
from nova.placement.api.queries import check_query, parse_provider_filters
from nova.placement.api.wsgi import Answer, Request, now
from nova.placement.errors import BadRequest
from nova.placement.index import Index
from nova.placement.search import list_providers
from nova.placement.structs import Provider

NO_CONTENT_UNTIL = 19
MOVES_SINCE = 37


def view_provider(index: Index, provider: Provider, request: Request) -> dict[str, Any]:
    """A provider as this version shows it."""
    here = f"/resource_providers/{provider.uuid}"
    kinds = ["inventories", "usages"]
    if request.minor >= 1:
        kinds.append("aggregates")
    if request.minor >= 6:
        kinds.append("traits")
    if request.minor >= 11:
        kinds.append("allocations")
    links = [{"rel": "self", "href": request.link(here)}]
    links.extend({"rel": kind, "href": request.link(f"{here}/{kind}")} for kind in kinds)
    view: dict[str, Any] = {
        "uuid": provider.uuid,
        "name": provider.name,
        "generation": provider.generation,
        "links": links,
    }
    if request.minor >= 14:
        parent = index.providers.get(provider.parent_id) if provider.parent_id is not None else None
        view["parent_provider_uuid"] = parent.uuid if parent else None
        view["root_provider_uuid"] = index.providers[provider.root_id].uuid
    return view


def plain_name(name: str) -> str:
    """A name that every database can store."""
    if "\0" in name:
        raise BadRequest("JSON does not validate: 'name' must not contain a null character")
    return name


@operation("GET", "/resource_providers", "placement:resource_providers:list")
def list_all(service: Service, request: Request) -> Answer:
    check_query(schemas.LIST_PROVIDERS, request)
    with service.store.read() as index:
        found = list_providers(index, parse_provider_filters(request, index))
        views = [view_provider(index, provider, request) for provider in found]
    changed_at = max((provider.updated_at for provider in found), default=now())
    return Answer(200, {"resource_providers": views}, changed_at)


@operation("POST", "/resource_providers", "placement:resource_providers:create", body=schemas.CREATE_PROVIDER)
def create(service: Service, request: Request, body: dict[str, Any]) -> Answer:
    """The body says the uuid, or one is chosen; the answer shows the provider since 1.20."""
    uuid = str(uuids.UUID(body["uuid"])) if body.get("uuid") else str(uuids.uuid4())
    parent = body.get("parent_provider_uuid")
    parent = str(uuids.UUID(parent)) if parent else None
    name = plain_name(body["name"])
    service.store.write(lambda tx: providers.create_provider(tx, name, uuid, parent))
    headers = [("Location", request.url(f"/resource_providers/{uuid}"))]
    if request.minor <= NO_CONTENT_UNTIL:
        return Answer(201, headers=headers)
    answer = _show(service, request, uuid)
    answer.headers.extend(headers)
    return answer


@operation("GET", "/resource_providers/{uuid}", "placement:resource_providers:show")
def show(service: Service, request: Request, uuid: str) -> Answer:
    return _show(service, request, uuid)


def _show(service: Service, request: Request, uuid: str) -> Answer:
    with service.store.read() as index:
        provider = providers.get_provider(index, uuid)
        return Answer(200, view_provider(index, provider, request), provider.updated_at)


@operation("PUT", "/resource_providers/{uuid}", "placement:resource_providers:update", body=schemas.UPDATE_PROVIDER)
def update(service: Service, request: Request, body: dict[str, Any], uuid: str) -> Answer:
    """A body without parent_provider_uuid leaves the provider where it is. Away from a parent it moves since 1.37."""
    parent = body.get("parent_provider_uuid")
    parent = str(uuids.UUID(parent)) if parent else None
    name = plain_name(body["name"])
    sets_parent = "parent_provider_uuid" in body
    service.store.write(
        lambda tx: providers.update_provider(tx, uuid, name, parent, sets_parent, request.minor >= MOVES_SINCE)
    )
    return _show(service, request, uuid)


@operation("DELETE", "/resource_providers/{uuid}", "placement:resource_providers:delete", has_body=False)
def delete(service: Service, request: Request, uuid: str) -> Answer:
    """Raises ProviderHasChildren, ProviderInUse."""
    service.store.write(lambda tx: providers.delete_provider(tx, uuid))
    return Answer(204)
