"""Metadata of a server: /servers/{id}/metadata. Source: Compute API reference, "Server metadata"."""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.http.declaration import SERVER, delete, get, post, put
from nova.http.schema import METADATA, Obj, Plain, obj, required
from nova.http.view import made

_RULES = "os_compute_api:server-metadata:"
_PATH = "/servers/{server_id}/metadata"
_ONE = f"{_PATH}/{{key}}"
_LIMITS = {"minProperties": 1, "maxProperties": 1}
_SHOWN = {"^[a-zA-Z0-9-_:. ]{1,255}$": Plain({"type": ["string", "null"], "maxLength": 255})}
_ALL_BODY = obj(required("metadata", METADATA))
_ALL_ANSWER = made(obj(required("metadata", Obj(patterns=_SHOWN))))
_ONE_BODY = obj(required("meta", Obj(patterns=METADATA.patterns, limits=_LIMITS)))
_ONE_ANSWER = made(obj(required("meta", Obj(patterns=_SHOWN, limits=_LIMITS))))


@get(_PATH, policy=f"{_RULES}index", target=SERVER, answer=_ALL_ANSWER, errors=(404,))
def index(request: Request) -> dict[str, Any]:
    """The server's metadata."""
    return {"metadata": request.server.metadata}


@post(_PATH, policy=f"{_RULES}create", target=SERVER, body=_ALL_BODY, answer=_ALL_ANSWER, errors=(400, 403, 404, 409))
def add(request: Request) -> dict[str, Any]:
    """Add or overwrite items of the server's metadata. Raises QuotaExceeded for too many."""
    return {"metadata": _set(request, request.body["metadata"])}


@put(
    _PATH,
    policy=f"{_RULES}update_all",
    target=SERVER,
    body=_ALL_BODY,
    answer=_ALL_ANSWER,
    errors=(400, 403, 404, 409),
)
def replace(request: Request) -> dict[str, Any]:
    """Make these items the server's only metadata."""
    return {"metadata": _set(request, request.body["metadata"], replace=True)}


@get(_ONE, policy=f"{_RULES}show", target=SERVER, answer=_ONE_ANSWER, errors=(404,))
def show(request: Request, key: str) -> dict[str, Any]:
    """One item. 404 when the server does not have it."""
    if key not in request.server.metadata:
        raise errors.NotFound("Metadata item was not found")
    return {"meta": {key: request.server.metadata[key]}}


@put(_ONE, policy=f"{_RULES}update", target=SERVER, body=_ONE_BODY, answer=_ONE_ANSWER, errors=(400, 403, 404, 409))
def update(request: Request, key: str) -> dict[str, Any]:
    """Set one item; the key in the body must be the one in the path."""
    fields = request.body["meta"]
    if key not in fields:
        raise errors.Invalid("Request body and URI mismatch")
    _set(request, fields)
    return {"meta": fields}


@delete(_ONE, policy=f"{_RULES}delete", target=SERVER, errors=(404, 409))
def remove(request: Request, key: str) -> None:
    """Remove one item."""
    request.conductor.delete_metadata(request.context, request.server.uuid, key)


def _set(request: Request, metadata: dict[str, str], replace: bool = False) -> dict[str, str]:
    return request.conductor.set_metadata(request.context, request.server.uuid, metadata, replace)
