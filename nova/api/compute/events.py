"""Explain and watch: why a host was chosen, and what happens to servers as it happens. Ours, not upstream's."""

import json
import time
from collections.abc import Iterator
from typing import Any

from nova import errors
from nova.api.compute.app import Reply, Stream
from nova.api.compute.request import Request
from nova.api.compute.servers import CREATE, build_request
from nova.http.declaration import LATER, SERVER, get, post
from nova.http.schema import (
    BOOLISH,
    INTEGER,
    NUMBER,
    STRING,
    Obj,
    arr,
    integer,
    is_number,
    nullable,
    obj,
    once,
    optional,
    query,
    required,
)
from nova.http.view import made
from nova.structs.operation import Event
from nova.structs.schedule import Decision, Stage, Weighed

_HOSTS = "compute:servers:scheduling:show:hosts"
_STAGE = obj(
    required("name", STRING),
    required("hosts_before", INTEGER),
    required("hosts_after", INTEGER),
    optional("dropped", arr(obj(required("host", STRING), required("node", STRING), required("reason", STRING)))),
)
_WEIGHED = obj(
    required("host", STRING),
    required("node", STRING),
    required("weight", NUMBER),
    required("weights", Obj(patterns={"^.*$": NUMBER})),
)
_DECISION = obj(
    required("stages", arr(_STAGE)),
    required("found", INTEGER),
    required("reason", nullable(STRING)),
    required("availability_zone", nullable(STRING)),
    optional("host", nullable(STRING)),
    optional("node", nullable(STRING)),
    optional("alternates", arr(STRING)),
    optional("weighed", arr(_WEIGHED)),
)


@get(
    "/servers/{server_id}/scheduling",
    policy="compute:servers:scheduling:show",
    target=SERVER,
    answer=made(obj(required("decisions", arr(_DECISION)))),
    errors=(404,),
    is_ours=True,
)
def show_scheduling(request: Request) -> dict[str, Any]:
    """How the hosts of this server were chosen, newest first. Who may know hosts sees them; others see counts."""
    found = request.conductor.decisions(request.context, request.server.uuid)
    return {"decisions": [_decision(one, request.allows(_HOSTS)) for one in found]}


@post(
    "/scheduling/explain",
    policy="compute:scheduling:explain",
    body=CREATE,
    answer=made(obj(required("decision", _DECISION))),
    errors=(400, 403, 404),
    is_ours=True,
)
def explain(request: Request) -> dict[str, Any]:
    """What would become of a request for a server: the same choice, without the claim."""
    wanted = build_request(request, request.body["server"])
    return {"decision": _decision(request.conductor.explain(request.context, wanted), request.allows(_HOSTS))}


def _decision(decision: Decision, with_hosts: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "stages": [_stage(one, with_hosts) for one in decision.stages],
        "found": decision.stages[-1].after if decision.stages else int(decision.host is not None),
        "reason": decision.reason,
        "availability_zone": decision.zone,
    }
    if with_hosts:
        shown |= {
            "host": decision.host,
            "node": decision.node,
            "alternates": list(decision.alternates),
            "weighed": [_weighed(one) for one in decision.weighed],
        }
    return shown


def _stage(stage: Stage, with_hosts: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": stage.name, "hosts_before": stage.before, "hosts_after": stage.after}
    if with_hosts:
        shown["dropped"] = [{"host": one.host, "node": one.node, "reason": one.reason} for one in stage.dropped]
    return shown


def _weighed(one: Weighed) -> dict[str, Any]:
    return {"host": one.host, "node": one.node, "weight": one.weight, "weights": one.weights}


_LONGEST_S = 3600
_PAUSE_S = 0.5
_KEEP_ALIVE_S = 15
_AT_ONCE = 200


@get(
    "/servers/events",
    policy="compute:servers:events",
    target=LATER,
    query=query(
        once("after", integer(0)),
        once("timeout", integer(0, _LONGEST_S)),
        once("all_projects", BOOLISH),
        strict_since="2.1",
    ),
    answer=made(),
    errors=(400, 403),
    is_ours=True,
)
def watch(request: Request) -> Reply:
    """Server-Sent Events: every change of the project's servers, as it happens.

    An event's id is a token to resume from: the header Last-Event-ID, which browsers send by
    themselves, or the parameter after. Without one the stream begins now. After timeout seconds
    (an hour at most) it ends, and the client comes back.
    """
    request.check("compute:servers:events")
    project: str | None = request.context.project_id
    if request.first("all_projects", False):
        request.check("compute:servers:events:all_projects")
        project = None
    token = request.first("after")
    if (header := request.headers.get("Last-Event-ID")) is not None:
        if not is_number(header):
            raise errors.Invalid("Last-Event-ID is no token of this stream.")
        token = int(header)
    begin = request.conductor.last_event(request.context) if token is None else token
    stream = _stream(request, project, begin, request.first("timeout", _LONGEST_S))
    return Reply(Stream(stream, "text/event-stream"), {"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _stream(request: Request, project: str | None, token: int, timeout_s: int) -> Iterator[bytes]:
    deadline = time.monotonic() + timeout_s
    silent_since = time.monotonic()
    # The first bytes tell the client that the stream stands, and from where.
    yield f": from {token}\nid: {token}\n\n".encode()
    while True:
        found = request.conductor.events_after(request.context, token, project, _AT_ONCE)
        for event in found:
            token = event.id
            yield _event(event)
        now = time.monotonic()
        if found:
            silent_since = now
        elif now - silent_since > _KEEP_ALIVE_S:
            silent_since = now
            yield b": still here\n\n"
        if now >= deadline:
            return
        if len(found) < _AT_ONCE:
            time.sleep(min(_PAUSE_S, max(deadline - now, 0)))


def _event(event: Event) -> bytes:
    data = {
        "time": event.created_at.isoformat(),
        "project_id": event.project_id,
        "server_id": event.instance_uuid,
        "request_id": event.request_id,
        **{name: value for name, value in event.payload.items() if name not in ("host", "node")},
    }
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(data)}\n\n".encode()
