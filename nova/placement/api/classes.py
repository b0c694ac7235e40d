"""/resource_classes. Source: Placement API reference, "Resource Classes" and "Resource Class"."""

from typing import Any

from nova.placement import names
from nova.placement.api import schemas
from nova.placement.api.operations import Service, operation
from nova.placement.api.wsgi import Answer, Request, now
from nova.placement.errors import NotFound


def _view(request: Request, name: str) -> dict[str, Any]:
    return {"name": name, "links": [{"rel": "self", "href": request.link(f"/resource_classes/{name}")}]}


@operation("GET", "/resource_classes", "placement:resource_classes:list", since=2)
def list_all(service: Service, request: Request) -> Answer:
    """Standard classes and custom ones."""
    with service.store.read() as index:
        views = [_view(request, name) for name in index.classes.ids]
        changed_at = max(index.classes.updated_at.values(), default=now())
    return Answer(200, {"resource_classes": views}, changed_at)


@operation(
    "POST",
    "/resource_classes",
    "placement:resource_classes:create",
    since=2,
    body=schemas.CREATE_CLASS,
    has_body=False,
)
def create(service: Service, request: Request, body: dict[str, Any]) -> Answer:
    """Raises Conflict for a class that there is."""
    service.store.write(lambda tx: names.create_class(tx, body["name"]))
    return Answer(201, headers=[("Location", request.url(f"/resource_classes/{body['name']}"))])


@operation("GET", "/resource_classes/{name}", "placement:resource_classes:show", since=2)
def show(service: Service, request: Request, name: str) -> Answer:
    with service.store.read() as index:
        class_id = index.classes.ids.get(name)
        if class_id is None:
            raise NotFound(f"No such resource class {name}.")
        return Answer(200, _view(request, name), index.classes.updated_at[class_id])


@operation(
    "PUT",
    "/resource_classes/{name}",
    "placement:resource_classes:update",
    since=2,
    until=6,
    body=schemas.CREATE_CLASS,
)
def rename(service: Service, request: Request, body: dict[str, Any], name: str) -> Answer:
    """Until 1.6: since 1.7 the same request makes a class, see ensure()."""
    service.store.write(lambda tx: names.rename_class(tx, name, body["name"]))
    return Answer(200, _view(request, body["name"]), now())


@operation("PUT", "/resource_classes/{name}", "placement:resource_classes:update", since=7, has_body=False)
def ensure(service: Service, request: Request, name: str) -> Answer:
    """201 for a class that had to be made, 204 for one that was there."""
    schemas.CLASS_NAME.check(name, "Invalid resource class name")
    is_new = service.store.write(lambda tx: names.ensure_class(tx, name))
    return Answer(201 if is_new else 204, headers=[("Location", request.url(f"/resource_classes/{name}"))])


@operation("DELETE", "/resource_classes/{name}", "placement:resource_classes:delete", since=2, has_body=False)
def delete(service: Service, request: Request, name: str) -> Answer:
    """Raises BadRequest for a standard class, Conflict for one that a provider has inventory of."""
    service.store.write(lambda tx: names.delete_class(tx, name))
    return Answer(204)
