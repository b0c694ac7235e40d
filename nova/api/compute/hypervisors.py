"""Hypervisors: /os-hypervisors. Source: Compute API reference, "Hypervisors"."""

import dataclasses
import json
from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.api.compute.versions import (
    CPU_INFO_IS_OBJECT,
    HYPERVISORS_PAGED,
    HYPERVISORS_SLIM,
    SERVERS_ALWAYS_SHOWN,
    SERVICES_BY_UUID,
)
from nova.http.declaration import get
from nova.http.schema import (
    BOOLISH,
    INTEGER,
    LIMIT,
    STRING,
    UUID,
    Plain,
    arr,
    enum,
    is_number,
    is_uuid,
    nullable,
    obj,
    once,
    optional,
    query,
    required,
    string,
    versioned,
)
from nova.http.view import ABSENT, Page, listing, made, shows, single, view
from nova.structs.host import Node, NodeUse, ServiceRecord

_READ = "os_compute_api:os-hypervisors:"
_PATTERN = string(minLength=1, maxLength=255, pattern="^[a-zA-Z0-9-._]*$")
_NUMBER = nullable(INTEGER)


@dataclasses.dataclass(frozen=True)
class Hypervisor:
    """A node with its daemon and what runs on it."""

    node: Node
    service: ServiceRecord
    use: NodeUse


def _servers(hypervisor: Hypervisor, request: Request) -> Any:
    shown = [{"uuid": server.uuid, "name": server.name} for server in hypervisor.use.servers]
    if not _asks_for_servers(request) or not (shown or request.since(SERVERS_ALWAYS_SHOWN)):
        return ABSENT
    return shown


def _cpu_info(hypervisor: Hypervisor, request: Request) -> Any:
    info = hypervisor.node.state.cpu_info
    return info if request.since(CPU_INFO_IS_OBJECT) else json.dumps(info)


def _service(hypervisor: Hypervisor, request: Request) -> dict[str, Any]:
    service = hypervisor.service
    number = service.uuid if request.since(SERVICES_BY_UUID) else service.id
    return {"host": service.host, "id": number, "disabled_reason": service.disabled_reason}


def _state(name: str) -> Any:
    return lambda hypervisor, request: getattr(hypervisor.node.state, name)


_ID = versioned(INTEGER, v2_53=UUID)
_BASIC = (
    shows("id", _ID, lambda hypervisor, r: hypervisor.node.uuid if r.since(SERVICES_BY_UUID) else hypervisor.node.id),
    shows("hypervisor_hostname", STRING, lambda hypervisor, r: hypervisor.node.hypervisor_hostname),
    shows("state", enum("up", "down"), lambda hypervisor, r: "up" if hypervisor.service.is_up else "down"),
    shows(
        "status",
        enum("enabled", "disabled"),
        lambda hypervisor, r: "disabled" if hypervisor.service.is_disabled else "enabled",
    ),
)
_SERVER_LIST = arr(obj(required("name", STRING), required("uuid", UUID)))
_SERVERS = shows("servers", _SERVER_LIST, _servers, since="2.53", is_optional=True)
_BRIEF = view(*_BASIC, _SERVERS)
_UNTIL = "2.87"
_DETAIL = view(
    *_BASIC,
    _SERVERS,
    shows("hypervisor_type", STRING, _state("hypervisor_type")),
    shows("hypervisor_version", Plain({"type": ["string", "integer"]}), _state("hypervisor_version")),
    shows("host_ip", nullable(STRING), _state("host_ip")),
    shows(
        "service",
        obj(required("host", STRING), required("id", _ID), required("disabled_reason", nullable(STRING))),
        _service,
    ),
    shows("cpu_info", versioned(STRING, v2_28=obj(is_open=True)), _cpu_info, until=_UNTIL),
    shows("vcpus", INTEGER, _state("vcpus"), until=_UNTIL),
    shows("vcpus_used", INTEGER, lambda hypervisor, r: hypervisor.use.vcpus, until=_UNTIL),
    shows("memory_mb", INTEGER, _state("memory_mb"), until=_UNTIL),
    shows("memory_mb_used", INTEGER, lambda hypervisor, r: hypervisor.use.memory_mb, until=_UNTIL),
    shows(
        "free_ram_mb",
        _NUMBER,
        lambda hypervisor, r: hypervisor.node.state.memory_mb - hypervisor.use.memory_mb,
        until=_UNTIL,
    ),
    shows("local_gb", INTEGER, _state("disk_gb"), until=_UNTIL),
    shows("local_gb_used", INTEGER, lambda hypervisor, r: hypervisor.use.disk_gb, until=_UNTIL),
    shows(
        "free_disk_gb",
        _NUMBER,
        lambda hypervisor, r: hypervisor.node.state.disk_gb - hypervisor.use.disk_gb,
        until=_UNTIL,
    ),
    shows("disk_available_least", _NUMBER, _state("disk_available_least_gb"), until=_UNTIL, is_optional=True),
    shows("running_vms", _NUMBER, lambda hypervisor, r: hypervisor.use.servers_count, until=_UNTIL),
    shows("current_workload", _NUMBER, lambda hypervisor, r: hypervisor.use.busy, until=_UNTIL),
    shows("uptime", nullable(STRING), lambda hypervisor, r: hypervisor.node.state.uptime or None, since="2.88"),
)
_WITH_UPTIME = view(
    *_BASIC, _SERVERS, shows("uptime", nullable(STRING), lambda hypervisor, r: hypervisor.node.state.uptime or None)
)
_WITH_SERVERS = view(
    *_BASIC,
    shows(
        "servers",
        _SERVER_LIST,
        lambda hypervisor, r: (
            [{"uuid": server.uuid, "name": server.name} for server in hypervisor.use.servers] or ABSENT
        ),
        is_optional=True,
    ),
)
_TOTALS = (
    "vcpus", "vcpus_used", "memory_mb", "memory_mb_used", "free_ram_mb", "local_gb", "local_gb_used", "free_disk_gb",
    "disk_available_least", "running_vms", "current_workload",
)  # fmt: skip
_STATISTICS = obj(
    required(
        "hypervisor_statistics",
        obj(
            required("count", INTEGER),
            *(
                required(name, _NUMBER if name.startswith(("free", "disk", "running", "current")) else INTEGER)
                for name in _TOTALS
            ),
        ),
    )
)
_LIST = query(
    optional("limit", LIMIT, since="2.33", until="2.52"),
    once("limit", LIMIT, since="2.53"),
    optional("marker", STRING, since="2.33", until="2.52"),
    once("marker", STRING, since="2.53"),
    once("hypervisor_hostname_pattern", _PATTERN, since="2.53"),
    once("with_servers", BOOLISH, since="2.53"),
    strict_since="2.53",
)
_ONE = query(once("with_servers", BOOLISH, since="2.53"), strict_since="2.53")


@get(
    "/os-hypervisors",
    policy=f"{_READ}list",
    query=_LIST,
    answer=listing("hypervisors", _BRIEF, "2.33"),
    errors=(400, 404),
)
def index(request: Request) -> Page:
    """Nodes whose nova-compute service exists; paged from 2.33."""
    return _page(request)


@get(
    "/os-hypervisors/detail",
    policy=f"{_READ}list-detail",
    query=_LIST,
    answer=listing("hypervisors", _DETAIL, "2.33"),
    errors=(400, 404),
)
def detail(request: Request) -> Page:
    """Nodes with every field; capacity and use until 2.87."""
    return _page(request)


@get("/os-hypervisors/statistics", policy=f"{_READ}statistics", until=_UNTIL, query=query(), answer=made(_STATISTICS))
def statistics(request: Request) -> dict[str, Any]:
    """Sums over the nodes of enabled daemons."""
    render = _DETAIL.renderer(request)
    shown = [
        render(hypervisor)
        for hypervisor in _hypervisors(request, request.conductor.nodes(request.context))
        if not hypervisor.service.is_disabled
    ]
    totals = {name: sum(hypervisor[name] or 0 for hypervisor in shown) for name in _TOTALS}
    return {"hypervisor_statistics": {"count": len(shown), **totals}}


@get(
    "/os-hypervisors/{hypervisor_id}",
    policy=f"{_READ}show",
    query=_ONE,
    answer=single("hypervisor", _DETAIL),
    errors=(400, 404),
)
def show(request: Request, hypervisor_id: str) -> Hypervisor:
    """One node, by UUID from 2.53 and by number before."""
    return _hypervisors(request, [_node(request, hypervisor_id)])[0]


@get(
    "/os-hypervisors/{hypervisor_id}/uptime",
    policy=f"{_READ}uptime",
    until=_UNTIL,
    query=query(),
    answer=single("hypervisor", _WITH_UPTIME),
    errors=(400, 404, 501),
)
def uptime(request: Request, hypervisor_id: str) -> Hypervisor:
    """One node with its uptime. 501 when the hypervisor does not report it."""
    hypervisor = _hypervisors(request, [_node(request, hypervisor_id)])[0]
    if not hypervisor.node.state.uptime:
        raise errors.NotImplementedHere("The hypervisor does not report its uptime.")
    return hypervisor


@get(
    "/os-hypervisors/{pattern}/search",
    policy=f"{_READ}search",
    until="2.52",
    query=query(),
    answer=listing("hypervisors", view(*_BASIC)),
    errors=(404,),
)
def search(request: Request, pattern: str) -> list[Hypervisor]:
    """Nodes whose hypervisor_hostname matches the pattern. 404 when there are none."""
    return _matching(request, pattern)


@get(
    "/os-hypervisors/{pattern}/servers",
    policy=f"{_READ}servers",
    until="2.52",
    query=query(),
    answer=listing("hypervisors", _WITH_SERVERS),
    errors=(404,),
)
def servers(request: Request, pattern: str) -> list[Hypervisor]:
    """The servers on nodes whose hypervisor_hostname matches the pattern."""
    return _matching(request, pattern, with_servers=True)


def _page(request: Request) -> Page:
    pattern, limit, marker = (request.first(name) for name in ("hypervisor_hostname_pattern", "limit", "marker"))
    if pattern is not None:
        if limit is not None or marker is not None:
            raise errors.Invalid(
                "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported."
            )
        return Page(_matching(request, pattern))
    nodes = request.conductor.nodes(request.context)
    by_uuid = request.since(SERVICES_BY_UUID)
    if marker is not None:
        places = [i for i, node in enumerate(nodes) if marker == (node.uuid if by_uuid else str(node.id))]
        if not places:
            raise errors.Invalid(f"marker [{marker}] not found")
        nodes = nodes[places[0] + 1 :]
    most = request.conf.api.max_limit
    page_size = most if limit is None else min(limit, most)
    page = nodes[:page_size] if request.since(HYPERVISORS_PAGED) else nodes
    is_full = (
        request.since(HYPERVISORS_PAGED)
        and len(page) == page_size
        and bool(page)
        and (limit is not None or len(nodes) > page_size)
    )
    last = page[-1] if is_full else None
    return Page(_hypervisors(request, page), None if last is None else last.uuid if by_uuid else str(last.id))


def _matching(request: Request, pattern: str, with_servers: bool = False) -> list[Hypervisor]:
    nodes = request.conductor.nodes(request.context, pattern)
    if not nodes:
        raise errors.NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return _hypervisors(request, nodes, with_servers)


def _node(request: Request, hypervisor_id: str) -> Node:
    if request.since(SERVICES_BY_UUID):
        if not is_uuid(hypervisor_id):
            raise errors.Invalid(f"Invalid uuid {hypervisor_id}")
    elif not is_number(hypervisor_id):
        raise errors.HypervisorNotFound(hypervisor_id=hypervisor_id)
    return request.conductor.node(request.context, hypervisor_id)


def _hypervisors(request: Request, nodes: list[Node], with_servers: bool = False) -> list[Hypervisor]:
    """The nodes that have a service, with their servers and use when the request asks for them."""
    services = {service.host: service for service in request.conductor.services(request.context, binary="nova-compute")}
    with_servers = with_servers or _asks_for_servers(request)
    uses: dict[str, NodeUse] = {}
    if with_servers or not request.since(HYPERVISORS_SLIM):
        uses = request.conductor.node_use(request.context, [node.host for node in nodes], with_servers)
    hypervisors = [
        Hypervisor(node, services[node.host], uses.get(node.hypervisor_hostname, NodeUse()))
        for node in nodes
        if node.host in services
    ]
    if nodes and not hypervisors:
        raise errors.HypervisorNotFound(hypervisor_id=nodes[0].uuid)
    return hypervisors


def _asks_for_servers(request: Request) -> bool:
    return bool(request.first("with_servers", False))
