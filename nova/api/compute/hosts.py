"""Hosts: /os-hosts, until 2.42. Source: Compute API reference, "Hosts (deprecated)"."""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.http.declaration import get, put
from nova.http.schema import ANY, INTEGER, STRING, Plain, arr, enum, obj, optional, query, required
from nova.http.view import made
from nova.structs.host import ServiceRecord

_RULES = "os_compute_api:os-hosts:"
_UNTIL = "2.42"
_NO_QUERY = query()
_SWITCH = enum("enable", "disable", "Enable", "Disable", "ENABLE", "DISABLE")
_RESOURCE = obj(
    required("cpu", INTEGER),
    required("disk_gb", INTEGER),
    required("host", STRING),
    required("memory_mb", INTEGER),
    required("project", STRING),
)
_POWER = made(obj(required("host", STRING), required("power_action", ANY)))


@get(
    "/os-hosts",
    policy=f"{_RULES}list",
    until=_UNTIL,
    query=query(optional("zone", STRING)),
    answer=made(
        obj(
            required(
                "hosts", arr(obj(required("host_name", STRING), required("service", STRING), required("zone", STRING)))
            )
        )
    ),
)
def index(request: Request) -> dict[str, Any]:
    """Every service by host, optionally of one availability zone."""
    # An empty one asks for no zone in particular.
    zone = request.first("zone") or None
    return {
        "hosts": [
            {"host_name": service.host, "service": service.binary.removeprefix("nova-"), "zone": service.zone}
            for service in request.conductor.services(request.context)
            if zone in (None, service.zone)
        ]
    }


@get(
    "/os-hosts/{host}",
    policy=f"{_RULES}show",
    until=_UNTIL,
    query=_NO_QUERY,
    answer=made(obj(required("host", arr(obj(required("resource", _RESOURCE)))))),
    errors=(404,),
)
def show(request: Request, host: str) -> dict[str, Any]:
    """What the host has, what is used, what its servers may use at most, and each project's share of that."""
    _compute(request, host)
    states = [node.state for node in request.conductor.nodes(request.context) if node.host == host]
    use = request.conductor.node_use(request.context, [host]).values()
    total = (sum(s.vcpus for s in states), sum(s.memory_mb for s in states), sum(s.disk_gb for s in states))
    used = (sum(u.vcpus for u in use), sum(u.memory_mb for u in use), sum(u.disk_gb for u in use))
    shares: dict[str, list[int]] = {}
    for instance in request.conductor.instances_on(host):
        flavor = instance.flavor
        share = shares.setdefault(instance.project_id, [0, 0, 0])
        for place, amount in enumerate((flavor.vcpus, flavor.memory_mb, flavor.root_gb + flavor.ephemeral_gb)):
            share[place] += amount
    most = tuple(sum(share[place] for share in shares.values()) for place in range(3))
    rows = [("(total)", total), ("(used_now)", used), ("(used_max)", most), *shares.items()]
    return {
        "host": [
            {"resource": {"host": host, "project": name, "cpu": row[0], "memory_mb": row[1], "disk_gb": row[2]}}
            for name, row in rows
        ]
    }


@put(
    "/os-hosts/{host}",
    policy=f"{_RULES}update",
    until=_UNTIL,
    body=obj(optional("status", _SWITCH), optional("maintenance_mode", _SWITCH), limits={"minProperties": 1}),
    answer=made(
        obj(
            required("host", STRING),
            optional("status", Plain({"enum": ["enabled", "disabled"]})),
            optional("maintenance_mode", Plain({"enum": ["on_maintenance", "off_maintenance"]})),
        )
    ),
    errors=(400, 404, 501),
)
def update(request: Request, host: str) -> dict[str, Any]:
    """Enable or disable the nova-compute service of a host. maintenance_mode is always 501."""
    service = _compute(request, host)
    if "maintenance_mode" in request.body:
        raise errors.NotImplementedHere("The hypervisor of this host has no maintenance mode.")
    is_disabled = request.body["status"].lower() == "disable"
    request.conductor.update_service(request.context, service.uuid, is_disabled=is_disabled)
    return {"host": host, "status": "disabled" if is_disabled else "enabled"}


def _power_action(name: str, rule: str) -> Any:
    @get(
        f"/os-hosts/{{host}}/{name}",
        policy=f"{_RULES}{rule}",
        until=_UNTIL,
        query=_NO_QUERY,
        answer=_POWER,
        errors=(400, 404, 501),
    )
    def act(request: Request, host: str) -> None:
        """Always 501: no hypervisor of this release switches its own host."""
        _compute(request, host)
        raise errors.NotImplementedHere(f"The hypervisor of this host cannot do {name}.")

    return act


reboot = _power_action("reboot", "reboot")
shutdown = _power_action("shutdown", "shutdown")
startup = _power_action("startup", "start")


def _compute(request: Request, host: str) -> ServiceRecord:
    services = request.conductor.services(request.context, host, "nova-compute")
    if not services:
        raise errors.HostNotFound(host=host)
    return services[0]
