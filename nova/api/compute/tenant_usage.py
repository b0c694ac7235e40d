"""What projects used in a period: /os-simple-tenant-usage. Source: Compute API reference, "Usage reports"."""

import datetime
from collections.abc import Iterable
from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.api.compute.versions import USAGE_PAGED
from nova.clock import utcnow
from nova.http.declaration import LATER, get
from nova.http.schema import (
    INTEGER,
    LIMIT,
    NEXT,
    NUMBER,
    STRING,
    TIME,
    UUID,
    Field,
    Obj,
    Plain,
    arr,
    enum,
    nullable,
    obj,
    one_of,
    optional,
    query,
    required,
)
from nova.http.view import made
from nova.structs.usage import ServerUsage

_RULES = "os_compute_api:os-simple-tenant-usage:"
_HOUR = datetime.timedelta(hours=1)
_FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f")

_AMOUNT = Plain({"type": "number", "minimum": 0})
_STATES = (
    "active", "building", "error", "paused", "rescued", "resized", "shelved", "shelved_offloaded", "stopped",
    "suspended", "terminated",
)  # fmt: skip
_SERVER = obj(
    required("instance_id", UUID),
    required("name", STRING),
    required("tenant_id", STRING),
    required("flavor", STRING),
    required("hours", NUMBER),
    required("uptime", Plain({"type": "integer", "minimum": 0})),
    required("started_at", TIME),
    required("ended_at", nullable(TIME)),
    required("state", enum(*_STATES)),
    optional("vcpus", Plain({"type": "integer", "minimum": 1})),
    optional("memory_mb", Plain({"type": "integer", "minimum": 1})),
    optional("local_gb", INTEGER),
)


def _tenant(server_usages: Field) -> Obj:
    return obj(
        required("tenant_id", STRING),
        required("start", TIME),
        required("stop", TIME),
        required("total_hours", _AMOUNT),
        required("total_local_gb_usage", _AMOUNT),
        required("total_memory_mb_usage", _AMOUNT),
        required("total_vcpus_usage", _AMOUNT),
        server_usages,
    )


_PERIOD = (optional("start", STRING), optional("end", STRING))
_PAGE = (optional("limit", LIMIT, since="2.40"), optional("marker", STRING, since="2.40"))


@get(
    "/os-simple-tenant-usage",
    policy=f"{_RULES}list",
    query=query(*_PERIOD, optional("detailed", STRING), *_PAGE, strict_since="2.75"),
    answer=made(
        obj(
            required("tenant_usages", arr(_tenant(optional("server_usages", arr(_SERVER))))),
            optional("tenant_usages_links", NEXT, since="2.40"),
        )
    ),
    errors=(400,),
)
def index(request: Request) -> dict[str, Any]:
    """Usage of every project in a period; paged by server from 2.40."""
    begin, end = _period(request)
    used, links = _page(request, begin, end, None)
    is_detailed = request.first("detailed", "0") == "1"
    by_project: dict[str, list[ServerUsage]] = {}
    for server in used:
        by_project.setdefault(server.project_id, []).append(server)
    usages = [_usage(project, begin, end, servers, is_detailed) for project, servers in by_project.items()]
    return {"tenant_usages": usages, **({"tenant_usages_links": links} if links else {})}


@get(
    "/os-simple-tenant-usage/{project_id}",
    policy=f"{_RULES}show",
    target=LATER,
    query=query(*_PERIOD, *_PAGE, strict_since="2.75"),
    answer=made(
        obj(
            required("tenant_usage", one_of(_tenant(required("server_usages", arr(_SERVER))), obj())),
            optional("tenant_usage_links", NEXT, since="2.40"),
        )
    ),
    errors=(400,),
)
def show(request: Request, project_id: str) -> dict[str, Any]:
    """Usage of one project in a period, with its servers."""
    request.check(f"{_RULES}show", {"project_id": project_id})
    begin, end = _period(request)
    used, links = _page(request, begin, end, project_id)
    usage = _usage(project_id, begin, end, used, is_detailed=True) if used else {}
    return {"tenant_usage": usage, **({"tenant_usage_links": links} if links else {})}


def _page(
    request: Request, begin: datetime.datetime, end: datetime.datetime, project_id: str | None
) -> tuple[list[ServerUsage], list[dict[str, str]] | None]:
    if not request.since(USAGE_PAGED):
        return request.conductor.usage(request.context, begin, end, project_id), None
    most = request.conf.api.max_limit
    requested_limit = request.first("limit")
    limit = most if requested_limit is None else min(requested_limit, most)
    used = request.conductor.usage(request.context, begin, end, project_id, limit, request.first("marker"))
    if not used or len(used) < limit:
        return used, None
    return used, [{"rel": "next", "href": request.next_page(used[-1].uuid)}]


def _period(request: Request) -> tuple[datetime.datetime, datetime.datetime]:
    """Begin and end; now for what is not given. Raises Invalid."""
    now = utcnow()
    begin, end = (_parsed(request.first(name), now) for name in ("start", "end"))
    if begin > end:
        raise errors.Invalid("Invalid start time. The start time cannot occur after the end time.")
    return begin, end


def _parsed(text: str | None, now: datetime.datetime) -> datetime.datetime:
    if not text:
        return now
    for pattern in _FORMATS:
        try:
            return datetime.datetime.strptime(text, pattern)
        except ValueError:
            continue
    raise errors.Invalid(f"Datetime is in invalid format: {text}")


def _usage(
    project_id: str,
    begin: datetime.datetime,
    end: datetime.datetime,
    used: Iterable[ServerUsage],
    is_detailed: bool,
) -> dict[str, Any]:
    servers = [(_server(server, begin, end), server) for server in used]
    usage: dict[str, Any] = {
        "tenant_id": project_id,
        "start": begin.isoformat(),
        "stop": end.isoformat(),
        "total_hours": sum((shown["hours"] for shown, _ in servers), 0.0),
        "total_vcpus_usage": sum((shown["hours"] * server.vcpus for shown, server in servers), 0.0),
        "total_memory_mb_usage": sum((shown["hours"] * server.memory_mb for shown, server in servers), 0.0),
        "total_local_gb_usage": sum((shown["hours"] * server.disk_gb for shown, server in servers), 0.0),
    }
    if is_detailed:
        usage["server_usages"] = [shown for shown, _ in servers]
    return usage


def _server(usage: ServerUsage, begin: datetime.datetime, end: datetime.datetime) -> dict[str, Any]:
    ended = usage.terminated_at
    # What is still to come of the period is not used yet: Horizon and the CLI ask until the end of today or later.
    until = ended or utcnow()
    within = min(until, end) - max(usage.launched_at, begin)
    return {
        "instance_id": usage.uuid,
        "name": usage.name,
        "tenant_id": usage.project_id,
        "flavor": usage.flavor,
        "vcpus": usage.vcpus,
        "memory_mb": usage.memory_mb,
        "local_gb": usage.disk_gb,
        "started_at": usage.launched_at.isoformat(),
        "ended_at": None if ended is None else ended.isoformat(),
        "state": "terminated" if ended is not None else usage.vm_state,
        "uptime": max(int((until - usage.launched_at).total_seconds()), 0),
        "hours": max(within / _HOUR, 0.0),
    }
