"""Aggregates of hosts: /os-aggregates. Source: Compute API reference, "Host aggregates"."""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.http.declaration import PROJECT, action, delete, get, post, put
from nova.http.schema import (
    BOOLEAN,
    HOSTNAME,
    INTEGER,
    NAME,
    NULL,
    STRING,
    TIME,
    UUID,
    Obj,
    Plain,
    arr,
    is_number,
    nullable,
    obj,
    one_of,
    optional,
    required,
)
from nova.http.view import Answer, View, listing, shows, single, view
from nova.structs.host import Aggregate

_RULES = "os_compute_api:os-aggregates:"
_PATH = "/os-aggregates/{aggregate_id}"
_ZONE = "availability_zone"

_ZONE_NAME = one_of(
    Plain({"type": "string", "format": "name", "minLength": 1, "maxLength": 255, "pattern": "^[^:]*$"}), NULL
)
# A name's blanks at either end are taken off rather than refused when an aggregate is renamed.
_NEW_NAME = Plain({"type": "string", "format": "printable", "minLength": 1, "maxLength": 255}, str.strip)
_METADATA = obj(patterns={"^[a-zA-Z0-9-_:. ]{1,255}$": Plain({"type": ["string", "null"], "maxLength": 255})})


def _moment(name: str) -> Any:
    def read(aggregate: Aggregate, request: Request) -> str | None:
        moment = getattr(aggregate, name)
        return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%f")

    return read


_CREATED = (
    shows("id", INTEGER),
    shows("uuid", UUID, since="2.41"),
    shows("name", STRING),
    shows("availability_zone", nullable(STRING), lambda aggregate, request: aggregate.metadata.get(_ZONE)),
    shows("created_at", TIME, _moment("created_at")),
    shows("updated_at", nullable(TIME), _moment("updated_at")),
    # A deleted aggregate is not there any more; the keys remain.
    shows("deleted_at", nullable(TIME), lambda aggregate, request: None),
    shows("deleted", BOOLEAN, lambda aggregate, request: False),
)
_SHOWN: View = view(
    *_CREATED,
    shows("hosts", arr(STRING, is_nullable=True), lambda aggregate, request: list(aggregate.hosts)),
    shows("metadata", Obj(is_open=True, is_nullable=True)),
)
_ANSWER: Answer = single("aggregate", _SHOWN)


@get("/os-aggregates", policy=f"{_RULES}index", answer=listing("aggregates", _SHOWN))
def index(request: Request) -> list[Aggregate]:
    """Every aggregate, also those without hosts."""
    return request.conductor.aggregates(request.context)


@post(
    "/os-aggregates",
    policy=f"{_RULES}create",
    body=obj(required("aggregate", obj(required("name", NAME), optional(_ZONE, _ZONE_NAME)))),
    answer=single("aggregate", view(*_CREATED)),
    errors=(400, 409),
)
def create(request: Request) -> Aggregate:
    """A new aggregate without hosts. 409 for a name in use."""
    fields = request.body["aggregate"]
    return request.conductor.add_aggregate(request.context, fields["name"], fields.get(_ZONE))


@get(_PATH, policy=f"{_RULES}show", answer=_ANSWER, errors=(400, 404))
def show(request: Request, aggregate_id: str) -> Aggregate:
    """One aggregate by its number. Raises AggregateNotFound."""
    return request.conductor.aggregate(request.context, _number(aggregate_id))


@put(
    _PATH,
    policy=f"{_RULES}update",
    body=obj(
        required(
            "aggregate", obj(optional("name", _NEW_NAME), optional(_ZONE, _ZONE_NAME), limits={"minProperties": 1})
        )
    ),
    answer=_ANSWER,
    errors=(400, 404, 409),
)
def update(request: Request, aggregate_id: str) -> Aggregate:
    """Change name or availability zone. The zone of hosts that run servers cannot change (409)."""
    fields = request.body["aggregate"]
    if fields.get("name") == "":
        raise errors.Invalid("Invalid input for field/attribute name. It is blank.")
    metadata = {_ZONE: fields[_ZONE]} if _ZONE in fields else None
    return request.conductor.update_aggregate(request.context, _number(aggregate_id), fields.get("name"), metadata)


@delete(_PATH, policy=f"{_RULES}delete", status=200, errors=(400, 404))
def remove(request: Request, aggregate_id: str) -> None:
    """Delete an aggregate. Raises Invalid while it has hosts."""
    request.conductor.delete_aggregate(request.context, _number(aggregate_id))


@action(
    "add_host",
    f"{_PATH}/action",
    policy=f"{_RULES}add_host",
    target=PROJECT,
    body=obj(required("host", HOSTNAME)),
    answer=_ANSWER,
    status=200,
    errors=(400, 404, 409),
)
def add_host(request: Request, aggregate_id: str) -> Aggregate:
    """Add a host with a nova-compute service. A host can be in one availability zone only (409)."""
    return request.conductor.add_to_aggregate(request.context, _number(aggregate_id), request.body["host"])


@action(
    "remove_host",
    f"{_PATH}/action",
    policy=f"{_RULES}remove_host",
    target=PROJECT,
    body=obj(required("host", HOSTNAME)),
    answer=_ANSWER,
    status=200,
    errors=(400, 404, 409),
)
def remove_host(request: Request, aggregate_id: str) -> Aggregate:
    """Remove a host. Its availability zone cannot change while it runs servers (409)."""
    return request.conductor.remove_from_aggregate(request.context, _number(aggregate_id), request.body["host"])


@action(
    "set_metadata",
    f"{_PATH}/action",
    policy=f"{_RULES}set_metadata",
    target=PROJECT,
    body=obj(required("metadata", _METADATA)),
    answer=_ANSWER,
    status=200,
    errors=(400, 404),
)
def set_metadata(request: Request, aggregate_id: str) -> Aggregate:
    """Add items; null removes one."""
    return request.conductor.update_aggregate(request.context, _number(aggregate_id), metadata=request.body["metadata"])


@post(
    f"{_PATH}/images",
    policy="compute:aggregates:images",
    since="2.81",
    body=obj(required("cache", arr(obj(required("id", UUID)), minItems=1))),
    status=202,
    errors=(400, 404),
)
def cache_images(request: Request, aggregate_id: str) -> None:
    """Have the aggregate's hosts fetch images before they are needed."""
    images = [image["id"] for image in request.body["cache"]]
    if len(set(images)) != len(images):
        raise errors.Invalid("Duplicate images in request")
    try:
        request.conductor.cache_images(request.context, _number(aggregate_id), images)
    except errors.ImageNotFound as error:
        raise error.turned_into(errors.Invalid) from error


def _number(aggregate_id: str) -> int:
    if not is_number(aggregate_id):
        raise errors.AggregateNotFound(aggregate_id=aggregate_id)
    return int(aggregate_id)
