"""What this host's networks should look like, derived from the records alone. Pure functions."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from nova.network.host import firewall
from nova.structs.networking import FloatingIp, Network, Port, SecurityGroupRule, Subnet


class Records(msgspec.Struct, frozen=True):
    """Everything the plan is derived from, read at once."""

    networks: Sequence[Network]
    subnets: Sequence[Subnet]
    ports: Sequence[Port]
    floating_ips: Sequence[FloatingIp]
    rules: Sequence[SecurityGroupRule]


class Served(msgspec.Struct, frozen=True):
    """One network on the network host. server_addresses: subnet id to the address DHCP answers from."""

    network: Network
    subnets: tuple[Subnet, ...]
    ports: tuple[Port, ...]
    server_addresses: dict[str, str]
    addresses: frozenset[str]

    @property
    def has_dhcp(self) -> bool:
        return any(subnet.enable_dhcp and subnet.id in self.server_addresses for subnet in self.subnets)


def serve(records: Records, has_public_interface: bool = False) -> list[Served]:
    """What each network needs here: its bridge, this host's addresses on it, its DHCP.

    External networks need nothing where public_interface is on them.
    """
    subnets = _by(records.subnets, "network_id")
    ports = _by(records.ports, "network_id")
    plan = []
    for network in records.networks:
        own_ports = ports.get(network.id, [])
        is_here = network.admin_state_up and not (network.is_external and has_public_interface)
        own_subnets = subnets.get(network.id, []) if is_here else []
        servers = {subnet.id: address for subnet in own_subnets if (address := _server(network, subnet, own_ports))}
        addresses = {f"{servers[subnet.id]}/{_length(subnet)}" for subnet in own_subnets if subnet.id in servers}
        plan.append(Served(network, tuple(own_subnets), tuple(own_ports), servers, frozenset(addresses)))
    return plan


def guarded(records: Records, host: str) -> list[firewall.Guarded]:
    """The ports whose guests are on this host."""
    bridges = {network.id: network.bridge for network in records.networks}
    return [
        firewall.Guarded(
            port_id=port.id,
            device=firewall.device_of(port.id),
            bridge=bridges[port.network_id],
            macs=tuple({port.mac_address, *(p.mac_address for p in port.allowed_address_pairs if p.mac_address)}),
            addresses=tuple(
                [fixed_ip.ip_address for fixed_ip in port.fixed_ips]
                + [pair.ip_address for pair in port.allowed_address_pairs]
            ),
            groups=port.security_groups,
            is_filtered=port.port_security_enabled,
        )
        for port in records.ports
        if port.host == host and port.device_owner.startswith("compute:") and port.network_id in bridges
    ]


def rules_by_group(rules: Iterable[SecurityGroupRule]) -> Mapping[str, list[SecurityGroupRule]]:
    return _by(rules, "security_group_id")


def members_by_group(ports: Iterable[Port]) -> dict[str, set[str]]:
    """The addresses of the ports in each group."""
    members: dict[str, set[str]] = {}
    for port in ports:
        for group in port.security_groups:
            members.setdefault(group, set()).update(fixed_ip.ip_address for fixed_ip in port.fixed_ips)
    return members


def _server(network: Network, subnet: Subnet, ports: Iterable[Port]) -> str | None:
    """This host's own address on a subnet: the gateway's, except on an external network."""
    if subnet.gateway_ip and not network.is_external:
        return subnet.gateway_ip
    for port in ports:
        if port.device_owner == "network:dhcp":
            for fixed_ip in port.fixed_ips:
                if fixed_ip.subnet_id == subnet.id:
                    return fixed_ip.ip_address
    return None


def _length(subnet: Subnet) -> int:
    return ipaddress.ip_network(subnet.cidr).prefixlen


def _by(records: Iterable[Any], field: str) -> Mapping[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for record in records:
        groups.setdefault(getattr(record, field), []).append(record)
    return groups
