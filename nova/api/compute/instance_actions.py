"""What was done to a server: /servers/{id}/os-instance-actions. An action is an operation, its events the steps.

Source: Compute API reference, "Servers actions".
"""

import datetime
from typing import Any

from nova import errors
from nova.api.compute.app import visible_server
from nova.api.compute.request import Request
from nova.api.compute.server_view import host_id_of
from nova.api.compute.versions import ACTIONS_OF_DELETED, ACTIONS_PAGED
from nova.http.declaration import LATER, get
from nova.http.schema import LIMIT, STRING, TIME, UUID, Plain, arr, nullable, once, query
from nova.http.view import Page, listing, shows, single, view
from nova.structs.instance import Instance
from nova.structs.operation import OperationRecord, StepRecord

_RULES = "os_compute_api:os-instance-actions:"
_ID = nullable(Plain({"type": "string"}))


def _time(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def _rights(request: Request) -> frozenset[str]:
    """Seeing events with their tracebacks and hosts, and the reason of a failure."""
    rules = {"events": f"{_RULES}events", "details": f"{_RULES}events:details"}
    return frozenset(name for name, rule in rules.items() if request.allows(rule, _owner(request)))


def _owner(request: Request) -> dict[str, str]:
    return {"project_id": request.server.project_id, "user_id": request.server.user_id}


def _details(step: StepRecord, request: Request) -> str | None:
    """The last line of a failure is its message."""
    if step.result != "Error" or not step.details:
        return None
    return step.details.strip().splitlines()[-1]


_EVENT = view(
    shows("event", STRING, "name"),
    shows("start_time", TIME, lambda step, request: _time(step.started_at)),
    shows("finish_time", nullable(TIME), lambda step, request: _time(step.finished_at)),
    shows("result", nullable(STRING)),
    shows("traceback", nullable(STRING), lambda s, r: s.details if s.result == "Error" else None, right="events"),
    shows("hostId", STRING, lambda s, r: host_id_of(r.server.project_id, s.host), since="2.62"),
    shows("host", STRING, lambda s, r: s.host or "", since="2.62", right="events"),
    shows("details", nullable(STRING), _details, since="2.84", right="details"),
    rights=_rights,
)


def _events(action: OperationRecord, request: Request) -> list[dict[str, Any]]:
    return list(map(_EVENT.renderer(request), reversed(action.events)))


_COMMON = (
    shows("action", STRING, "name"),
    shows("instance_uuid", UUID),
    shows("request_id", STRING),
    shows("project_id", _ID),
    shows("user_id", _ID),
    shows("start_time", TIME, lambda action, request: _time(action.created_at)),
    shows("message", nullable(STRING)),
    shows("updated_at", nullable(TIME), lambda action, request: _time(action.updated_at), since="2.58"),
)
_LISTED = view(*_COMMON)
_SHOWN = view(
    *_COMMON,
    shows("events", arr(_EVENT.shape()), _events, until="2.50", right="events"),
    shows("events", arr(_EVENT.shape()), _events, since="2.51"),
    rights=_rights,
)
_LIST = query(
    once("limit", LIMIT, since="2.58"),
    once("marker", STRING, since="2.58"),
    once("changes-since", TIME, since="2.58"),
    once("changes-before", TIME, since="2.66"),
    strict_since="2.58",
)


@get(
    "/servers/{server_id}/os-instance-actions",
    policy=f"{_RULES}list",
    target=LATER,
    query=_LIST,
    answer=listing("instanceActions", _LISTED, links_since="2.58", link_key="links"),
    errors=(400, 404),
)
def index(request: Request, server_id: str) -> Page:
    """The server's operations, the newest first; paged from 2.58."""
    request.server = _server(request, server_id)
    request.check(f"{_RULES}list", _owner(request))
    since, before = request.moment("changes-since"), request.moment("changes-before")
    if since and before and since > before:
        raise errors.Invalid("The value of changes-since must be less than or equal to changes-before.")
    requested_limit = request.first("limit")
    most = request.conf.api.max_limit
    limit = most if requested_limit is None else min(requested_limit, most)
    operations = request.conductor.operations(
        request.context,
        server_id,
        limit if request.since(ACTIONS_PAGED) else None,
        request.first("marker"),
        since,
        before,
    )
    is_full = request.since(ACTIONS_PAGED) and bool(operations) and len(operations) == limit
    return Page(operations, operations[-1].request_id if is_full else None)


@get(
    "/servers/{server_id}/os-instance-actions/{request_id}",
    policy=f"{_RULES}show",
    target=LATER,
    answer=single("instanceAction", _SHOWN),
    errors=(404,),
)
def show(request: Request, server_id: str, request_id: str) -> OperationRecord:
    """One operation with its step events, by the id of the request that began it."""
    request.server = _server(request, server_id)
    request.check(f"{_RULES}show", _owner(request))
    return request.conductor.operation(request.context, server_id, request_id)


def _server(request: Request, server_id: str) -> Instance:
    """The server, from 2.21 on a deleted one too."""
    return visible_server(request, server_id, with_deleted=request.since(ACTIONS_OF_DELETED))
