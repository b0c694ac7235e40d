"""/traits and /resource_providers/{uuid}/traits. Source: Placement API reference, "Traits"."""

import re
from typing import Any

from nova.placement import names, providers
from nova.placement.api import schemas
from nova.placement.api.operations import Service, operation
from nova.placement.api.queries import check_query
from nova.placement.api.wsgi import Answer, Request, now
from nova.placement.errors import BadRequest, NotFound
from nova.placement.index import Index

_CUSTOM = re.compile(r"^CUSTOM_[A-Z0-9_]+\Z")
_OF_PROVIDER = "/resource_providers/{uuid}/traits"


@operation("GET", "/traits", "placement:traits:list", since=6)
def list_all(service: Service, request: Request) -> Answer:
    """name: in:A,B or startswith:A. associated: whether any provider has the trait."""
    check_query(schemas.LIST_TRAITS, request)
    query = dict(request.query)
    with service.store.read() as index:
        wanted = _by_name(index, query["name"]) if "name" in query else list(index.traits.ids)
        if "associated" in query:
            is_associated = _boolean(query["associated"])
            wanted = [name for name in wanted if (index.traits.ids[name] in index.by_trait) == is_associated]
        changed_at = max((index.traits.updated_at[index.traits.ids[name]] for name in wanted), default=now())
    return Answer(200, {"traits": wanted}, changed_at)


def _by_name(index: Index, condition: str) -> list[str]:
    kind, colon, value = condition.partition(":")
    if colon and kind == "in":
        asked = set(value.split(","))
        return [name for name in index.traits.ids if name in asked]
    if colon and kind == "startswith":
        return [name for name in index.traits.ids if name.startswith(value)]
    raise BadRequest(
        "Badly formatted name parameter. Expected name query string parameter in form: "
        f'?name=[in|startswith]:[name1,name2|prefix]. Got: "{condition}"'
    )


def _boolean(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise BadRequest(f'The query parameter "associated" only accepts "true" or "false": {value}')
    return value.lower() == "true"


@operation("PUT", "/traits/{name}", "placement:traits:update", since=6, has_body=False)
def ensure(service: Service, request: Request, name: str) -> Answer:
    """201 for a custom trait that had to be made, 204 for one that was there. Raises BadRequest for any other name."""
    if len(name) > 255 or not _CUSTOM.match(name):
        raise BadRequest(
            "The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix "
            '"CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_"'
        )
    is_new = service.store.write(lambda tx: names.ensure_trait(tx, name))
    return Answer(201 if is_new else 204, None, now(), [("Location", request.url(f"/traits/{name}"))])


@operation("GET", "/traits/{name}", "placement:traits:show", since=6, has_body=False)
def show(service: Service, request: Request, name: str) -> Answer:
    """204 and no body: the trait is there. Raises NotFound."""
    with service.store.read() as index:
        trait_id = index.traits.ids.get(name)
        if trait_id is None:
            raise NotFound(f"No such trait {name}.")
        return Answer(204, None, index.traits.updated_at[trait_id])


@operation("DELETE", "/traits/{name}", "placement:traits:delete", since=6, has_body=False)
def delete(service: Service, request: Request, name: str) -> Answer:
    """Raises BadRequest for a standard trait, Conflict for one that a provider has."""
    service.store.write(lambda tx: names.delete_trait(tx, name))
    return Answer(204)


@operation("GET", _OF_PROVIDER, "placement:resource_providers:traits:list", since=6)
def list_of_provider(service: Service, request: Request, uuid: str) -> Answer:
    with service.store.read() as index:
        provider = providers.get_provider(index, uuid)
        view = {
            "resource_provider_generation": provider.generation,
            "traits": [index.traits.names[trait] for trait in sorted(provider.traits)],
        }
        return Answer(200, view, provider.updated_at)


@operation("PUT", _OF_PROVIDER, "placement:resource_providers:traits:update", since=6, body=schemas.SET_TRAITS)
def set_of_provider(service: Service, request: Request, body: dict[str, Any], uuid: str) -> Answer:
    """Replace all of them, at the generation the body names. Raises BadRequest for a trait that is unknown."""
    generation = service.store.write(
        lambda tx: providers.set_traits(tx, uuid, body["traits"], body["resource_provider_generation"])
    )
    view = {"resource_provider_generation": generation, "traits": list(dict.fromkeys(body["traits"]))}
    return Answer(200, view, now())


@operation("DELETE", _OF_PROVIDER, "placement:resource_providers:traits:delete", since=6, has_body=False)
def delete_of_provider(service: Service, request: Request, uuid: str) -> Answer:
    """No generation is checked."""
    service.store.write(lambda tx: providers.set_traits(tx, uuid, [], None))
    return Answer(204)
