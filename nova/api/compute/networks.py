"""Networks as this API showed them until 2.35: /os-networks, /os-tenant-networks, floating IPs.

All of it is the network service's; what that has no word for is null. Source: Compute API
reference, "Networks (deprecated)", "Project networks (deprecated)", "Floating IPs (deprecated)".
"""

from collections.abc import Callable
from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.http.declaration import Endpoint, delete, get, post
from nova.http.schema import (
    INTEGER,
    NULL,
    STRING,
    UUID,
    Field,
    Obj,
    Plain,
    arr,
    nullable,
    obj,
    one_of,
    optional,
    query,
    required,
)
from nova.http.view import made

_UNTIL = "2.35"
_NO_QUERY = query()
_TEXT = nullable(STRING)
_ALWAYS = ("broadcast", "cidr", "cidr_v6", "dns1", "dns2", "gateway", "gateway_v6", "netmask", "netmask_v6")
# Facts of networks that nova itself once ran; administrators saw them.
_ADMIN_ONLY = (
    "bridge", "bridge_interface", "created_at", "deleted", "deleted_at", "dhcp_server", "dhcp_start", "enable_dhcp",
    "host", "injected", "multi_host", "priority", "project_id", "rxtx_base", "share_address", "updated_at", "vlan",
    "vpn_private_address", "vpn_public_address",
)  # fmt: skip
_NETWORK = obj(
    required("id", STRING),
    required("label", STRING),
    *(required(name, _TEXT) for name in _ALWAYS),
    *(optional(name, _TEXT) for name in _ADMIN_ONLY),
    optional("mtu", nullable(INTEGER)),
    optional("vpn_public_port", nullable(INTEGER)),
)

Json = dict[str, Any]


def _list(
    path: str, policy: str, key: str, shape: Obj, until: str = _UNTIL, q: Obj = _NO_QUERY
) -> Callable[..., Endpoint]:
    return get(path, policy=policy, until=until, query=q, answer=made(obj(required(key, arr(shape)))))


@_list("/os-networks", "os_compute_api:os-networks:list", "networks", _NETWORK)
def index(request: Request) -> Json:
    """Networks that the project may use, own and shared, up or down."""
    return {
        "networks": [
            _network_view(network, request)
            for network in request.services.network.networks.of_project(request.context.project_id)
        ]
    }


@get(
    "/os-networks/{network_id}",
    policy="os_compute_api:os-networks:show",
    until=_UNTIL,
    query=_NO_QUERY,
    answer=made(obj(required("network", _NETWORK))),
    errors=(404,),
)
def show(request: Request, network_id: str) -> Json:
    """One of these networks. Raises NetworkNotFound."""
    return {"network": _network_view(_network_of(request, network_id), request)}


def _network_view(network: Json, request: Request) -> Json:
    shown: Json = dict.fromkeys(_ALWAYS)
    if request.context.is_admin:
        shown |= dict.fromkeys((*_ADMIN_ONLY, "mtu", "vpn_public_port"))
    return {**shown, "id": network["id"], "label": network["name"]}


_CIDR = one_of(Plain({"const": "None"}), Plain({"type": "string", "format": "cidr"}))
_PROJECT_NETWORK = obj(required("id", UUID), required("label", STRING), required("cidr", _CIDR))


@_list("/os-tenant-networks", "os_compute_api:os-tenant-networks:list", "networks", _PROJECT_NETWORK)
def index_of_project(request: Request) -> Json:
    """Networks that the project may use, with the few fields that projects see."""
    return {
        "networks": [
            _brief_view(network) for network in request.services.network.networks.of_project(request.context.project_id)
        ]
    }


@get(
    "/os-tenant-networks/{network_id}",
    policy="os_compute_api:os-tenant-networks:show",
    until=_UNTIL,
    query=_NO_QUERY,
    answer=made(obj(required("network", _PROJECT_NETWORK))),
    errors=(404,),
)
def show_of_project(request: Request, network_id: str) -> Json:
    """One of these networks, with the few fields that projects see."""
    return {"network": _brief_view(_network_of(request, network_id))}


def _brief_view(network: Json) -> Json:
    return {"id": network["id"], "label": network["name"], "cidr": "None"}


def _network_of(request: Request, network_id: str) -> Json:
    networks: list[Json] = request.services.network.networks.of_project(request.context.project_id, [network_id])
    for network in networks:
        return network
    raise errors.NetworkNotFound(network_id=network_id)


_POOLS = Obj((Field("floating_ip_pools", arr(obj(required("name", STRING))), True),), is_open=True)


@get(
    "/os-floating-ip-pools",
    policy="os_compute_api:os-floating-ip-pools",
    until=_UNTIL,
    query=_NO_QUERY,
    answer=made(_POOLS),
)
def index_pools(request: Request) -> Json:
    """External networks: each is a pool of floating addresses."""
    pools = request.services.network.floating_ips.pools(request.context)
    return {"floating_ip_pools": [{"name": name} for name in pools]}


_ADDRESS = {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
_FLOATING_IP = obj(
    required("id", UUID),
    required("ip", Plain({"type": "string", **_ADDRESS})),
    required("fixed_ip", Plain({"type": ["string", "null"]})),
    required("instance_id", nullable(UUID)),
    required("pool", STRING),
)
_RULES = "os_compute_api:os-floating-ips:"


@_list("/os-floating-ips", f"{_RULES}list", "floating_ips", _FLOATING_IP)
def index_floating_ips(request: Request) -> Json:
    """Floating addresses of the project."""
    floating_ips = request.services.network.floating_ips.of_project(request.context.project_id)
    return {"floating_ips": [_floating_ip(request, floating_ip) for floating_ip in floating_ips]}


@get(
    "/os-floating-ips/{floating_ip_id}",
    policy=f"{_RULES}show",
    until=_UNTIL,
    query=_NO_QUERY,
    answer=made(obj(required("floating_ip", _FLOATING_IP))),
    errors=(400, 404),
)
def show_floating_ip(request: Request, floating_ip_id: str) -> Json:
    """One floating address. 404 for another project's."""
    floating_ip = request.services.network.floating_ips.get(request.context.project_id, floating_ip_id)
    return {"floating_ip": _floating_ip(request, floating_ip)}


@post(
    "/os-floating-ips",
    policy=f"{_RULES}create",
    until=_UNTIL,
    body=one_of(obj(optional("pool", nullable(STRING)), is_open=True), NULL),
    answer=made(obj(required("floating_ip", _FLOATING_IP))),
    errors=(400, 403, 404),
)
def create_floating_ip(request: Request) -> Json:
    """Take a floating address from a pool, by default from the first external network."""
    floating_ips = request.services.network.floating_ips
    pool = (request.body or {}).get("pool") or next(iter(floating_ips.pools(request.context)), None)
    if pool is None:
        raise errors.NotFound("There is no floating IP pool.")
    return {"floating_ip": _floating_ip(request, floating_ips.create(request.context, pool))}


@delete(
    "/os-floating-ips/{floating_ip_id}", policy=f"{_RULES}delete", until=_UNTIL, status=202, errors=(400, 403, 404, 409)
)
def remove_floating_ip(request: Request, floating_ip_id: str) -> None:
    """Give a floating address back to its pool."""
    floating_ips = request.services.network.floating_ips
    floating_ips.delete(floating_ips.get(request.context.project_id, floating_ip_id)["id"])


def _floating_ip(request: Request, floating_ip: Json) -> Json:
    instance = None
    if floating_ip.get("port_id"):
        try:
            instance = request.services.network.port(floating_ip["port_id"])["device_id"] or None
        except errors.PortNotFound:
            instance = None
    names = request.services.network.networks.names([floating_ip["floating_network_id"]])
    return {
        "id": floating_ip["id"],
        "ip": floating_ip["floating_ip_address"],
        "fixed_ip": floating_ip.get("fixed_ip_address"),
        "instance_id": instance,
        "pool": names.get(floating_ip["floating_network_id"], floating_ip["floating_network_id"]),
    }
