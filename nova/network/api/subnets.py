"""Subnets: /v2.0/subnets. Source: Networking API v2.0 reference, "Subnets".

The gateway is an address of this host's bridge, except on an external network, where it is
somebody else's router. So the ranges of all other networks must not overlap.
"""

import ipaddress
import itertools
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from nova.errors import Conflict, Invalid, NetworkingInUse, PolicyDenied
from nova.network import ipam
from nova.network.api import fields
from nova.network.api.fields import Field
from nova.network.api.resource import Call, Resource, common_view
from nova.structs.networking import AnyRecord, FixedIp, Port, Subnet

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
        if values.pop("subnetpool_id") or values.pop("prefixlen"):
            raise Invalid("There are no subnet pools here: a subnet names its cidr.")
        values.pop("prefixlen", None)
        if values.pop("service_types") or values.pop("segment_id", None):
            raise Invalid("Subnets here have neither service types nor segments.")
        values.pop("segment_id", None)
        network = call.get("network", values["network_id"])
        call_may_add(call, network)
        if not values["cidr"]:
            raise Invalid("Invalid input for cidr. Reason: a subnet needs a range of addresses.")
        net = ipaddress.ip_network(values["cidr"])
        if net.version != values["ip_version"]:
            raise Invalid(f"Invalid input for ip_version. Reason: {net} is of version {net.version}.")
        if values["gateway_ip"] is _UNSET:
            values["gateway_ip"] = ipam.default_gateway(values["cidr"])
        _check_versions(values["cidr"], [values["gateway_ip"], *values["dns_nameservers"]])
        pools = values["allocation_pools"] or ipam.default_pools(values["cidr"], values["gateway_ip"])
        subnet = Subnet(id=str(uuid.uuid4()), **{**values, "allocation_pools": pools})
        _check(subnet)
        _check_overlap(subnet, call.store.networking("subnet", {}))
        return [subnet]

    def store_new(self, call: Call, built: list[list[AnyRecord]]) -> list[AnyRecord]:
        subnets = super().store_new(call, built)
        self._give_way(call, subnets)
        for subnet in subnets:
            keep_dhcp_port(call, subnet)
        return subnets

    def _give_way(self, call: Call, subnets: Sequence[AnyRecord]) -> None:
        """Two creations at once may each have found their range free: the later one gives way."""
        everything = call.store.networking("subnet", {})
        for index, subnet in enumerate(everything):
            if any(subnet.id == own.id for own in subnets):
                try:
                    _check_overlap(subnet, everything[:index])
                except Invalid:
                    for own in subnets:
                        call.store.delete_networking("subnet", own.id)
                    raise

    def change(self, call: Call, record: Subnet, values: dict[str, Any]) -> AnyRecord:
        if values.pop("service_types", None) or values.pop("segment_id", None):
            raise Invalid("Subnets here have neither service types nor segments.")
        values.pop("segment_id", None)
        _check_versions(record.cidr, [values.get("gateway_ip")])
        if "allocation_pools" in values and not values["allocation_pools"]:
            gateway = values.get("gateway_ip", record.gateway_ip)
            values["allocation_pools"] = ipam.default_pools(record.cidr, gateway)
        changed = msgspec.structs.replace(record, **values)
        _check(changed)
        if changed.gateway_ip and changed.gateway_ip != record.gateway_ip:
            used = call.store.networking("port", {"ip_address": [changed.gateway_ip], "subnet_id": [record.id]})
            if any(FixedIp(record.id, changed.gateway_ip) in port.fixed_ips for port in used):
                raise NetworkingInUse(
                    f"Gateway {changed.gateway_ip} is the address of port {used[0].id}.", noun="subnet", id=record.id
                )
        return changed

    def update(self, call: Call, record_id: str, values: dict[str, Any], revision: int | None) -> AnyRecord:
        subnet = super().update(call, record_id, values, revision)
        keep_dhcp_port(call, subnet)
        return subnet

    def views(self, call: Call, records: Sequence[Subnet]) -> list[dict[str, Any]]:
        return [_view(record) for record in records]


def call_may_add(call: Call, network: Any) -> None:
    """A subnet is added by whoever owns its network."""
    if not call.allows("network:create_subnet", {"project_id": network.project_id}):
        raise PolicyDenied(action="network:create_subnet")


def keep_dhcp_port(call: Call, subnet: Subnet) -> None:
    """Where the gateway is not ours to answer from, DHCP needs an address of its own."""
    network = call.networks_of([subnet.network_id])[subnet.network_id]
    where = {"subnet_id": [subnet.id], "device_owner": ["network:dhcp"]}
    existing = call.store.networking("port", where)
    wanted = subnet.enable_dhcp and subnet.ip_version == 4 and (network.is_external or not subnet.gateway_ip)
    if wanted and not existing:
        port = Port(
            id=str(uuid.uuid5(uuid.UUID(subnet.id), "dhcp")),
            project_id=subnet.project_id,
            network_id=subnet.network_id,
            mac_address="",
            fixed_ips=(FixedIp(subnet.id, ""),),
            device_id=f"dhcp-{subnet.id}",
            device_owner="network:dhcp",
            port_security_enabled=False,
        )
        call.store.add_networking([port], {})
    if existing and not wanted:
        for port in existing:
            call.store.delete_networking("port", port.id)


def _check(subnet: Subnet) -> None:
    net = ipaddress.ip_network(subnet.cidr)
    first, last = ipam.host_range(net)
    _check_versions(subnet.cidr, [subnet.gateway_ip, *subnet.dns_nameservers])
    if subnet.gateway_ip:
        gateway = ipaddress.ip_address(subnet.gateway_ip)
        if gateway in net and not first <= gateway <= last and net.num_addresses > 2:
            raise Invalid(f"Invalid input for gateway_ip. Reason: {gateway} is no address for a host of {net}.")
    spans = []
    for pool in subnet.allocation_pools:
        low, high = ipaddress.ip_address(pool.start), ipaddress.ip_address(pool.end)
        if low.version != net.version or low < first or high > last:
            raise Invalid(f"Invalid input for allocation_pools. Reason: {low}-{high} is not inside {net}.")
        if subnet.gateway_ip and low.version == 4 and low <= ipaddress.ip_address(subnet.gateway_ip) <= high:
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


def _check_overlap(subnet: Subnet, others: Sequence[Subnet]) -> None:
    net = ipaddress.ip_network(subnet.cidr)
    for other in others:
        other_net = ipaddress.ip_network(other.cidr)
        if other_net.version == net.version and net.overlaps(other_net):
            raise Invalid(
                f"Invalid input for operation: Requested subnet with cidr: {net} for network: {subnet.network_id} "
                f"overlaps with another subnet."
            )


def _view(record: Subnet) -> dict[str, Any]:
    return common_view(record) | {
        "network_id": record.network_id,
        "cidr": record.cidr,
        "ip_version": record.ip_version,
        "gateway_ip": record.gateway_ip,
        "enable_dhcp": record.enable_dhcp,
        "allocation_pools": [{"start": pool.start, "end": pool.end} for pool in record.allocation_pools],
        "dns_nameservers": list(record.dns_nameservers),
        "host_routes": [{"destination": route.destination, "nexthop": route.nexthop} for route in record.host_routes],
        "ipv6_address_mode": record.ipv6_address_mode,
        "ipv6_ra_mode": record.ipv6_ra_mode,
        "subnetpool_id": None,
        "service_types": [],
        "segment_id": None,
        "dns_publish_fixed_ip": False,
    }
