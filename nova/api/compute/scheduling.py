"""How the hosts of servers are chosen, and a dry run of it: /servers/{id}/scheduling, /scheduling/explain.

An extension of ours: upstream has no such operations.
"""

from typing import Any

from nova.api.compute.request import Request
from nova.api.compute.servers import CREATE, build_request
from nova.http.declaration import SERVER, get, post
from nova.http.schema import INTEGER, NUMBER, STRING, Obj, arr, nullable, obj, optional, required
from nova.http.view import made
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
    optional("promises", arr(obj(required("host", STRING), required("servers", INTEGER)))),
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
    """The scheduler's decisions for this server, newest first.

    Callers without the rule "...show:hosts" see how many hosts each filter removed, but not which.
    """
    decisions = request.conductor.decisions(request.context, request.server.uuid)
    return {"decisions": [_decision(decision, request.allows(_HOSTS)) for decision in decisions]}


@post(
    "/scheduling/explain",
    policy="compute:scheduling:explain",
    body=CREATE,
    answer=made(obj(required("decision", _DECISION))),
    errors=(400, 403, 404),
    is_ours=True,
)
def explain(request: Request) -> dict[str, Any]:
    """What the scheduler would decide for a request for a server. Nothing is claimed or created."""
    build = build_request(request, request.body["server"])
    return {"decision": _decision(request.conductor.explain(request.context, build), request.allows(_HOSTS))}


def _decision(decision: Decision, with_hosts: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "stages": [_stage(stage, with_hosts) for stage in decision.stages],
        "found": decision.stages[-1].after if decision.stages else int(decision.host is not None),
        "reason": decision.reason,
        "availability_zone": decision.zone,
    }
    if with_hosts:
        shown |= {
            "host": decision.host,
            "node": decision.node,
            "alternates": list(decision.alternates),
            "weighed": [_weighed(host) for host in decision.weighed],
            "promises": [{"host": one.host, "servers": len(one.sequences)} for one in decision.promises],
        }
    return shown


def _stage(stage: Stage, with_hosts: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": stage.name, "hosts_before": stage.before, "hosts_after": stage.after}
    if with_hosts:
        shown["dropped"] = [{"host": host.host, "node": host.node, "reason": host.reason} for host in stage.dropped]
    return shown


def _weighed(host: Weighed) -> dict[str, Any]:
    return {"host": host.host, "node": host.node, "weight": host.weight, "weights": host.weights}
