"""Subnets: /v2.0/subnets. Source: Networking API v2.0 reference, "Subnets".

The gateway is the address of a router that joins the subnet; without one nobody has it. On an external network it is
somebody else's router, or this host where nobody else is on that network.
"""

import ipaddress
import itertools
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from nova.errors import Conflict, Invalid, PolicyDenied
from nova.network.api import fields, ranges
from nova.network.api.fields import Field
from nova.network.api.resource import Call, Resource, common_view
from nova.structs import subnet_ranges
from nova.structs.networking import AnyRecord, Subnet

_UNSET: Any = object()
_IPV6_MODES = ("dhcpv6-stateful", "dhcpv6-stateless", "slaac")


class Subnets(Resource):
    noun = "subnet"
    plural = "subnets"
    path = "subnets"
    fields = (
        *fields.COMMON,
        Field("network_id", fields.uuid_text, put=False),
        Field("cidr", fields.optional(fields.cidr), default=None, put=False),
        Field("ip_version", fields.integer(4, 6), put=False),
        Field("gateway_ip", fields.optional(fields.ip_address), default=_UNSET),
        Field("enable_dhcp", fields.boolean, default=True),
        Field("allocation_pools", fields.list_of(fields.allocation_pool), default=()),
        Field("dns_nameservers", fields.list_of(fields.ip_address, limit=5), default=()),
        Field("host_routes", fields.list_of(fields.host_route, limit=20), default=()),
        Field("ipv6_address_mode", fields.optional(fields.one_of(*_IPV6_MODES)), default=None, put=False),
        Field("ipv6_ra_mode", fields.optional(fields.one_of(*_IPV6_MODES)), default=None, put=False),
        Field("subnetpool_id", fields.optional(fields.text()), default=None, put=False),
        Field("prefixlen", fields.optional(fields.integer(0, 128)), default=None, put=False),
        Field("service_types", fields.list_of(fields.text()), default=()),
        Field("segment_id", fields.optional(fields.uuid_text), default=None),
    )
    shown = ("dns_publish_fixed_ip",)
    columns = {
        "id": "id",
        "name": "name",
        "project_id": "project_id",
        "tenant_id": "project_id",
        "network_id": "network_id",
    }

    def build(self, call: Call, values: dict[str, Any]) -> list[AnyRecord]:
        """Gateway and pools are chosen where they are not given. Raises Invalid, PolicyDenied on others' networks."""
        if values.pop("subnetpool_id") or values.pop("prefixlen"):
            raise Invalid("There are no subnet pools here: a subnet names its cidr.")
        values.pop("prefixlen", None)
        if values.pop("service_types") or values.pop("segment_id", None):
            raise Invalid("Subnets here have neither service types nor segments.")
        values.pop("segment_id", None)
        network = call.get("network", values["network_id"])
        if not call.allows("network:create_subnet", {"project_id": network.project_id}):
            raise PolicyDenied(action="network:create_subnet")
        if not values["cidr"]:
            raise Invalid("Invalid input for cidr. Reason: a subnet needs a range of addresses.")
        ranges.check_range(values["cidr"], call.conf, network.is_external)
        net = ipaddress.ip_network(values["cidr"])
        if net.version != values["ip_version"]:
            raise Invalid(f"Invalid input for ip_version. Reason: {net} is of version {net.version}.")
        if values["gateway_ip"] is _UNSET:
            values["gateway_ip"] = subnet_ranges.default_gateway(values["cidr"])
        _check_versions(values["cidr"], [values["gateway_ip"], *values["dns_nameservers"]])
        pools = values["allocation_pools"] or subnet_ranges.default_pools(values["cidr"], values["gateway_ip"])
        subnet = Subnet(id=str(uuid.uuid4()), **{**values, "allocation_pools": pools})
        _check(subnet)
        return [subnet]

    def change(self, call: Call, record: Subnet, values: dict[str, Any]) -> AnyRecord:
        """Pools that are emptied become those a new subnet would get. Raises Invalid."""
        if values.pop("service_types", None) or values.pop("segment_id", None):
            raise Invalid("Subnets here have neither service types nor segments.")
        values.pop("segment_id", None)
        _check_versions(record.cidr, [values.get("gateway_ip")])
        if "allocation_pools" in values and not values["allocation_pools"]:
            gateway = values.get("gateway_ip", record.gateway_ip)
            values["allocation_pools"] = subnet_ranges.default_pools(record.cidr, gateway)
        changed = msgspec.structs.replace(record, **values)
        _check(changed)
        return changed

    def views(self, call: Call, records: Sequence[Subnet]) -> list[dict[str, Any]]:
        return [_view(record) for record in records]


def _check(subnet: Subnet) -> None:
    net = ipaddress.ip_network(subnet.cidr)
    first, last = subnet_ranges.host_range(net)
    _check_versions(subnet.cidr, [subnet.gateway_ip, *subnet.dns_nameservers])
    ranges.check_addresses(subnet)
    spans = []
    for pool in subnet.allocation_pools:
        low, high = ipaddress.ip_address(pool.start), ipaddress.ip_address(pool.end)
        if low.version != net.version or int(low) < int(first) or int(high) > int(last):
            raise Invalid(f"Invalid input for allocation_pools. Reason: {low}-{high} is not inside {net}.")
        if (
            subnet.gateway_ip
            and low.version == 4
            and int(low) <= int(ipaddress.ip_address(subnet.gateway_ip)) <= int(high)
        ):
            raise Conflict(f"Gateway {subnet.gateway_ip} lies in the allocation pool {low}-{high}.")
        spans.append((int(low), int(high)))
    spans.sort()
    if any(later[0] <= earlier[1] for earlier, later in itertools.pairwise(spans)):
        raise Conflict(f"Allocation pools of {net} overlap.")
    if subnet.ip_version == 4 and (subnet.ipv6_address_mode or subnet.ipv6_ra_mode):
        raise Invalid("Invalid input: an IPv4 subnet has no IPv6 modes.")


def _check_versions(cidr: str, addresses: Sequence[str | None]) -> None:
    version = ipaddress.ip_network(cidr).version
    for address in addresses:
        if address and ipaddress.ip_address(address).version != version:
            raise Invalid(f"Invalid input: {address} is not an IPv{version} address.")


def _view(record: Subnet) -> dict[str, Any]:
    return common_view(record) | {
        "network_id": record.network_id,
        "cidr": record.cidr,
        "ip_version": record.ip_version,
        "gateway_ip": record.gateway_ip,
        "enable_dhcp": record.enable_dhcp,
        "allocation_pools": [msgspec.structs.asdict(pool) for pool in record.allocation_pools],
        "dns_nameservers": list(record.dns_nameservers),
        "host_routes": [msgspec.structs.asdict(route) for route in record.host_routes],
        "ipv6_address_mode": record.ipv6_address_mode,
        "ipv6_ra_mode": record.ipv6_ra_mode,
        "subnetpool_id": None,
        "service_types": [],
        "segment_id": None,
        "dns_publish_fixed_ip": False,
    }
