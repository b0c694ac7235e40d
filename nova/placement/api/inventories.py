"""/resource_providers/{uuid}/inventories. Source: Placement API reference, "Resource provider inventories"."""

from typing import Any

from nova.placement import inventories
from nova.placement.api import schemas
from nova.placement.api.operations import Service, operation
from nova.placement.api.wsgi import Answer, Request, now
from nova.placement.errors import NotFound
from nova.placement.index import Index
from nova.placement.providers import get_provider
from nova.placement.structs import Inventory, Provider

RESERVE_ALL_SINCE = 26
_MANY = "/resource_providers/{uuid}/inventories"
_ONE = "/resource_providers/{uuid}/inventories/{resource_class}"


def to_inventory(body: dict[str, Any]) -> Inventory:
    """What a body leaves out is the default of its field."""
    return Inventory(**{field: body[field] for field in Inventory.__struct_fields__ if field in body})


def view_inventory(inventory: Inventory) -> dict[str, Any]:
    return {field: getattr(inventory, field) for field in Inventory.__struct_fields__}


def _view_all(index: Index, provider: Provider) -> dict[str, Any]:
    return {
        "resource_provider_generation": provider.generation,
        "inventories": {
            index.classes.names[class_id]: view_inventory(room.inventory)
            for class_id, room in index.rooms[provider.id].items()
        },
    }


def _with_generation(inventory: Inventory, generation: int) -> dict[str, Any]:
    return {"resource_provider_generation": generation, **view_inventory(inventory)}


@operation("GET", _MANY, "placement:resource_providers:inventories:list")
def list_all(service: Service, request: Request, uuid: str) -> Answer:
    with service.store.read() as index:
        provider = get_provider(index, uuid)
        return Answer(200, _view_all(index, provider), provider.updated_at)


@operation("POST", _MANY, "placement:resource_providers:inventories:create", body=schemas.ADD_INVENTORY)
def add(service: Service, request: Request, body: dict[str, Any], uuid: str) -> Answer:
    """Raises ConcurrentUpdate for a class that the provider has, and for another generation, where one is named."""
    inventory, name = to_inventory(body), body["resource_class"]
    generation = service.store.write(
        lambda tx: inventories.add_inventory(
            tx,
            uuid,
            name,
            inventory,
            body.get("resource_provider_generation"),
            request.minor >= RESERVE_ALL_SINCE,
        )
    )
    location = request.url(f"/resource_providers/{uuid}/inventories/{name}")
    return Answer(201, _with_generation(inventory, generation), now(), [("Location", location)])


@operation("PUT", _MANY, "placement:resource_providers:inventories:update", body=schemas.SET_INVENTORIES)
def set_all(service: Service, request: Request, body: dict[str, Any], uuid: str) -> Answer:
    """Replace all of them. Raises InventoryInUse where one would go of which somebody holds some."""
    wanted = {name: to_inventory(value) for name, value in body["inventories"].items()}
    generation = service.store.write(
        lambda tx: inventories.set_inventories(
            tx, uuid, wanted, body["resource_provider_generation"], request.minor >= RESERVE_ALL_SINCE
        )
    )
    view = {name: view_inventory(inventory) for name, inventory in wanted.items()}
    return Answer(200, {"resource_provider_generation": generation, "inventories": view}, now())


@operation("DELETE", _MANY, "placement:resource_providers:inventories:delete", since=5, below=405, has_body=False)
def delete_all(service: Service, request: Request, uuid: str) -> Answer:
    """No generation is checked. Raises InventoryInUse."""
    service.store.write(lambda tx: inventories.delete_inventories(tx, uuid))
    return Answer(204)


@operation("GET", _ONE, "placement:resource_providers:inventories:show")
def show(service: Service, request: Request, uuid: str, name: str) -> Answer:
    with service.store.read() as index:
        provider = get_provider(index, uuid)
        room = index.rooms[provider.id].get(index.classes.ids.get(name, -1))
        if room is None:
            raise NotFound(f"No inventory of class {name} for {uuid}")
        return Answer(200, _with_generation(room.inventory, provider.generation), provider.updated_at)


@operation("PUT", _ONE, "placement:resource_providers:inventories:update", body=schemas.UPDATE_INVENTORY)
def update(service: Service, request: Request, body: dict[str, Any], uuid: str, name: str) -> Answer:
    """May leave less than is in use. Raises ConcurrentUpdate, BadRequest for a class the provider does not have."""
    inventory = to_inventory(body)
    generation = service.store.write(
        lambda tx: inventories.update_inventory(
            tx, uuid, name, inventory, body["resource_provider_generation"], request.minor >= RESERVE_ALL_SINCE
        )
    )
    return Answer(200, _with_generation(inventory, generation), now())


@operation("DELETE", _ONE, "placement:resource_providers:inventories:delete", has_body=False)
def delete(service: Service, request: Request, uuid: str, name: str) -> Answer:
    """No generation is checked. Raises InventoryInUse, NotFound."""
    service.store.write(lambda tx: inventories.delete_inventory(tx, uuid, name))
    return Answer(204)
