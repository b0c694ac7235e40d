"""Images as this API showed them until 2.35 (their metadata until 2.38): the Image service's, in its words.

Source: Compute API reference, "Images (deprecated)".
"""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.clients.image import OWN_KEYS
from nova.http.declaration import delete, get, post, put
from nova.http.schema import (
    ANY,
    INTEGER,
    METADATA,
    STRING,
    TIME,
    UUID,
    Field,
    Obj,
    Plain,
    arr,
    enum,
    integer,
    nullable,
    obj,
    optional,
    required,
)
from nova.http.view import ABSENT, Page, listing, made, shows, single, view

_UNTIL, _METADATA_UNTIL = "2.35", "2.38"
_FROM_ONE = integer(1)
# Until 2.35 unknown parameters are ignored, and so are some that are known.
_LIST = Obj(
    (
        *(
            Field(name, ANY)
            for name in ("name", "status", "changes-since", "server", "type", "minRam", "minDisk", "marker")
        ),
        Field("limit", arr(_FROM_ONE)),
        Field("page_size", arr(_FROM_ONE)),
        Field("offset", arr(_FROM_ONE)),
    ),
    patterns={"^property-.*$": ANY},
    is_open=True,
)
_OPEN = obj(is_open=True)
_STATUS = {
    "active": "ACTIVE", "queued": "SAVING", "saving": "SAVING", "uploading": "SAVING", "importing": "SAVING",
    "deleted": "DELETED", "pending_delete": "DELETED", "killed": "ERROR",
}  # fmt: skip
_PROGRESS = {"queued": 25, "saving": 50, "uploading": 50, "importing": 50, "active": 100}

Json = dict[str, Any]


def _links(image: Json, request: Request) -> list[dict[str, str]]:
    path = f"/images/{image['id']}"
    base = (request.conf.api.glance_link_prefix or request.services.images.base_url() or request.base_url).rstrip("/")
    alternate = {"rel": "alternate", "type": "application/vnd.openstack.image", "href": f"{base}{path}"}
    return [*request.links(path), alternate]


def _metadata_of(image: Json) -> dict[str, str]:
    return {name: str(value) for name, value in image.items() if name not in OWN_KEYS and value is not None}


def _server(image: Json, request: Request) -> Any:
    server = image.get("instance_uuid")
    return {"id": server, "links": request.links(f"/servers/{server}")} if server else ABSENT


def _disk_config(image: Json, request: Request) -> Any:
    value = image.get("auto_disk_config")
    return ABSENT if value is None else "AUTO" if str(value).lower() in ("true", "1", "yes", "on") else "MANUAL"


_LINK = obj(required("href", STRING), required("rel", STRING), optional("type", STRING))
_LINKS = arr(_LINK, minItems=3, maxItems=3)
_SERVER = obj(required("id", UUID), required("links", arr(obj(required("href", STRING), required("rel", STRING)))))
_ANY_VALUE = Plain({"type": ["array", "boolean", "integer", "number", "object", "string", "null"]})
_BASIC = (
    shows("id", UUID, lambda image, r: image["id"]),
    shows("name", nullable(STRING), lambda image, r: image.get("name")),
    shows("links", _LINKS, _links),
)
_DETAIL = view(
    *_BASIC,
    shows("created", TIME, lambda image, r: image.get("created_at")),
    shows("updated", nullable(TIME), lambda image, r: image.get("updated_at")),
    shows(
        "status",
        enum("ACTIVE", "SAVING", "DELETED", "ERROR", "UNKNOWN"),
        lambda i, r: _STATUS.get(i["status"], "UNKNOWN"),
    ),
    shows("progress", Plain({"type": "integer", "enum": [0, 25, 50, 100]}), lambda i, r: _PROGRESS.get(i["status"], 0)),
    shows("minDisk", Plain({"type": "integer", "minimum": 0}), lambda image, r: image.get("min_disk") or 0),
    shows("minRam", Plain({"type": "integer", "minimum": 0}), lambda image, r: image.get("min_ram") or 0),
    shows("metadata", obj(patterns={"^[a-zA-Z0-9-_:. ]{1,255}$": _ANY_VALUE}), lambda image, r: _metadata_of(image)),
    shows("server", _SERVER, _server, is_optional=True),
    shows("OS-DCF:diskConfig", enum("AUTO", "MANUAL"), _disk_config, is_optional=True),
    shows("OS-EXT-IMG-SIZE:size", INTEGER, lambda image, r: image.get("size") or 0),
)
_PAIRS = Plain({"type": ["string", "null"], "maxLength": 255})
_SHOWN_METADATA = obj(patterns={"^[a-zA-Z0-9-_:. ]{1,255}$": _PAIRS})
_ALL = made(obj(required("metadata", _SHOWN_METADATA)))
_ONE = made(
    obj(required("meta", Obj(patterns=_SHOWN_METADATA.patterns, limits={"minProperties": 1, "maxProperties": 1})))
)
_ALL_BODY = obj(required("metadata", METADATA))
_ONE_BODY = obj(required("meta", Obj(patterns=METADATA.patterns, limits={"minProperties": 1, "maxProperties": 1})))
_BASE = "/images/{image_id}/metadata"


@get("/images", until=_UNTIL, query=_LIST, answer=listing("images", view(*_BASIC), links_since="2.1"), errors=(400,))
def index(request: Request) -> Page:
    """The Image service's images, with this API's own names of filters and fields."""
    return _page(request)


@get("/images/detail", until=_UNTIL, query=_LIST, answer=listing("images", _DETAIL, links_since="2.1"), errors=(400,))
def detail(request: Request) -> Page:
    """The Image service's images with every field."""
    return _page(request)


@get("/images/{image_id}", until=_UNTIL, query=_OPEN, answer=single("image", _DETAIL), errors=(404,))
def show(request: Request, image_id: str) -> Json:
    """One image. Raises ImageNotFound."""
    image: Json = request.services.images.document(image_id, request.context)
    return image


@delete("/images/{image_id}", until=_UNTIL, errors=(403, 404))
def remove(request: Request, image_id: str) -> None:
    """Delete an image in the caller's name."""
    request.services.images.document(image_id, request.context)
    request.services.images.delete(image_id, request.context)


@get(_BASE, until=_METADATA_UNTIL, query=_OPEN, answer=_ALL, errors=(403, 404))
def index_metadata(request: Request, image_id: str) -> Json:
    """The image's own properties as metadata."""
    return {"metadata": _metadata(request, image_id)}


@post(_BASE, until=_METADATA_UNTIL, body=_ALL_BODY, answer=_ALL, errors=(400, 403, 404))
def add_metadata(request: Request, image_id: str) -> Json:
    """Add or overwrite properties. Raises QuotaExceeded for too many."""
    return {"metadata": _set(request, image_id, {**_metadata(request, image_id), **request.body["metadata"]})}


@put(_BASE, until=_METADATA_UNTIL, body=_ALL_BODY, answer=_ALL, errors=(400, 403, 404))
def replace_metadata(request: Request, image_id: str) -> Json:
    """Make the metadata the image's only properties."""
    return {"metadata": _set(request, image_id, request.body["metadata"])}


@get(f"{_BASE}/{{key}}", until=_METADATA_UNTIL, query=_OPEN, answer=_ONE, errors=(403, 404))
def show_metadata(request: Request, image_id: str, key: str) -> Json:
    """One property. 404 when the image does not have it."""
    return {"meta": {key: _existing(_metadata(request, image_id), key)}}


@put(f"{_BASE}/{{key}}", until=_METADATA_UNTIL, body=_ONE_BODY, answer=_ONE, errors=(400, 403, 404))
def set_metadata(request: Request, image_id: str, key: str) -> Json:
    """Set one property; the key in the body must be the one in the path."""
    fields = request.body["meta"]
    if key not in fields:
        raise errors.Invalid("Request body and URI mismatch")
    _set(request, image_id, {**_metadata(request, image_id), **fields})
    return {"meta": fields}


@delete(f"{_BASE}/{{key}}", until=_METADATA_UNTIL, errors=(403, 404))
def remove_metadata(request: Request, image_id: str, key: str) -> None:
    """Remove one property."""
    has = _metadata(request, image_id)
    _existing(has, key)
    _set(request, image_id, {name: value for name, value in has.items() if name != key})


def _metadata(request: Request, image_id: str) -> dict[str, str]:
    return _metadata_of(request.services.images.document(image_id, request.context))


def _existing(metadata: dict[str, str], key: str) -> str:
    if key not in metadata:
        raise errors.NotFound("Metadata item was not found")
    return metadata[key]


def _set(request: Request, image_id: str, properties: dict[str, str]) -> dict[str, str]:
    """Make these an image's properties. Raises QuotaExceeded for too many, Invalid for one of the image's own fields."""
    check_is_metadata(properties)
    limit = request.conductor.quota(request.context.project_id).limits["metadata_items"]
    if 0 <= limit < len(properties):
        raise errors.QuotaExceeded("Image metadata limit exceeded")
    changes: dict[str, str | None] = {name: None for name in _metadata(request, image_id) if name not in properties}
    request.services.images.set_properties(image_id, {**changes, **properties}, request.context)
    return _metadata(request, image_id)


def check_is_metadata(properties: dict[str, str]) -> None:
    """Raises Invalid for a field of the image itself.

    The Image service keeps both in one document: as a property, "name" would rename the image.
    """
    if own := sorted(OWN_KEYS.intersection(properties)):
        raise errors.Invalid(f"'{own[0]}' is a field of the image itself, not metadata.")


# This API's names of filters, and the Image service's.
_FILTERS = {"name": "name", "minRam": "min_ram", "minDisk": "min_disk", "type": "image_type"}


def _page(request: Request) -> Page:
    parameters = {name: values[-1] for name, values in request.query.items() if values}
    limit = parameters.get("limit") or parameters.get("page_size")
    most = request.conf.api.max_limit
    query: dict[str, Any] = {**_filters(request, parameters), "limit": most if limit is None else min(limit, most)}
    if "marker" in parameters:
        query["marker"] = str(parameters["marker"])
    try:
        images = request.services.images.documents(request.context, **query)
    except errors.ImageNotFound as error:
        raise errors.Invalid(f"marker [{parameters.get('marker')}] not found") from error
    is_full = bool(images) and len(images) == query["limit"]
    return Page(images, images[-1]["id"] if is_full else None)


def _filters(request: Request, parameters: dict[str, Any]) -> dict[str, str]:
    """The Image service's filters for this API's. Raises Invalid for a time that is none."""
    filters = {
        name.removeprefix("property-"): str(value) for name, value in parameters.items() if name.startswith("property-")
    }
    filters |= {there: str(parameters[here]) for here, there in _FILTERS.items() if here in parameters}
    if "status" in parameters:
        wanted = str(parameters["status"]).upper()
        filters["status"] = "in:" + ",".join([name for name, shown in _STATUS.items() if shown == wanted] or [wanted])
    if "server" in parameters:
        # An id, or the address of a server.
        filters["instance_uuid"] = str(parameters["server"]).rstrip("/").rpartition("/")[2]
    if since := request.moment("changes-since"):
        filters["updated_at"] = f"gte:{since.isoformat()}"
    return filters
