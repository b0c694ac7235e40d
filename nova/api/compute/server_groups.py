"""Server groups: /os-server-groups. Source: Compute API reference, "Server groups"."""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.http.declaration import LATER, delete, get, post
from nova.http.schema import (
    INTEGER,
    LIMIT,
    NAME,
    STRING,
    UUID,
    arr,
    body,
    enum,
    integer,
    obj,
    optional,
    query,
    required,
    versioned,
)
from nova.http.view import Page, listing, shows, single, view
from nova.structs.server_group import ServerGroup

_RULES = "os_compute_api:os-server-groups:"
_HARD = ("anti-affinity", "affinity")
_POLICY = enum(*_HARD, "soft-anti-affinity", "soft-affinity")
_OLD_POLICY = versioned(enum(*_HARD), v2_15=_POLICY)
_PER_HOST = integer(1)

_GROUP = view(
    shows("id", UUID, "uuid"),
    shows("name", STRING),
    shows("policies", arr(_OLD_POLICY, minItems=0, maxItems=1), lambda group, r: [group.policy], until="2.63"),
    shows("policy", _POLICY, since="2.64"),
    shows("rules", obj(optional("max_server_per_host", INTEGER)), since="2.64"),
    shows("members", arr(UUID), lambda group, request: list(group.members)),
    shows("metadata", obj(), lambda group, request: {}, until="2.63"),
    shows("project_id", STRING, since="2.13"),
    shows("user_id", STRING, since="2.13"),
)


@get(
    "/os-server-groups",
    policy=f"{_RULES}index",
    query=query(
        optional("all_projects", STRING), optional("limit", LIMIT), optional("offset", LIMIT), strict_since="2.75"
    ),
    answer=listing("server_groups", _GROUP),
)
def index(request: Request) -> Page:
    """The project's groups, or for administrators those of all projects."""
    project: str | None = request.context.project_id
    if "all_projects" in request.query and request.allows(f"{_RULES}index:all_projects"):
        project = None
    most = request.conf.api.max_limit
    limit = request.first("limit")
    page_size = most if limit is None else min(limit, most)
    return Page(request.conductor.server_groups(request.context, project, page_size, request.first("offset", 0)))


@post(
    "/os-server-groups",
    policy=f"{_RULES}create",
    body=body(
        "server_group",
        required("name", NAME),
        required("policies", arr(_OLD_POLICY, minItems=1, maxItems=1, uniqueItems=True), until="2.63"),
        required("policy", _POLICY, since="2.64"),
        optional("rules", obj(optional("max_server_per_host", _PER_HOST)), since="2.64"),
    ),
    answer=single("server_group", _GROUP),
    errors=(400, 403, 409),
)
def create(request: Request) -> ServerGroup:
    """A new empty group. Raises QuotaExceeded."""
    fields: dict[str, Any] = request.body["server_group"]
    policy = fields.get("policy") or fields["policies"][0]
    rules = fields.get("rules") or {}
    if rules and policy != "anti-affinity":
        raise errors.Invalid("Only anti-affinity policy supports rules.")
    return request.conductor.add_server_group(request.context, fields["name"], policy, rules)


@get(
    "/os-server-groups/{group_id}",
    policy=f"{_RULES}show",
    target=LATER,
    answer=single("server_group", _GROUP),
    errors=(404,),
)
def show(request: Request, group_id: str) -> ServerGroup:
    """One group with the servers that are members."""
    return _visible(request, group_id, "show")


@delete("/os-server-groups/{group_id}", policy=f"{_RULES}delete", target=LATER, errors=(404,))
def remove(request: Request, group_id: str) -> None:
    """Delete a group. Its servers stay where they are."""
    request.conductor.delete_server_group(request.context, _visible(request, group_id, "delete").uuid)


def _visible(request: Request, group_id: str, what: str) -> ServerGroup:
    """A group the caller may know of. Raises ServerGroupNotFound for another project's, too."""
    project_id = None if request.context.is_admin else request.context.project_id
    group = request.conductor.server_group(request.context, group_id, project_id)
    # Conductors of the last release do not ask for the project.
    if project_id not in (None, group.project_id):
        raise errors.ServerGroupNotFound(group_id=group_id)
    request.check(f"{_RULES}{what}", {"project_id": group.project_id, "user_id": group.user_id})
    return group
