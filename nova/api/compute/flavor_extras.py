"""Extra specs of flavors, and who may use a flavor that is not public.

Source: Compute API reference, "Flavors extra-specs", "Flavors access".
"""

from typing import Any

from nova import errors
from nova.api.compute import extra_specs
from nova.api.compute.request import Request
from nova.api.compute.versions import EXTRA_SPECS_CHECKED, PUBLIC_FLAVOR_ACCESS_REFUSED
from nova.http.declaration import PROJECT as CALLER
from nova.http.declaration import action, delete, get, post, put
from nova.http.schema import STRING, Obj, Plain, arr, obj, required, string
from nova.http.view import made

_SPECS = "os_compute_api:os-flavor-extra-specs:"
_ACCESS = "os_compute_api:os-flavor-access"
_KEY = "^[a-zA-Z0-9-_:. ]{1,255}$"
_GIVEN = {_KEY: Plain({"type": ["string", "number"], "maxLength": 255})}
_STORED = {_KEY: Plain({"type": "string", "maxLength": 255})}
_PAIR = {"minProperties": 1, "maxProperties": 1}
_BASE = "/flavors/{flavor_id}/os-extra_specs"
_ONE = f"{_BASE}/{{key}}"


@get(_BASE, policy=f"{_SPECS}index", answer=made(obj(required("extra_specs", obj(patterns=_STORED)))), errors=(404,))
def index(request: Request, flavor_id: str) -> dict[str, Any]:
    """The extra specs of a flavor the caller may use."""
    return {"extra_specs": request.conductor.flavor(request.context, flavor_id).extra_specs}


@post(
    _BASE,
    policy=f"{_SPECS}create",
    body=obj(required("extra_specs", obj(patterns=_GIVEN))),
    answer=made(obj(required("extra_specs", obj(patterns=_GIVEN)))),
    errors=(400, 404, 409),
)
def create(request: Request, flavor_id: str) -> dict[str, Any]:
    """Add or overwrite extra specs. From 2.86 known keys are validated."""
    specs = _validated(request, request.body["extra_specs"])
    request.conductor.set_extra_specs(request.context, flavor_id, specs)
    return {"extra_specs": specs}


@get(_ONE, policy=f"{_SPECS}show", answer=made(Obj(patterns=_STORED)), errors=(404,))
def show(request: Request, flavor_id: str, key: str) -> dict[str, str]:
    """One extra spec. Raises NotFound (404) for a key the flavor does not have."""
    specs = request.conductor.flavor(request.context, flavor_id).extra_specs
    if key not in specs:
        raise errors.NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.")
    return {key: specs[key]}


@put(
    _ONE,
    policy=f"{_SPECS}update",
    body=Obj(patterns=_GIVEN, limits=_PAIR),
    answer=made(Obj(patterns=_GIVEN, limits=_PAIR)),
    errors=(400, 404, 409),
)
def update(request: Request, flavor_id: str, key: str) -> dict[str, str]:
    """Set one extra spec; the key in the body must be the one in the path."""
    if key not in request.body:
        raise errors.Invalid("Request body and URI mismatch")
    specs = _validated(request, request.body)
    request.conductor.set_extra_specs(request.context, flavor_id, specs)
    return specs


@delete(_ONE, policy=f"{_SPECS}delete", status=200, errors=(404,))
def remove(request: Request, flavor_id: str, key: str) -> None:
    """Remove one extra spec."""
    request.conductor.delete_extra_spec(request.context, flavor_id, key)


_USERS = made(
    obj(
        required("flavor_access", arr(obj(required("flavor_id", STRING), required("tenant_id", STRING), is_open=True))),
        is_open=True,
    )
)
_TENANT = obj(required("tenant", string(minLength=1, maxLength=255)))
_ACTION = "/flavors/{flavor_id}/action"


@get("/flavors/{flavor_id}/os-flavor-access", policy=_ACCESS, answer=_USERS, errors=(404,))
def index_access(request: Request, flavor_id: str) -> dict[str, Any]:
    """The projects that may use a private flavor. Raises NotFound for a public one, which has no list."""
    if request.conductor.flavor(request.context, flavor_id).is_public:
        raise errors.NotFound("Access list not available for public flavors.")
    return _users(flavor_id, request.conductor.flavor_projects(request.context, flavor_id))


@action(
    "addTenantAccess",
    _ACTION,
    policy=f"{_ACCESS}:add_tenant_access",
    target=CALLER,
    body=_TENANT,
    answer=_USERS,
    status=200,
    errors=(400, 403, 404, 409),
)
def add_access(request: Request, flavor_id: str) -> dict[str, Any]:
    """Let a project use a private flavor. Before 2.7 a public flavor is accepted, without effect; 409 from then on."""
    if request.since(PUBLIC_FLAVOR_ACCESS_REFUSED) and request.conductor.flavor(request.context, flavor_id).is_public:
        raise errors.Conflict("Can not add access to a public flavor.")
    project = request.body["tenant"]
    request.services.projects.check(project, request.context)
    return _users(flavor_id, request.conductor.set_flavor_access(request.context, flavor_id, project, True))


@action(
    "removeTenantAccess",
    _ACTION,
    policy=f"{_ACCESS}:remove_tenant_access",
    target=CALLER,
    body=_TENANT,
    answer=_USERS,
    status=200,
    errors=(400, 403, 404),
)
def remove_access(request: Request, flavor_id: str) -> dict[str, Any]:
    """Take a private flavor away from a project. Servers built with it keep it."""
    project = request.body["tenant"]
    return _users(flavor_id, request.conductor.set_flavor_access(request.context, flavor_id, project, False))


def _users(flavor_id: str, projects: list[str]) -> dict[str, Any]:
    return {"flavor_access": [{"flavor_id": flavor_id, "tenant_id": project} for project in projects]}


def _validated(request: Request, raw_specs: dict[str, Any]) -> dict[str, str]:
    specs = {key: str(value) for key, value in raw_specs.items()}
    if request.since(EXTRA_SPECS_CHECKED):
        extra_specs.check(specs)
    return specs
