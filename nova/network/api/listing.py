"""Lists: filters, order, pages and the choice of attributes, the same for every noun.

A filter is an attribute's name; given twice, either value will do. Filters the tables know go to
the store, the others are applied to what it gives.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from webob import Request

from nova.errors import Invalid
from nova.http.schema import is_number
from nova.network.api.fields import boolean
from nova.network.api.resource import Call, Resource

_CONTROLS = ("fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir", "retrieve_all")


def answer(resource: Resource, request: Request, call: Call) -> dict[str, Any]:
    """The body of a list, with a link to the next page where a limit leaves more. Raises Invalid."""
    query = request.GET
    if any("\0" in value for value in query.values()):
        raise Invalid("A filter holds no NUL character.")
    filters = {name: query.getall(name) for name in dict.fromkeys(query) if name not in _CONTROLS}
    where, rest = _split(call, resource, filters)
    resource.before_list(call, where)
    views = resource.views(call, call.find(resource.noun, **where))
    views = [view for view in views if _matches(view, rest)]
    views = _ordered(views, query.getall("sort_key"), query.getall("sort_dir"))
    views, links = _page(resource, views, request)
    wanted = query.getall("fields")
    body: dict[str, Any] = {resource.plural: [only(view, wanted) for view in views]}
    if links:
        body[f"{resource.plural}_links"] = links
    return body


def only(view: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """All of it when nothing is wanted in particular; unknown names are passed over."""
    if not wanted:
        return view
    return {name: view[name] for name in wanted if name in view}


def _split(
    call: Call, resource: Resource, filters: dict[str, list[str]]
) -> tuple[dict[str, list[Any]], dict[str, list[str]]]:
    """What the store filters by, and what is left: what the caller is shown, for nobody finds by what he may not see."""
    known = resource.filter_names()
    unknown = [name for name in filters if name not in known]
    if unknown:
        raise Invalid(f"{unknown} is invalid attribute for filtering")
    where: dict[str, list[Any]] = {}
    rest: dict[str, list[str]] = {}
    for name, values in filters.items():
        if name in resource.columns and resource.shows(call, name):
            where[resource.columns[name]] = values
        elif name == "fixed_ips":
            for value in values:
                part, _, wanted = value.partition("=")
                if part not in ("ip_address", "subnet_id"):
                    raise Invalid(f"'{value}' is invalid for filtering by fixed_ips")
                where.setdefault(part, []).append(wanted)
        elif resource.noun == "port" and name == "security_groups":
            where["security_group_id"] = values
        else:
            rest[name] = values
    return where, rest


def _matches(view: dict[str, Any], filters: dict[str, list[str]]) -> bool:
    return all(_matches_one(view, name, values) for name, values in filters.items())


def _matches_one(view: dict[str, Any], name: str, values: list[str]) -> bool:
    if name in ("tags", "tags-any", "not-tags", "not-tags-any"):
        wanted = {tag for value in values for tag in value.split(",")}
        held = set(view["tags"])
        has = wanted <= held if name in ("tags", "not-tags") else bool(wanted & held)
        return not has if name.startswith("not") else has
    if name == "changed_since":
        return all(view["updated_at"] >= value.rstrip("Z") for value in values)
    shown = view.get(name)
    if isinstance(shown, list):
        return any(value in shown for value in values)
    if isinstance(shown, bool):
        return any(_as_bool(name, value) is shown for value in values)
    if shown is None:
        return any(value.lower() in ("", "none", "null") for value in values)
    return str(shown) in values


def _as_bool(name: str, value: str) -> bool:
    try:
        return boolean(value)
    except ValueError as error:
        raise Invalid(f"Invalid input for operation: filter {name}: {error}.") from None


def _ordered(views: list[dict[str, Any]], keys: list[str], directions: list[str]) -> list[dict[str, Any]]:
    if directions and len(directions) != len(keys):
        raise Invalid("The number of sort_keys and sort_dirs must be same")
    for key, direction in reversed(list(zip(keys, directions or ["asc"] * len(keys), strict=True))):
        if direction not in ("asc", "desc"):
            raise Invalid(f"'{direction}' is not asc or desc")
        if views and (key not in views[0] or isinstance(views[0][key], list | dict)):
            raise Invalid(f"{key} is invalid attribute for sort_keys")
        views = sorted(views, key=lambda view: (view[key] is not None, view[key]), reverse=direction == "desc")
    return views


def _page(
    resource: Resource, views: list[dict[str, Any]], request: Request
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    limit, marker = request.GET.get("limit"), request.GET.get("marker")
    is_reverse = request.GET.get("page_reverse", "").lower() == "true"
    if limit is not None and not is_number(limit):
        raise Invalid(f"Limit must be an integer 0 or greater and not '{limit}'")
    if is_reverse:
        views = views[::-1]
    if marker is not None:
        position = next((index for index, view in enumerate(views) if view["id"] == marker), None)
        if position is None:
            raise Invalid(f"marker {marker} not found")
        views = views[position + 1 :]
    size = int(limit or 0)
    if not size:
        return (views[::-1] if is_reverse else views), []
    page, has_more = views[:size], len(views) > size
    links = []
    if has_more:
        links.append({"rel": "previous" if is_reverse else "next", "href": _href(request, page[-1]["id"])})
    return (page[::-1] if is_reverse else page), links


def _href(request: Request, marker: str) -> str:
    query = request.GET.copy()
    query["marker"] = marker
    return f"{request.path_url}?{urlencode(list(query.items()))}"
