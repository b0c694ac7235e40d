"""What the Networking API serves besides its nouns: versions, extensions, quotas, zones, agents, use of addresses."""

import datetime
import ipaddress
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from webob import Request

from nova import clock, errors
from nova.network.api import fields, listing
from nova.network.api.resource import Call, timestamp
from nova.structs.networking import KINDS, Subnet
from nova.structs.subnet_ranges import pool_size

# alias: name and what it offers. Clients look here before they use anything beyond the core.
EXTENSIONS = {
    "agent": ("agent", "The network hosts."),
    "allowed-address-pairs": ("Allowed Address Pairs", "Further addresses of a port."),
    "availability_zone": ("Availability Zone", "Zones of networks and routers."),
    "binding": ("Port Binding", "Where a port's device is."),
    "dns-integration": ("DNS Integration", "Names of ports."),
    "external-net": ("Neutron external network", "Networks that lead out of the cloud."),
    "extra_dhcp_opt": ("Neutron Extra DHCP options", "DHCP options of a port."),
    "filter-validation": ("Filter parameters validation", "Unknown filters are refused."),
    "net-mtu": ("Network MTU", "Largest packet of a network."),
    "net-mtu-writable": ("Network MTU (writable)", "MTU may be set."),
    "network-ip-availability": ("Network IP Availability", "Addresses used and left."),
    "network_availability_zone": ("Network Availability Zone", "Zones of networks."),
    "nova-network": ("nova-network", "An administrator may choose the id of a new port."),
    "pagination": ("Pagination support", "Lists come in pages."),
    "port-security": ("Port Security", "Protection of a port may be turned off."),
    "project-id": ("project_id field enabled", "tenant_id and project_id are one."),
    "provider": ("Provider Network", "What carries a network."),
    "quotas": ("Quota management support", "Limits of a project."),
    "quota_details": ("Quota details management support", "Limits and use of a project."),
    "revision-if-match": ("If-Match constraints based on revision_number", "Updates of a known revision."),
    "router": ("Neutron L3 Router", "Routers and floating IPs."),
    "security-group": ("security-group", "Filters of ports."),
    "sorting": ("Sorting support", "Lists come in a chosen order."),
    "standard-attr-description": ("standard-attr-description", "Descriptions."),
    "standard-attr-revisions": ("Resource revision numbers", "Revisions."),
    "standard-attr-tag": ("Tag support", "Tags."),
    "standard-attr-timestamp": ("Resource timestamps", "Times of creation and change."),
}

# The API's name of each quota is its noun's.
_QUOTAS = tuple(KINDS)
# Nouns that are not kept here: their lists are empty, so that overviews which ask for them work.
_EMPTY = {
    "subnetpools": "subnetpools",
    "address-scopes": "address_scopes",
    "address-groups": "address_groups",
    "rbac-policies": "rbac_policies",
    "service-providers": "service_providers",
    "segments": "segments",
    "default-security-group-rules": "default_security_group_rules",
}


def versions(request: Request, path: str) -> dict[str, Any]:
    """The documents every client starts from."""
    root = request.host_url + request.script_name
    if path == "":
        version = {"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": f"{root}/v2.0/"}]}
        return {"versions": [version]}
    resources = ("network", "subnet", "port", "router", "floatingip", "extension", "quota")
    return {
        "resources": [
            {
                "name": name,
                "collection": f"{name}s",
                "links": [{"rel": "self", "href": f"{root}/v2.0/{name}s"}],
            }
            for name in resources
        ]
    }


def answer(method: str, parts: list[str], request: Request, call: Call) -> tuple[int, Any]:
    """Status and body of a request for one of these. Raises errors.NotFound for anything else."""
    match method, parts:
        case "GET", ["extensions"]:
            return 200, {"extensions": [_extension(alias) for alias in EXTENSIONS]}
        case "GET", ["extensions", alias] if alias in EXTENSIONS:
            return 200, {"extension": _extension(alias)}
        case "GET", ["availability_zones"]:
            return 200, {"availability_zones": _only_matching(_zones(call), request)}
        case "GET", ["agents"]:
            return 200, {"agents": _only_matching(_agents(call), request)}
        case "GET", ["network-ip-availabilities"]:
            versions = {int(text) for text in request.GET.getall("ip_version") if text in ("4", "6")}
            shown = _only_matching(_availabilities(call, None, versions or {4, 6}), request)
            return 200, {"network_ip_availabilities": shown}
        case "GET", ["network-ip-availabilities", network_id]:
            [found] = _availabilities(call, network_id)
            return 200, {"network_ip_availability": found}
        case _, ["quotas", *rest]:
            return _quota(method, rest, request, call)
        case "GET", [name] if name in _EMPTY:
            return 200, {_EMPTY[name]: []}
    raise errors.NotFound()


def _extension(alias: str) -> dict[str, Any]:
    name, description = EXTENSIONS[alias]
    return {
        "alias": alias,
        "name": name,
        "description": description,
        "updated": "2026-01-01T00:00:00-00:00",
        "links": [],
    }


def _only_matching(views: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    controls = ("fields", "limit", "marker", "sort_key", "sort_dir", "ip_version")
    for name in request.GET:
        if name not in controls:
            wanted = [value.lower() for value in request.GET.getall(name)]
            views = [view for view in views if str(view.get(name)).lower() in wanted]
    return [listing.only(view, request.GET.getall("fields")) for view in views]


def _zones(call: Call) -> list[dict[str, Any]]:
    name = call.conf.default_availability_zone
    return [{"name": name, "resource": resource, "state": "available"} for resource in ("network", "router")]


def _agents(call: Call) -> list[dict[str, Any]]:
    """The one network host: whoever answers is alive."""
    if not call.permits("network:agents"):
        raise errors.PolicyDenied(action="network:agents")
    host = call.conf.host
    now = clock.utcnow()
    return [
        {
            "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"nova-network.{host}")),
            "agent_type": "nova-network",
            "binary": "nova-network",
            "host": host,
            "topic": "network",
            "availability_zone": call.conf.default_availability_zone,
            "admin_state_up": True,
            "alive": True,
            "configurations": {},
            "description": None,
            "resources_synced": None,
            "created_at": timestamp(now - datetime.timedelta(seconds=1)),
            "started_at": timestamp(now - datetime.timedelta(seconds=1)),
            "heartbeat_timestamp": timestamp(now),
        }
    ]


def _availabilities(
    call: Call, network_id: str | None = None, versions: Collection[int] = (4, 6)
) -> list[dict[str, Any]]:
    networks = [call.get("network", network_id)] if network_id else call.find("network")
    if not call.sees_everything:
        networks = [network for network in networks if network.project_id == call.context.project_id]
    if network_id and not networks:
        raise errors.NetworkingNotFound(noun="network", id=network_id)
    used = call.store.used_addresses()
    subnets: dict[str, list[Any]] = {network.id: [] for network in networks}
    for subnet in call.records(Subnet):
        if subnet.network_id in subnets and subnet.ip_version in versions:
            subnets[subnet.network_id].append(subnet)
    return [_availability(network, subnets[network.id], used) for network in networks]


def _availability(network: Any, subnets: list[Any], used: dict[str, int]) -> dict[str, Any]:
    parts = [
        {
            "subnet_id": subnet.id,
            "subnet_name": subnet.name,
            "cidr": subnet.cidr,
            "ip_version": subnet.ip_version,
            "total_ips": _size(subnet),
            "used_ips": used.get(subnet.id, 0),
        }
        for subnet in subnets
    ]
    return {
        "network_id": network.id,
        "network_name": network.name,
        "project_id": network.project_id,
        "tenant_id": network.project_id,
        "total_ips": sum(part["total_ips"] for part in parts),
        "used_ips": sum(part["used_ips"] for part in parts),
        "subnet_ip_availability": parts,
    }


def _size(subnet: Any) -> int:
    if subnet.allocation_pools:
        return sum(pool_size(pool) for pool in subnet.allocation_pools)
    return ipaddress.ip_network(subnet.cidr).num_addresses


def _quota(method: str, rest: list[str], request: Request, call: Call) -> tuple[int, Any]:
    match method, rest:
        case "GET", []:
            _require_quota_rule(call)
            own: dict[str, dict[str, int]] = {}
            for quota in call.store.network_quotas():
                own.setdefault(quota.project_id, {})[quota.noun] = quota.limit
            return 200, {
                "quotas": [_limits(call, limits) | {"project_id": p, "tenant_id": p} for p, limits in own.items()]
            }
        case "GET", ["tenant" | "project"]:
            project = call.context.project_id
            return 200, {"tenant": {"tenant_id": project, "project_id": project}}
        case "GET", [project_id, *detail] if detail in ([], ["default"], ["details"]):
            if project_id != call.context.project_id:
                _require_quota_rule(call)
            return 200, {"quota": _shown_quota(call, project_id, detail, request.GET.getall("fields"))}
        case "PUT", [project_id]:
            _require_quota_rule(call)
            call.store.set_network_quota(project_id, _parse_quota(request, call))
            return 200, {"quota": _shown_quota(call, project_id, [])}
        case "DELETE", [project_id]:
            _require_quota_rule(call)
            call.store.set_network_quota(project_id, None)
            return 204, None
    raise errors.NotFound()


def _shown_quota(call: Call, project_id: str, detail: list[str], wanted: Sequence[str] = ()) -> dict[str, Any]:
    """wanted: of these nouns alone; of all when it is empty."""
    own = {} if detail == ["default"] else {q.noun: q.limit for q in call.store.network_quotas(project_id)}
    limits = listing.only(_limits(call, own), wanted)
    if detail != ["details"]:
        # Limits and nothing else: Horizon takes every value for a number.
        return limits
    return {
        noun: {
            "limit": limit,
            "used": len(call.store.networking(noun, {"project_id": [project_id]})) if noun in _QUOTAS else 0,
            "reserved": 0,
        }
        for noun, limit in limits.items()
    }


def _limits(call: Call, own: dict[str, int]) -> dict[str, int]:
    limits = {noun: own.get(noun, call.conf[f"quota_{noun}"]) for noun in _QUOTAS}
    return limits | {"rbac_policy": -1, "subnetpool": 0}


def _require_quota_rule(call: Call) -> None:
    if not call.permits("network:update_quota"):
        raise errors.PolicyDenied(action="network:update_quota")


def _parse_quota(request: Request, call: Call) -> dict[str, int]:
    given = call.body(request).get("quota")
    if not isinstance(given, dict):
        raise errors.Invalid("Resource body required: 'quota'.")
    limits = {}
    for noun, value in given.items():
        if noun in ("project_id", "tenant_id", "force", "check_limit"):
            continue
        if noun not in _QUOTAS:
            raise errors.Invalid(f"Unrecognized attribute(s) '{noun}'")
        try:
            limits[noun] = fields.integer(-1, 2**31 - 1)(value)
        except (ValueError, TypeError):
            raise errors.Invalid(f"Invalid input for {noun}. Reason: '{value}' is not a number from -1 on.") from None
    return limits
