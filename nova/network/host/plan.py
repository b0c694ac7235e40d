"""What this host's networks should look like, derived from the records alone. Pure functions."""

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from nova.network.host import firewall
from nova.network.host.spaces import Cable, Space, network_name
from nova.privileged.sockets import METADATA
from nova.structs.network_mtu import SMALLEST_IPV4
from nova.structs.networking import FloatingIp, Network, Port, Router, SecurityGroupRule, Subnet
from nova.structs.subnet_ranges import needs_server

_DHCP = "network:dhcp"


class Records(msgspec.Struct, frozen=True):
    """Everything the plan is derived from, read at once."""

    networks: Sequence[Network]
    subnets: Sequence[Subnet]
    ports: Sequence[Port]
    floating_ips: Sequence[FloatingIp]
    rules: Sequence[SecurityGroupRule]
    routers: Sequence[Router] = ()


class Served(msgspec.Struct, frozen=True):
    """One network on the network host. server_addresses: subnet id to the address its DHCP server has there.

    addresses: those of the host itself on an external network's bridge (ADDRESS/PREFIX), where nobody else is its
    gateway; no other bridge has any.
    """

    network: Network
    subnets: tuple[Subnet, ...]
    ports: tuple[Port, ...]
    server_addresses: dict[str, str]
    addresses: frozenset[str]
    is_here: bool = True

    @property
    def has_dhcp(self) -> bool:
        return any(subnet.enable_dhcp and subnet.id in self.server_addresses for subnet in self.subnets)

    @property
    def device(self) -> str:
        """The cable between the bridge and the network's namespace."""
        return f"nvd{self.network.id.replace('-', '')[:12]}"


def serve(records: Records, has_public_interface: bool = False) -> list[Served]:
    """What each network needs here: its bridge, its DHCP, the host's own address on it.

    External networks need nothing where public_interface is on them.
    """
    subnets = _by(records.subnets, "network_id")
    ports = _by(records.ports, "network_id")
    plan = []
    for network in records.networks:
        own_ports = ports.get(network.id, [])
        is_here = network.admin_state_up and not (network.is_external and has_public_interface)
        own_subnets = subnets.get(network.id, []) if is_here else []
        servers = {subnet.id: address for subnet in own_subnets if (address := _server(subnet, own_ports))}
        # On a network that leaves this host the gateway is somebody else's router.
        is_gateway = network.is_external and network.network_type == "local"
        addresses = {f"{s.gateway_ip}/{length(s)}" for s in own_subnets if s.gateway_ip and is_gateway}
        plan.append(Served(network, tuple(own_subnets), tuple(own_ports), servers, frozenset(addresses), is_here))
    return plan


def without_ports(records: Records) -> list[Subnet | Router]:
    """Records that lack a port which has been theirs since networks have namespaces."""
    servers = {ip.subnet_id for port in records.ports if port.device_owner == _DHCP for ip in port.fixed_ips}
    gateways = {port.device_id for port in records.ports if port.device_owner == "network:router_gateway"}
    subnets = [one for one in records.subnets if needs_server(one) and one.id not in servers]
    return [*subnets, *(one for one in records.routers if one.external_network_id and one.id not in gateways)]


def network_space(served: Served, realm: str) -> Space:
    """The namespace in which a network's DHCP server and metadata proxy are."""
    device, network = served.device, served.network
    servers = {subnet.id: address for subnet in served.subnets if (address := served.server_addresses.get(subnet.id))}
    addresses = [f"{servers[subnet.id]}/{length(subnet)}" for subnet in served.subnets if subnet.id in servers]
    # A guest whose address it cannot tell by one of its own is on the same wire all the same.
    routes = [f"{subnet.cidr} dev {device}" for subnet in served.subnets if subnet.id not in servers]
    # Names outside the cloud are asked for through the network's router.
    gateway = next((s.gateway_ip for s in served.subnets if s.gateway_ip and s.ip_version == 4), None)
    if gateway:
        routes.append(f"default via {gateway} dev {device}")
    cable = Cable(
        device=device,
        mac=_mac(served),
        mtu=bridge_mtu(network),
        addresses=(f"{METADATA}/32", *addresses),
        bridge=network.bridge,
    )
    return Space(network_name(realm, network.id), (cable,), tuple(routes))


def bridge_mtu(network: Network) -> int:
    """One that the kernel takes, whatever a record of an earlier release says."""
    return max(network.mtu, SMALLEST_IPV4)


def _mac(served: Served) -> str:
    """The DHCP port's, so that guests find it again when the namespace is made anew."""
    macs = [port.mac_address for port in served.ports if port.device_owner == _DHCP]
    digits = served.network.id.replace("-", "")
    return macs[0] if macs else f"fe:16:3e:{digits[:2]}:{digits[2:4]}:{digits[4:6]}"


def guarded(records: Records, host: str, devices: Collection[str] = ()) -> list[firewall.Guarded]:
    """The ports that are bound to this host, and those bound elsewhere that have a device here, which is on its way."""
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
            own_addresses=tuple(fixed_ip.ip_address for fixed_ip in port.fixed_ips),
            groups=port.security_groups,
            is_filtered=port.port_security_enabled,
        )
        for port in records.ports
        if port.network_id in bridges and (port.host == host or firewall.device_of(port.id) in devices)
    ]


def elsewhere(records: Records, host: str) -> set[str]:
    """The devices of guests on other hosts: one that comes here is nova-compute's to guard until its port is bound."""
    return {firewall.device_of(port.id) for port in records.ports if port.host not in ("", host)}


def rules_by_group(rules: Iterable[SecurityGroupRule]) -> Mapping[str, list[SecurityGroupRule]]:
    return _by(rules, "security_group_id")


def members_by_group(ports: Iterable[Port]) -> dict[str, set[str]]:
    """The addresses of the ports in each group, and of their allowed pairs."""
    members: dict[str, set[str]] = {}
    for port in ports:
        pairs = (pair.ip_address for pair in port.allowed_address_pairs)
        addresses = {*(fixed_ip.ip_address for fixed_ip in port.fixed_ips), *pairs}
        for group in port.security_groups:
            members.setdefault(group, set()).update(addresses)
    return members


def _server(subnet: Subnet, ports: Iterable[Port]) -> str | None:
    """The address of a subnet's DHCP server: that of the port which it has for this."""
    for port in ports:
        if port.device_owner == _DHCP:
            for fixed_ip in port.fixed_ips:
                if fixed_ip.subnet_id == subnet.id:
                    return fixed_ip.ip_address
    return None


def length(subnet: Subnet) -> int:
    """The prefix length of its range."""
    return ipaddress.ip_network(subnet.cidr).prefixlen


def _by(records: Iterable[Any], field: str) -> Mapping[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for record in records:
        groups.setdefault(getattr(record, field), []).append(record)
    return groups
