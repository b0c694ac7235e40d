"""A router: a namespace with a leg on each subnet that it joins, and one outside. Pure functions.

It forwards between what it joins and nowhere else. Addresses are translated inside it: what leaves by the outer leg has
the router's own address or the guest's floating one, and a floating IP leads in.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from nova.network.host.plan import Records, Served, bridge_mtu, length
from nova.network.host.spaces import Cable, Space, router_name
from nova.privileged.sockets import METADATA
from nova.structs.networking import FloatingIp, Network, Port, Router, Subnet

_INTERFACE, _GATEWAY = "network:router_interface", "network:router_gateway"
_TABLE = "nova-router"
# Nowhere that a router forwards to. Sources: RFC 6890, RFC 4291.
_NEVER_V4 = "{ 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/4, 240.0.0.0/4 }"
_NEVER_V6 = "{ ::/127, fe80::/10, ff00::/8 }"
# Rules and tables of the legs' ways to the metadata service.
_FIRST_TABLE = 1000


class Leg(msgspec.Struct, frozen=True):
    """A router's device on a network. server: the address of the network's DHCP server, "" without."""

    device: str
    port: Port
    network: Network
    subnets: tuple[Subnet, ...]
    server: str = ""


class Routed(msgspec.Struct, frozen=True):
    """A router with its inner legs, its outer one and the floating IPs that lead through it."""

    router: Router
    inner: tuple[Leg, ...]
    outer: Leg | None
    floating_ips: tuple[FloatingIp, ...]

    @property
    def advertised(self) -> list[tuple[Leg, Subnet]]:
        """The IPv6 subnets whose guests learn of this router by its advertisements."""
        return [
            (leg, subnet)
            for leg in self.inner
            for subnet in leg.subnets
            if subnet.ip_version == 6 and subnet.ipv6_ra_mode
        ]


def routed(records: Records, served: Sequence[Served]) -> list[Routed]:
    """The routers that are up, as the records say."""
    networks = {one.network.id: one for one in served}
    subnets = {subnet.id: subnet for subnet in records.subnets}
    legs: dict[str, list[Port]] = {}
    for port in records.ports:
        if port.device_owner in (_INTERFACE, _GATEWAY):
            legs.setdefault(port.device_id, []).append(port)
    fixed = {port.id: port for port in records.ports}
    plan = []
    for router in records.routers:
        if not router.admin_state_up:
            continue
        inner, outer = [], None
        for port in sorted(legs.get(router.id, ()), key=lambda port: port.id):
            if port.network_id not in networks:
                continue
            leg = _leg(port, networks[port.network_id], subnets)
            if port.device_owner == _INTERFACE and networks[port.network_id].is_here:
                inner.append(leg)
            if port.device_owner == _GATEWAY and port.network_id == router.external_network_id:
                outer = leg
        leading = (one for one in records.floating_ips if one.router_id == router.id)
        own = [one for one in leading if outer and _leads_through(one, outer, inner, fixed)]
        plan.append(Routed(router, tuple(inner), outer, tuple(own)))
    return plan


def router_space(
    routed: Routed,
    realm: str,
    reserved: Iterable[Any] = (),
    public_interface: str | None = None,
    force_snat: bool = True,
) -> Space:
    """reserved: networks of the operator's, to which nothing of guests goes."""
    cables = [_cable(leg) for leg in routed.inner]
    routes: list[str] = []
    rules: list[str] = []
    for number, leg in enumerate(routed.inner, _FIRST_TABLE):
        if leg.server:
            # A guest that does not know the DHCP server's route asks its gateway.
            routes.append(f"{METADATA} via {leg.server} dev {leg.device} table {number}")
            rules.append(f"pref {number} iif {leg.device} to {METADATA} lookup {number}")
    if routed.outer:
        floating = [f"{one.floating_ip_address}/32" for one in routed.floating_ips]
        cables.append(_cable(routed.outer, floating, public_interface))
        for subnet in routed.outer.subnets:
            if subnet.gateway_ip:
                word = "default" if subnet.ip_version == 4 else "::/0"
                routes.append(f"{word} via {subnet.gateway_ip} dev {routed.outer.device}")
    for route in routed.router.routes:
        device = _device_to(route.nexthop, routed)
        if device:
            routes.append(f"{_destination(route.destination)} via {route.nexthop} dev {device}")
    return Space(
        name=router_name(realm, routed.router.id),
        cables=tuple(cables),
        routes=tuple(dict.fromkeys(routes)),
        rules=tuple(rules),
        ruleset=ruleset(routed, reserved, force_snat),
        is_router=True,
        own=_own_address(routed) or "",
        translated=tuple((one.fixed_ip_address or "", one.floating_ip_address) for one in routed.floating_ips),
    )


def ruleset(routed: Routed, reserved: Iterable[Any] = (), force_snat: bool = True) -> str:
    """The nftables rules of a router's namespace."""
    lines = [f"table inet {_TABLE}\ndelete table inet {_TABLE}", f"table inet {_TABLE} {{"]
    lines += _chain("true-source", "type filter hook prerouting priority -150; policy accept;", _true_source(routed))
    lines += _chain("arriving", "type nat hook prerouting priority dstnat; policy accept;", _arriving(routed))
    lines += _chain(
        "leaving", "type nat hook postrouting priority srcnat; policy accept;", _leaving(routed, force_snat)
    )
    lines += _chain("forwarded", "type filter hook forward priority filter; policy drop;", _forwarded(routed, reserved))
    own = ["ct state established,related accept", 'iifname "lo" accept', "meta l4proto { icmp, ipv6-icmp } accept"]
    lines += _chain("to-itself", "type filter hook input priority filter; policy drop;", own)
    return "\n".join([*lines, "}"]) + "\n"


def _true_source(routed: Routed) -> list[str]:
    """The kernel's own check of sources knows IPv4 alone."""
    inner = _names(routed)
    accepted = "ip6 saddr { ::, fe80::/10 } accept"
    return [accepted, f"iifname {inner} fib saddr . iif oif missing drop"] if inner else []


def _arriving(routed: Routed) -> list[str]:
    entries = ", ".join(f"{one.floating_ip_address} : {one.fixed_ip_address}" for one in routed.floating_ips)
    return [f"dnat ip to ip daddr map {{ {entries} }}"] if entries else []


def _leaving(routed: Routed, force_snat: bool) -> list[str]:
    outer, inside = routed.outer, _set(_cidrs(routed.inner, 4))
    if outer is None or not inside:
        return []
    lines = []
    own = _own_address(routed)
    entries = ", ".join(f"{one.fixed_ip_address} : {one.floating_ip_address}" for one in routed.floating_ips)
    if entries:
        # From one guest to another's floating IP and back: the answer must pass here, too.
        lines.append(f"ct status dnat ip saddr {inside} snat ip to ip saddr map {{ {entries} }}")
        lines.append(f'oifname "{outer.device}" snat ip to ip saddr map {{ {entries} }}')
        if own:
            lines.append(f"ct status dnat ip saddr {inside} snat ip to {own}")
    if own and routed.router.enable_snat and force_snat:
        lines.append(f'oifname "{outer.device}" ip saddr {inside} snat ip to {own}')
    return lines


def _own_address(routed: Routed) -> str | None:
    """The router's own address of IPv4 outside."""
    fixed_ips = routed.outer.port.fixed_ips if routed.outer else ()
    return next((ip.ip_address for ip in fixed_ips if ":" not in ip.ip_address), None)


def _forwarded(routed: Routed, reserved: Iterable[Any]) -> list[str]:
    inner, outer = _names(routed), routed.outer
    if not inner:
        return []
    lines = [
        # The answer goes from the network's namespace straight to the guest: connections are seen by halves.
        f"iifname {inner} oifname {inner} ip daddr {METADATA} tcp dport 80 accept",
        f"ip daddr {_NEVER_V4} drop",
        f"ip6 daddr {_NEVER_V6} drop",
        "ct state established,related accept",
        f"iifname {inner} oifname {inner} accept",
    ]
    if outer is None:
        return lines
    leaves = f'iifname {inner} oifname "{outer.device}"'
    for version, word in ((4, "ip"), (6, "ip6")):
        near = _set(subnet.cidr for subnet in outer.subnets if subnet.ip_version == version)
        kept = _set(str(net) for net in ipaddress.collapse_addresses(n for n in reserved if n.version == version))
        if near:
            lines.append(f"{leaves} {word} daddr {near} accept")
        if kept:
            lines.append(f"{leaves} {word} daddr {kept} drop")
    lines.append(f"{leaves} accept")
    lines.append(f'iifname "{outer.device}" ct status dnat accept')
    lines.append(f'iifname "{outer.device}" meta nfproto ipv6 accept')
    if not routed.router.enable_snat:
        lines.append(f'iifname "{outer.device}" accept')
    return lines


def _leg(port: Port, served: Served, subnets: Mapping[str, Subnet]) -> Leg:
    kind = "nvr" if port.device_owner == _INTERFACE else "nvg"
    own = tuple(subnets[ip.subnet_id] for ip in port.fixed_ips if ip.subnet_id in subnets)
    servers = (address for address in served.server_addresses.values() if ":" not in address)
    return Leg(f"{kind}{port.id.replace('-', '')[:12]}", port, served.network, own, next(servers, ""))


def _cable(leg: Leg, more: Sequence[str] = (), public_interface: str | None = None) -> Cable:
    own = zip(leg.port.fixed_ips, leg.subnets, strict=True)
    return Cable(
        device=leg.device,
        mac=leg.port.mac_address,
        mtu=bridge_mtu(leg.network),
        addresses=(*(f"{fixed_ip.ip_address}/{length(subnet)}" for fixed_ip, subnet in own), *more),
        bridge="" if public_interface else leg.network.bridge,
        carrier=public_interface or "",
    )


def _leads_through(floating_ip: FloatingIp, outer: Leg, inner: Iterable[Leg], ports: Mapping[str, Port]) -> bool:
    port = ports.get(floating_ip.port_id or "")
    if port is None or floating_ip.floating_network_id != outer.network.id:
        return False
    target = [ip.subnet_id for ip in port.fixed_ips if ip.ip_address == floating_ip.fixed_ip_address]
    return any(subnet.id in target for leg in inner for subnet in leg.subnets)


def _device_to(address: str, routed: Routed) -> str | None:
    """The leg on whose subnet an address is."""
    for leg in (*routed.inner, *((routed.outer,) if routed.outer else ())):
        if any(ipaddress.ip_address(address) in ipaddress.ip_network(subnet.cidr) for subnet in leg.subnets):
            return str(leg.device)
    return None


def _destination(cidr: str) -> str:
    """As `ip route` shows it."""
    net = ipaddress.ip_network(cidr)
    if not net.prefixlen:
        return "default" if net.version == 4 else "::/0"
    return str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net)


def _cidrs(legs: Iterable[Leg], version: int) -> list[str]:
    nets: Iterable[Any] = (ipaddress.ip_network(s.cidr) for leg in legs for s in leg.subnets if s.ip_version == version)
    return [str(net) for net in ipaddress.collapse_addresses(nets)]


def _names(routed: Routed) -> str:
    return _set(f'"{leg.device}"' for leg in routed.inner)


def _set(items: Iterable[str]) -> str:
    text = ", ".join(items)
    return f"{{ {text} }}" if text else ""


def _chain(name: str, kind: str, rules: Sequence[str]) -> list[str]:
    return [f"  chain {name} {{", f"    {kind}", *(f"    {rule}" for rule in rules), "  }"]
