"""Flavors: /flavors. Source: Compute API reference, "Flavors"."""

import uuid
from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.http.declaration import delete, get, post, put
from nova.http.schema import (
    BOOLEAN,
    BOOLISH,
    INTEGER,
    LINK,
    LONG_TEXT,
    NAME,
    NUMBER,
    STRING,
    Plain,
    arr,
    body,
    enum,
    integer,
    is_number,
    obj,
    optional,
    query,
    required,
    versioned,
)
from nova.http.view import ABSENT, Page, listing, shows, single, view
from nova.structs.flavor import Flavor

_RXTX = Plain(
    {
        "type": ["number", "string"],
        "pattern": r"^[0-9]+(\.[0-9]+)?$",
        "exclusiveMinimum": 0,
        "maximum": 3.40282e38,
        "maxLength": 40,
    },
    float,
)

CREATE = body(
    "flavor",
    required("name", NAME),
    optional(
        "id", Plain({"type": ["string", "number", "null"], "format": "flavor_id", "minLength": 1, "maxLength": 255})
    ),
    required("ram", integer(1)),
    required("vcpus", integer(1)),
    required("disk", integer(0)),
    optional("OS-FLV-EXT-DATA:ephemeral", integer(0), default=0),
    optional("swap", integer(0), default=0),
    optional("rxtx_factor", _RXTX, until="2.101", default=1.0),
    optional("os-flavor-access:is_public", BOOLISH, default=True),
    optional("description", LONG_TEXT, since="2.55"),
)
UPDATE = body("flavor", required("description", LONG_TEXT))

_SORT_KEYS = (
    "created_at", "description", "disabled", "ephemeral_gb", "flavorid", "id", "is_public", "memory_mb", "name",
    "root_gb", "swap", "updated_at", "vcpu_weight", "vcpus",
)  # fmt: skip
LIST = query(
    optional("limit", integer(0)),
    optional("marker", STRING),
    optional("is_public", STRING),
    optional("minRam", STRING),
    optional("minDisk", STRING),
    optional("sort_key", versioned(enum(*_SORT_KEYS, "rxtx_factor"), v2_102=enum(*_SORT_KEYS))),
    optional("sort_dir", enum("asc", "desc")),
    optional("name", STRING, since="2.102"),
    strict_since="2.75",
)


def _links(flavor: Flavor, request: Request) -> list[dict[str, str]]:
    return request.links(f"/flavors/{flavor.id}")


def _extra_specs(flavor: Flavor, request: Request) -> Any:
    return flavor.extra_specs if request.allows("os_compute_api:os-flavor-extra-specs:index") else ABSENT


_DESCRIPTION = shows("description", Plain({"type": ["string", "null"]}), since="2.55")
BASIC = view(shows("id", STRING), shows("name", STRING), shows("links", arr(LINK), _links), _DESCRIPTION)
DETAIL = view(
    shows("id", STRING),
    shows("name", STRING),
    shows("ram", INTEGER, "memory_mb"),
    shows("vcpus", INTEGER),
    shows("disk", INTEGER, "root_gb"),
    # Without swap an empty string until 2.74, then 0.
    shows("swap", Plain({"type": ["integer", "string"]}), lambda flavor, request: flavor.swap_mb or "", until="2.74"),
    shows("swap", INTEGER, "swap_mb", since="2.75"),
    shows("OS-FLV-EXT-DATA:ephemeral", INTEGER, "ephemeral_gb"),
    shows("OS-FLV-DISABLED:disabled", BOOLEAN, "is_disabled", until="2.101"),
    shows("os-flavor-access:is_public", BOOLEAN, "is_public"),
    shows("rxtx_factor", NUMBER, until="2.101"),
    shows("links", arr(LINK), _links),
    _DESCRIPTION,
    shows("extra_specs", obj(patterns={"^.*$": STRING}), _extra_specs, since="2.61", is_optional=True),
)


@get("/flavors", query=LIST, answer=listing("flavors", BASIC, links_since="2.1"), errors=(400,))
def index(request: Request) -> Page:
    """The flavors the caller may use. Administrators choose by is_public, "none" meaning all."""
    return _page(request)


@get("/flavors/detail", query=LIST, answer=listing("flavors", DETAIL, links_since="2.1"), errors=(400,))
def detail(request: Request) -> Page:
    """The flavors the caller may use, with every field."""
    return _page(request)


@get("/flavors/{flavor_id}", answer=single("flavor", DETAIL), errors=(404,))
def show(request: Request, flavor_id: str) -> Flavor:
    """One flavor. Another project's private flavor is 404."""
    return request.conductor.flavor(request.context, flavor_id)


@post(
    "/flavors",
    policy="os_compute_api:os-flavor-manage:create",
    body=CREATE,
    answer=single("flavor", DETAIL),
    errors=(400, 403, 409),
)
def create(request: Request) -> Flavor:
    """Create a flavor. Raises FlavorExists."""
    fields = request.body["flavor"]
    flavor_id = fields.get("id")
    return request.conductor.add_flavor(
        request.context,
        Flavor(
            id=str(uuid.uuid4()) if flavor_id in (None, "auto") else str(flavor_id).strip(),
            name=fields["name"],
            memory_mb=fields["ram"],
            vcpus=fields["vcpus"],
            root_gb=fields["disk"],
            ephemeral_gb=fields["OS-FLV-EXT-DATA:ephemeral"],
            swap_mb=fields["swap"],
            rxtx_factor=fields.get("rxtx_factor", 1.0),
            is_public=fields["os-flavor-access:is_public"],
            description=fields.get("description"),
        ),
    )


@put(
    "/flavors/{flavor_id}",
    policy="os_compute_api:os-flavor-manage:update",
    body=UPDATE,
    answer=single("flavor", DETAIL),
    since="2.55",
    errors=(400, 404),
)
def update(request: Request, flavor_id: str) -> Flavor:
    """Change the description, the only field of a flavor that can change."""
    return request.conductor.update_flavor(request.context, flavor_id, request.body["flavor"]["description"])


@delete("/flavors/{flavor_id}", policy="os_compute_api:os-flavor-manage:delete", status=202, errors=(404,))
def remove(request: Request, flavor_id: str) -> None:
    """Delete a flavor. Servers keep the copy in their record."""
    request.conductor.delete_flavor(request.context, flavor_id)


def _page(request: Request) -> Page:
    """Filtered, sorted and cut here: there are few flavors."""
    flavors = _visible(request)
    for parameter, attribute in (("minRam", "memory_mb"), ("minDisk", "root_gb")):
        least = request.first(parameter)
        if least is not None:
            if not is_number(least.removeprefix("-")):
                raise errors.Invalid(f"Invalid {parameter} filter [{least}]")
            flavors = [flavor for flavor in flavors if getattr(flavor, attribute) >= int(least)]
    if (name := request.first("name")) is not None:
        flavors = [flavor for flavor in flavors if flavor.name == name]
    attribute = _SORT[request.first("sort_key", "flavorid")]
    flavors.sort(
        key=lambda flavor: (getattr(flavor, attribute) or "", flavor.id), reverse=request.first("sort_dir") == "desc"
    )
    return _cut(request, flavors)


_SORT = {
    "created_at": "id", "description": "description", "disabled": "is_disabled", "ephemeral_gb": "ephemeral_gb",
    "flavorid": "id", "id": "id", "is_public": "is_public", "memory_mb": "memory_mb", "name": "name", "root_gb": "root_gb",
    "rxtx_factor": "rxtx_factor", "swap": "swap_mb", "updated_at": "id", "vcpu_weight": "id", "vcpus": "vcpus",
}  # fmt: skip


def _visible(request: Request) -> list[Flavor]:
    """Flavors the caller may use; administrators choose by is_public, "none" being all."""
    choice = request.first("is_public")
    if not request.context.is_admin:
        return request.conductor.flavors(request.context)
    flavors = request.conductor.flavors(request.context, include_all=True)
    if choice is None:
        return [flavor for flavor in flavors if flavor.is_public]
    if choice.lower() == "none":
        return flavors
    if choice.lower() not in ("true", "false", "1", "0", "t", "f", "yes", "no", "y", "n", "on", "off"):
        raise errors.Invalid(f"Invalid is_public filter [{choice}]")
    is_public = choice.lower() in ("true", "1", "t", "yes", "y", "on")
    return [flavor for flavor in flavors if flavor.is_public == is_public]


def _cut(request: Request, flavors: list[Flavor]) -> Page:
    marker = request.first("marker")
    if marker is not None:
        places = [place for place, flavor in enumerate(flavors) if flavor.id == marker]
        if not places:
            raise errors.Invalid(f"marker [{marker}] not found")
        flavors = flavors[places[0] + 1 :]
    most = request.conf.api.max_limit
    limit = request.first("limit")
    limit = most if limit is None else min(limit, most)
    cut = flavors[:limit]
    return Page(
        cut, cut[-1].id if cut and len(cut) == limit and (request.first("limit") or len(flavors) > limit) else None
    )
