"""/allocations and /resource_providers/{uuid}/allocations. Source: Placement API reference, "Allocations"."""

from typing import Any

from msgspec import UNSET

from nova.placement import allocations
from nova.placement.api import schemas
from nova.placement.api.operations import Service, operation
from nova.placement.api.wsgi import Answer, Request, now
from nova.placement.errors import BadRequest, NotFound
from nova.placement.providers import get_provider
from nova.placement.structs import Claim

OWNERS_SINCE = 8
BY_PROVIDER_SINCE = 12
GENERATION_SINCE = 28
TYPE_SINCE = 38


def to_claim(service: Service, request: Request, consumer: str, body: dict[str, Any]) -> Claim:
    """What a body asks one consumer to hold, whatever the version says it in."""
    if request.minor < BY_PROVIDER_SINCE:
        by_provider: dict[str, dict[str, int]] = {}
        for item in body["allocations"]:
            by_provider.setdefault(_normal(item["resource_provider"]["uuid"]), {}).update(item["resources"])
    else:
        by_provider = {_normal(uuid): item["resources"] for uuid, item in body["allocations"].items()}
    nobody = service.conf.placement
    return Claim(
        consumer,
        _plain(body, "project_id", nobody.incomplete_consumer_project_id),
        _plain(body, "user_id", nobody.incomplete_consumer_user_id),
        by_provider,
        body["consumer_generation"] if request.minor >= GENERATION_SINCE else UNSET,
        body["consumer_type"] if request.minor >= TYPE_SINCE else UNSET,
    )


def to_consumer(uuid: str) -> str:
    """A consumer's uuid in its normal form."""
    normal = schemas.normal_uuid(uuid)
    if normal is None:
        raise BadRequest(f"Malformed consumer_uuid: {uuid}")
    return normal


def _normal(uuid: str) -> str:
    normal = schemas.normal_uuid(uuid)
    if normal is None:
        raise BadRequest(f"Malformed resource provider uuid: {uuid}")
    return normal


def _plain(body: dict[str, Any], name: str, default: str) -> str:
    value: str = body.get(name, default)
    if "\0" in value:
        raise BadRequest(f"JSON does not validate: '{name}' must not contain a null character")
    return value


@operation("GET", "/allocations/{consumer_uuid}", "placement:allocations:list")
def show(service: Service, request: Request, uuid: str) -> Answer:
    """A consumer that holds nothing is not known: its allocations are empty, and there is no error."""
    with service.store.query() as connection:
        consumer = allocations.find_consumers(connection, [_lenient(uuid)]).get(_lenient(uuid))
    if consumer is None:
        return Answer(200, {"allocations": {}}, now())
    # Read after the allocations, the index knows every provider and class in them, unless one has
    # gone since; then the allocations of it have gone, too.
    with service.store.read() as index:
        held = {
            index.providers[provider_id].uuid: {
                "generation": index.providers[provider_id].generation,
                "resources": {index.classes.names[class_id]: used for class_id, used in amounts.items()},
            }
            for provider_id, amounts in consumer.held.items()
            if provider_id in index.providers
        }
    view: dict[str, Any] = {"allocations": held}
    if request.minor >= BY_PROVIDER_SINCE:
        view["project_id"] = consumer.project_id
        view["user_id"] = consumer.user_id
    if request.minor >= GENERATION_SINCE:
        view["consumer_generation"] = consumer.generation
    if request.minor >= TYPE_SINCE:
        view["consumer_type"] = consumer.consumer_type or "unknown"
    return Answer(200, view, consumer.updated_at)


def _lenient(uuid: str) -> str:
    """A consumer's uuid in its normal form; what is none names nobody."""
    return schemas.normal_uuid(uuid) or ""


@operation(
    "PUT",
    "/allocations/{consumer_uuid}",
    "placement:allocations:update",
    body=schemas.SET_ALLOCATIONS,
    has_body=False,
)
def put(service: Service, request: Request, body: dict[str, Any], uuid: str) -> Answer:
    """Replace all that one consumer holds, exactly as said or not at all."""
    claim = to_claim(service, request, to_consumer(uuid), body)
    allocations.write_claims(service.store, [claim])
    return Answer(204)


@operation(
    "POST", "/allocations", "placement:allocations:manage", since=13, body=schemas.POST_ALLOCATIONS, has_body=False
)
def post(service: Service, request: Request, body: dict[str, Any]) -> Answer:
    """Replace what several consumers hold, all of them or none."""
    claims = [to_claim(service, request, to_consumer(uuid), value) for uuid, value in body.items()]
    if len({claim.consumer for claim in claims}) < len(claims):
        raise BadRequest("JSON does not validate: a consumer is named twice")
    allocations.write_claims(service.store, claims)
    return Answer(204)


@operation("DELETE", "/allocations/{consumer_uuid}", "placement:allocations:delete", has_body=False)
def delete(service: Service, request: Request, uuid: str) -> Answer:
    """The consumer is forgotten with what it holds. Raises NotFound when it holds nothing."""
    consumer = _lenient(uuid)
    if not consumer:
        raise NotFound(f"No allocations for consumer '{uuid}'")
    service.store.write(lambda tx: allocations.remove_consumer(tx, consumer))
    return Answer(204)


@operation("GET", "/resource_providers/{uuid}/allocations", "placement:resource_providers:allocations:list")
def list_of_provider(service: Service, request: Request, uuid: str) -> Answer:
    with service.store.read() as index:
        provider = get_provider(index, uuid)
    with service.store.query() as connection:
        held = allocations.list_of_provider(connection, provider.id)
    with service.store.read() as index:
        names = index.classes.names
    view: dict[str, Any] = {}
    for consumer, (generation, amounts) in held.items():
        view[consumer] = {"resources": {names[class_id]: used for class_id, used in amounts.items()}}
        if request.minor >= GENERATION_SINCE:
            view[consumer]["consumer_generation"] = generation
    body = {"allocations": view, "resource_provider_generation": provider.generation}
    return Answer(200, body, provider.updated_at)
