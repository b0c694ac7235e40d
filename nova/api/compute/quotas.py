"""Quotas of projects and of the default class: /os-quota-sets, /os-quota-class-sets.

Source: Compute API reference, "Quota sets", "Quota class sets".
"""

from typing import Any

from nova.api.compute.request import Request
from nova.http.declaration import LATER, delete, get, put
from nova.http.schema import BOOLISH, Field, Obj, Plain, body, integer, obj, optional, query, required
from nova.http.schema import STRING as TEXT
from nova.http.view import chosen
from nova.structs.quota import NETWORK_RESOURCES

_COUNT = Plain({"type": "integer", "minimum": -1})
_LIMIT = integer(-1)
_USE = obj(required("in_use", _COUNT), required("limit", _COUNT), required("reserved", _COUNT))

# Until when each resource is known: to the quotas of projects, and to those of classes.
_INJECTED = dict.fromkeys(("injected_file_content_bytes", "injected_file_path_bytes", "injected_files"), "2.56")
_GROUPS = ("server_groups", "server_group_members")
_UNTIL: dict[str, str | None] = {
    **dict.fromkeys(("cores", "instances", "key_pairs", "metadata_items", "ram", *_GROUPS)),
    **_INJECTED,
    **dict.fromkeys(NETWORK_RESOURCES, "2.35"),
}
_CLASS_UNTIL = {**_UNTIL, **dict.fromkeys(NETWORK_RESOURCES, "2.49")}


def _limits(shape: Any, *more: Field) -> Obj:
    return obj(*(required(name, shape, until=last) for name, last in _UNTIL.items()), *more)


def _class_limits(*more: Field) -> Obj:
    return obj(
        *(
            required(name, _COUNT, since="2.50" if name in _GROUPS else None, until=last)
            for name, last in _CLASS_UNTIL.items()
        ),
        *more,
    )


def _answer(key: str, shape: Obj) -> Any:
    return chosen(obj(required(key, shape)))


_ID = required("id", TEXT)
_OF_USER = query(optional("user_id", TEXT), strict_since="2.75")
_SETTABLE = tuple(optional(name, _LIMIT, until=last) for name, last in _UNTIL.items())
_CLASS_SETTABLE = tuple(optional(name, _LIMIT, until=last) for name, last in _CLASS_UNTIL.items())


@get(
    "/os-quota-sets/{project_id}",
    policy="os_compute_api:os-quota-sets:show",
    target=LATER,
    query=_OF_USER,
    answer=_answer("quota_set", _limits(_COUNT, _ID)),
    errors=(400,),
)
def show(request: Request, project_id: str) -> dict[str, Any]:
    """The limits of a project, or of one of its users."""
    _check(request, "show", project_id)
    quota = request.conductor.quota(project_id, request.first("user_id"))
    return {"quota_set": {"id": project_id, **quota.limits}}


@get(
    "/os-quota-sets/{project_id}/detail",
    policy="os_compute_api:os-quota-sets:detail",
    target=LATER,
    query=_OF_USER,
    answer=_answer("quota_set", _limits(_USE, _ID)),
    errors=(400,),
)
def detail(request: Request, project_id: str) -> dict[str, Any]:
    """Limits with what is in use. Nothing is ever reserved: use is counted in the transaction that makes it."""
    _check(request, "detail", project_id)
    quota = request.conductor.quota(project_id, request.first("user_id"))
    shown = {
        name: {"limit": limit, "in_use": quota.in_use.get(name, 0), "reserved": 0}
        for name, limit in quota.limits.items()
    }
    return {"quota_set": {"id": project_id, **shown}}


@get(
    "/os-quota-sets/{project_id}/defaults",
    policy="os_compute_api:os-quota-sets:defaults",
    target=LATER,
    query=query(),
    answer=_answer("quota_set", _limits(_COUNT, _ID)),
    errors=(400,),
)
def defaults(request: Request, project_id: str) -> dict[str, Any]:
    """The limits of a project that has none of its own."""
    _check(request, "defaults", project_id)
    return {"quota_set": {"id": project_id, **request.conductor.default_quota().limits}}


@put(
    "/os-quota-sets/{project_id}",
    policy="os_compute_api:os-quota-sets:update",
    target=LATER,
    query=_OF_USER,
    body=body("quota_set", *_SETTABLE, optional("force", BOOLISH)),
    answer=_answer("quota_set", _limits(_COUNT)),
    errors=(400,),
)
def update(request: Request, project_id: str) -> dict[str, Any]:
    """Change the limits of a project, or of one of its users.

    Raises Invalid for a limit below what is in use, unless forced.
    """
    _check(request, "update", project_id)
    limits = dict(request.body["quota_set"])
    force = limits.pop("force", False)
    quota = request.conductor.set_quota(project_id, limits, request.first("user_id"), force)
    return {"quota_set": quota.limits}


@delete(
    "/os-quota-sets/{project_id}",
    policy="os_compute_api:os-quota-sets:delete",
    target=LATER,
    query=_OF_USER,
    status=202,
)
def remove(request: Request, project_id: str) -> None:
    """Return a project, or one of its users, to the default limits."""
    request.check("os_compute_api:os-quota-sets:delete", {"project_id": project_id})
    request.conductor.delete_quota(project_id, request.first("user_id"))


@get(
    "/os-quota-class-sets/{name}",
    policy="os_compute_api:os-quota-class-sets:show",
    answer=_answer("quota_class_set", _class_limits(_ID)),
)
def show_class(request: Request, name: str) -> dict[str, Any]:
    """The default limits, which the class "default" holds."""
    return {"quota_class_set": {"id": name, **request.conductor.default_quota(name).limits}}


@put(
    "/os-quota-class-sets/{name}",
    policy="os_compute_api:os-quota-class-sets:update",
    body=body("quota_class_set", *_CLASS_SETTABLE),
    answer=_answer("quota_class_set", _class_limits()),
    errors=(400,),
)
def update_class(request: Request, name: str) -> dict[str, Any]:
    """Change the default limits of every project without its own."""
    return {"quota_class_set": request.conductor.set_default_quota(request.body["quota_class_set"], name).limits}


def _check(request: Request, what: str, project_id: str) -> None:
    """Raises PolicyDenied, and Invalid for what is no project."""
    request.check(f"os_compute_api:os-quota-sets:{what}", {"project_id": project_id})
    request.services.projects.check(project_id, request.context)
