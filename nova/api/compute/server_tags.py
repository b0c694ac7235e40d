"""Tags of a server: /servers/{id}/tags, from 2.26 on. Source: Compute API reference, "Server tags"."""

from typing import Any

from nova import errors
from nova.api.compute.app import Reply
from nova.api.compute.request import Request
from nova.http.declaration import SERVER, delete, get, put
from nova.http.schema import NULL, TAG, arr, checker, obj, query, required
from nova.http.view import made

_RULES = "os_compute_api:os-server-tags:"
_PATH = "/servers/{server_id}/tags"
_ONE = f"{_PATH}/{{tag}}"
_SINCE = "2.26"
_ANY_QUERY = query()


@get(
    _PATH,
    policy=f"{_RULES}index",
    target=SERVER,
    since=_SINCE,
    query=_ANY_QUERY,
    answer=made(obj(required("tags", arr(TAG)))),
    errors=(404,),
)
def index(request: Request) -> dict[str, Any]:
    """The server's tags."""
    return {"tags": list(request.server.tags)}


@put(
    _PATH,
    policy=f"{_RULES}update_all",
    target=SERVER,
    since=_SINCE,
    body=obj(required("tags", arr(TAG, maxItems=50))),
    answer=made(obj(required("tags", arr(TAG)))),
    errors=(400, 404, 409),
)
def replace(request: Request) -> dict[str, Any]:
    """Make these tags the only ones."""
    tags = request.conductor.set_tags(request.context, request.server.uuid, request.body["tags"])
    return {"tags": list(tags)}


@delete(_PATH, policy=f"{_RULES}delete_all", target=SERVER, since=_SINCE, errors=(404, 409))
def clear(request: Request) -> None:
    """Remove every tag."""
    request.conductor.set_tags(request.context, request.server.uuid, [])


@get(_ONE, policy=f"{_RULES}show", target=SERVER, since=_SINCE, query=_ANY_QUERY, status=204, errors=(404,))
def show(request: Request, tag: str) -> None:
    """Whether the server has this tag, said by the status alone: 204 or 404."""
    if tag not in request.server.tags:
        raise errors.NotFound(f"Server {request.server.uuid} has no tag '{tag}'")


@put(
    _ONE,
    policy=f"{_RULES}update",
    target=SERVER,
    since=_SINCE,
    body=NULL,
    is_bodyless=True,
    status=201,
    other_codes=(204,),
    errors=(400, 404, 409),
)
def add(request: Request, tag: str) -> Reply:
    """Add one tag. 201 for a new tag, 204 for one that is there."""
    checker(TAG, request.version)(tag)
    if not request.conductor.add_tag(request.context, request.server.uuid, tag):
        return Reply(status=204)
    return Reply(headers={"Location": request.link(f"/servers/{request.server.uuid}/tags/{tag}")})


@delete(_ONE, policy=f"{_RULES}delete", target=SERVER, since=_SINCE, errors=(404, 409))
def remove(request: Request, tag: str) -> None:
    """Remove one tag. 404 when the server does not have it."""
    request.conductor.remove_tag(request.context, request.server.uuid, tag)
