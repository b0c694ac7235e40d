"""Security groups on one host, as an nftables ruleset. Pure functions, but for apply() and remove().

Two tables, because a kernel may have no connection tracking for bridges. The bridge table knows
devices, and drops what comes with another device's addresses. So the inet table, which sees bridged
packets through br_netfilter, can tell a port by bridge and address; it accepts what the rules allow,
and replies to that.
"""

import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from nova.network.host import commands
from nova.privileged.sockets import METADATA
from nova.structs.networking import SecurityGroupRule
from nova.structs.security_group_rules import PROTOCOLS

_V4, _V6 = 4, 6
# What the names of all guests' devices begin with.
_GUESTS = "tap"
# Numbers of zones have 16 bits.
_ZONES = 65535
_PORTS = {"tcp": "tcp", "udp": "udp", "sctp": "sctp", "6": "tcp", "17": "udp", "132": "sctp"}
_ICMP = {"icmp": "icmp", "1": "icmp", "icmpv6": "icmpv6", "ipv6-icmp": "icmpv6", "58": "icmpv6"}


class Guarded(msgspec.Struct, frozen=True):
    """A port of this host: its device, its bridge, the addresses it may use, and its groups.

    addresses are the port's own (own_addresses) and its allowed pairs', each an address or a range. is_filtered
    False: port security is off, and the port may do anything but ask for another's metadata.
    """

    port_id: str
    device: str
    bridge: str
    macs: tuple[str, ...]
    addresses: tuple[str, ...]
    groups: tuple[str, ...]
    is_filtered: bool = True
    own_addresses: tuple[str, ...] = ()


def device_of(port_id: str) -> str:
    """The name of the host's end of a guest's network device."""
    return f"{_GUESTS}{port_id}"[:14]


def others(devices: Mapping[str, Mapping[str, Any]], bridges: Collection[str]) -> set[str]:
    """The guests' devices, of all devices of this host, that are on somebody else's bridges."""
    return {
        name
        for name, device in devices.items()
        if name.startswith(_GUESTS) and device.get("master") and device["master"] not in bridges
    }


def apply(
    table: str,
    ports: Sequence[Guarded],
    rules: Mapping[str, Sequence[SecurityGroupRule]],
    members: Mapping[str, set[str]],
    bridges: Sequence[str] = (),
    others: Iterable[str] = (),
) -> None:
    """Replace this host's filters, all at once. Raises commands.CommandFailed."""
    commands.set_kernel({f"net/bridge/bridge-nf-call-{family}": "1" for family in ("iptables", "ip6tables")})
    commands.load_rules(ruleset(table, ports, rules, members, bridges, others))


def remove(table: str) -> None:
    """Both tables of this name; fine when there are none."""
    for family in ("bridge", "inet"):
        commands.delete_table(family, table)


def ruleset(
    table: str,
    ports: Sequence[Guarded],
    rules: Mapping[str, Sequence[SecurityGroupRule]],
    members: Mapping[str, set[str]],
    bridges: Sequence[str] = (),
    others: Iterable[str] = (),
) -> str:
    """The text that replaces both tables. rules and members (addresses of a group's ports) are by group id.

    bridges: all that carry guests' networks here, oldest first. others: guests' devices that are somebody else's to
    guard. Every other guest's device that is no port's is cut off.
    """
    everyone = sorted(ports, key=lambda port: port.port_id)
    filtered = [port for port in everyone if port.is_filtered]
    lines = [f"table {family} {table}\ndelete table {family} {table}" for family in ("bridge", "inet")]
    lines += _bridge_table(table, everyone, rules, members, sorted(set(others) - {port.device for port in everyone}))
    lines += _inet_table(table, filtered, rules, members, zones(bridges or sorted({port.bridge for port in filtered})))
    return "\n".join(lines) + "\n"


def zones(bridges: Iterable[str]) -> dict[str, int]:
    """A zone of connection tracking for each bridge: on another one the same addresses are somebody else's.

    A bridge keeps its number while the ones before it stay, so a newcomer does not end others' connections.
    """
    taken: dict[int, str] = {}
    for bridge in bridges:
        number = int.from_bytes(hashlib.sha256(bridge.encode()).digest()[:4], "big") % _ZONES
        while number in taken:
            number = (number + 1) % _ZONES
        taken[number] = bridge
    # Zone 0 is the host's own.
    return {bridge: number + 1 for number, bridge in taken.items()}


def _bridge_table(
    table: str,
    ports: Sequence[Guarded],
    rules: Mapping[str, Sequence[SecurityGroupRule]],
    members: Mapping[str, set[str]],
    others: Sequence[str],
) -> list[str]:
    lines = [f"table bridge {table} {{"]
    lines += _multicast([port for port in ports if port.is_filtered], rules, members)
    for port in ports:
        lines += _chain(
            f"from-{port.device}", [*_own_metadata_only(port), *(_own_source_only(port) if port.is_filtered else ())]
        )
        if port.is_filtered:
            lines += _chain(f"to-{port.device}", _own_destination_only(port))
    sent = {port.device: f"goto from-{port.device}" for port in ports}
    delivered = {port.device: f"goto to-{port.device}" if port.is_filtered else "accept" for port in ports}
    left_alone = dict.fromkeys(others, "accept")
    hook = "type filter hook {} priority -350; policy accept;"
    lines += _chain("sent", [hook.format("prerouting"), *_dispatch("iifname", left_alone | sent)])
    lines += _chain("delivered", [hook.format("postrouting"), *_dispatch("oifname", left_alone | delivered)])
    return [*lines, "}"]


def _dispatch(match: str, verdicts: Mapping[str, str]) -> list[str]:
    """A device that is none of these was a port's that is gone, or will be one's: nothing says yet what it may do."""
    entries = ", ".join(f'"{device}" : {verdict}' for device, verdict in verdicts.items())
    return [*([f"{match} vmap {{ {entries} }}"] if entries else []), f'{match} "{_GUESTS}*" drop']


def _multicast(
    ports: Iterable[Guarded], rules: Mapping[str, Sequence[SecurityGroupRule]], members: Mapping[str, set[str]]
) -> list[str]:
    """What rules let in for many at once. It has no port's address, so nothing but a device tells whose it is."""
    groups = sorted({group for port in ports for group in port.groups})
    of_group = {
        group: [rule for rule in rules.get(group, ()) if rule.direction == "ingress" and _may_be_multicast(rule)]
        for group in groups
    }
    remotes = {rule.remote_group_id for of_one in of_group.values() for rule in of_one if rule.remote_group_id}
    lines = [line for group in sorted(remotes) for line in _member_sets(group, members.get(group, set()))]
    for group, of_one in of_group.items():
        # In the bridge family a packet's protocol is its frame's.
        texts = [text for rule in of_one for text in _matches(rule)]
        texts = [
            text.replace("meta nfproto ipv4", "ether type ip").replace("meta nfproto ipv6", "ether type ip6")
            for text in texts
        ]
        lines += _chain(f"multicast-{group}", texts)
    return lines


def _may_be_multicast(rule: SecurityGroupRule) -> bool:
    return _PORTS.get(rule.protocol or "") not in ("tcp", "sctp")


def _own_metadata_only(port: Guarded) -> list[str]:
    """The metadata service knows a guest by its network and address: nobody asks it under another's."""
    own = _of_version(port.own_addresses, _V4)
    others = f" ip saddr != {_set(own)}" if own else ""
    return [f"ip daddr {METADATA}{others} drop"]


def _own_source_only(port: Guarded) -> list[str]:
    """A guest sends from its own MAC and addresses, and speaks for no others; it is no DHCP server and no router."""
    v4, v6 = _of_version(port.addresses, _V4), _of_version(port.addresses, _V6)
    lines = [f"ether saddr != {_set(port.macs)} drop", *_own_leases_only(port)]
    lines.append("ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept")
    lines.append("udp sport 67 udp dport 68 drop")
    if v4:
        # An address that is being probed for is announced by nobody yet. Source: RFC 5227.
        lines.append(f"arp saddr ip 0.0.0.0 arp daddr ip != {_set(v4)} drop")
        lines.append(f"arp saddr ip != {_set((*v4, '0.0.0.0'))} drop")
        lines.append(f"arp saddr ether != {_set(port.macs)} drop")
        lines.append(f"ip saddr {_set(v4)} accept")
        lines.append("ether type arp accept")
    lines += _own_neighbour_only(port)
    if v6:
        lines.append(f"ip6 saddr {_set(v6)} accept")
    return [*lines, "drop"]


def _own_leases_only(port: Guarded) -> list[str]:
    """Nobody takes, declines or gives back a lease for another. A message in pieces is nobody's. Source: RFC 2131."""
    own = _set(f"0x{mac.replace(':', '')}" for mac in port.macs)
    return ["udp dport 67 ip frag-off & 0x3fff != 0 drop", f"udp dport 67 @th,288,48 != {own} drop"]


def _own_neighbour_only(port: Guarded) -> list[str]:
    """Discovery of neighbours, and DHCPv6, which come from a link-local or no address. Sources: RFC 4861, RFC 4862."""
    link_locals = tuple(dict.fromkeys(_link_local(mac) for mac in port.macs))
    targets = _set(_number(address) for address in _of_version((*port.addresses, *link_locals), _V6))
    return [
        "icmpv6 type { nd-router-advert, nd-redirect } drop",
        # Nobody answers for another's address, nor asks as one who is about to take it.
        f"icmpv6 type nd-neighbor-advert @th,64,128 != {targets} drop",
        f"ip6 saddr :: icmpv6 type nd-neighbor-solicit @th,64,128 != {targets} drop",
        f"ip6 saddr {_set(('::', *link_locals))} meta l4proto ipv6-icmp accept",
        f"ip6 saddr {_set(link_locals)} udp sport 546 udp dport 547 accept",
    ]


def _link_local(mac: str) -> str:
    """The link-local address that a host gives itself for its MAC. Source: RFC 4291, appendix A."""
    octets = bytes.fromhex(mac.replace(":", ""))
    interface = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80".ljust(8, b"\0") + interface))


def _number(address: str) -> str:
    """An IPv6 address or range as nftables takes it for bytes that it has no name for."""
    net = ipaddress.IPv6Network(address)
    first, last = (f"0x{int(one):032x}" for one in (net[0], net[-1]))
    return first if first == last else f"{first}-{last}"


def _own_destination_only(port: Guarded) -> list[str]:
    """A guest receives ARP, replies to its DHCP requests, what is addressed to it, and to many if its rules say so."""
    v4, v6 = _of_version(port.addresses, _V4), _of_version(port.addresses, _V6)
    lines = ["ether type arp accept", "udp sport 67 udp dport 68 accept"]
    if v4:
        lines.append(f"ip daddr {_set(v4)} accept")
    lines.append("icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query } accept")
    lines.append("udp sport 547 udp dport 546 accept")
    if v6:
        lines.append(f"ip6 daddr {_set(v6)} accept")
    for group in port.groups:
        lines += [f"ip daddr 224.0.0.0/4 jump multicast-{group}", f"ip6 daddr ff00::/8 jump multicast-{group}"]
    return [*lines, "drop"]


def _inet_table(
    table: str,
    ports: Sequence[Guarded],
    rules: Mapping[str, Sequence[SecurityGroupRule]],
    members: Mapping[str, set[str]],
    zones: Mapping[str, int],
) -> list[str]:
    lines = [f"table inet {table} {{"]
    if zones:
        entries = ", ".join(f'"{bridge}" : {zone}' for bridge, zone in zones.items())
        raw = ["type filter hook prerouting priority raw; policy accept;", f"ct zone set iifname map {{ {entries} }}"]
        lines += _chain("zones", raw)
    groups = sorted({group for port in ports for group in port.groups})
    remotes = {rule.remote_group_id for group in groups for rule in rules.get(group, ()) if rule.remote_group_id}
    for group in sorted(remotes):
        lines += _member_sets(group, members.get(group, set()))
    for group in groups:
        for direction in ("ingress", "egress"):
            chain = [text for rule in rules.get(group, ()) if rule.direction == direction for text in _matches(rule)]
            lines += _chain(f"{direction}-{group}", chain)
    for port in ports:
        for direction in ("ingress", "egress"):
            jumps = [f"jump {direction}-{group}" for group in port.groups]
            lines += _chain(f"{direction}-port-{port.port_id}", [*_always(direction), *jumps, "drop"])
    # After connection tracking (-200) and before addresses are translated (-100): what the guest itself sent.
    lines += _chain(
        "sent", ["type filter hook prerouting priority -150; policy accept;", *_by_address("saddr", "egress", ports)]
    )
    lines += _chain(
        "delivered",
        ["type filter hook postrouting priority -150; policy accept;", *_by_address("daddr", "ingress", ports)],
    )
    return [*lines, "}"]


def _always(direction: str) -> list[str]:
    lines = ["ct state established,related accept", "ct state invalid drop"]
    if direction == "egress":
        lines += ["udp sport 68 udp dport 67 accept", f"ip daddr {METADATA} tcp dport 80 accept"]
        lines.append("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept")
    else:
        lines.append("udp sport 67 udp dport 68 accept")
        lines.append("icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept")
    return lines


def _by_address(field: str, direction: str, ports: Sequence[Guarded]) -> list[str]:
    """One look-up by bridge and address finds a port's chain; ranges are tried in turn."""
    match = "iifname" if field == "saddr" else "oifname"
    lines = []
    for version, word in ((_V4, "ip"), (_V6, "ip6")):
        exact: dict[tuple[str, str], str] = {}
        for port in ports:
            for address in _of_version(port.addresses, version):
                chain = f"{direction}-port-{port.port_id}"
                if "/" in address:
                    lines.append(f'{match} "{port.bridge}" {word} {field} {address} jump {chain}')
                else:
                    exact.setdefault((port.bridge, address), chain)
        if exact:
            entries = ", ".join(f'"{bridge}" . {address} : goto {chain}' for (bridge, address), chain in exact.items())
            lines.append(f"{match} . {word} {field} vmap {{ {entries} }}")
    # The exact ones first: a range that holds a port's own address is another's pair.
    return sorted(lines, key=lambda line: "vmap" not in line)


def _matches(rule: SecurityGroupRule) -> list[str]:
    """One line per rule; none for a rule that can match nothing here."""
    if rule.port_range_min is not None and rule.protocol not in (*_PORTS, *_ICMP):
        # Older releases took ports of protocols without: it must not be all of the protocol.
        return []
    word = "ip" if rule.ethertype == "IPv4" else "ip6"
    remote = "saddr" if rule.direction == "ingress" else "daddr"
    version = _V4 if word == "ip" else _V6
    parts = [f"meta nfproto {'ipv4' if version == _V4 else 'ipv6'}"]
    if rule.remote_group_id:
        parts.append(f"{word} {remote} @{_member_set(rule.remote_group_id, version)}")
    elif rule.remote_ip_prefix and ipaddress.ip_network(rule.remote_ip_prefix).prefixlen:
        parts.append(f"{word} {remote} {rule.remote_ip_prefix}")
    parts += _protocol(rule)
    return [f"{' '.join(parts)} accept"]


def _protocol(rule: SecurityGroupRule) -> list[str]:
    if rule.protocol is None:
        return []
    if rule.protocol in _ICMP:
        # "icmp" in an IPv6 rule means ICMPv6.
        word = "icmp" if rule.ethertype == "IPv4" else "icmpv6"
        parts = [f"meta l4proto {'icmp' if word == 'icmp' else 'ipv6-icmp'}"]
        if rule.port_range_min is not None:
            parts.append(f"{word} type {rule.port_range_min}")
        if rule.port_range_max is not None:
            parts.append(f"{word} code {rule.port_range_max}")
        return parts
    if rule.protocol in _PORTS and rule.port_range_min is not None:
        word = _PORTS[rule.protocol]
        return [
            f"{word} dport {rule.port_range_min if rule.port_range_min == rule.port_range_max else f'{rule.port_range_min}-{rule.port_range_max}'}"
        ]
    # By number: nftables knows different names on different hosts, and refuses all rules for an unknown one.
    return [f"meta l4proto {PROTOCOLS.get(rule.protocol, rule.protocol)}"]


def _member_set(group: str, version: int) -> str:
    return f"members{version}-{group}"


def _member_sets(group: str, addresses: Iterable[str]) -> list[str]:
    lines = []
    for version, kind in ((_V4, "ipv4_addr"), (_V6, "ipv6_addr")):
        members = _of_version(sorted(addresses), version)
        lines += [f"  set {_member_set(group, version)} {{", f"    type {kind}", "    flags interval", "    auto-merge"]
        if members:
            lines.append(f"    elements = {_set(members)}")
        lines.append("  }")
    return lines


def _chain(name: str, rules: Sequence[str]) -> list[str]:
    return [f"  chain {name} {{", *(f"    {rule}" for rule in rules), "  }"]


def _set(items: Iterable[str]) -> str:
    return f"{{ {', '.join(items)} }}"


def _of_version(addresses: Iterable[str], version: int) -> tuple[str, ...]:
    """The addresses of one IP version. One inside a range is left out: nftables refuses overlaps."""
    texts = [address for address in addresses if (_V6 if ":" in address else _V4) == version]
    if len(texts) < 2:
        # Most ports have one, and reading it costs most of the time that their rules take.
        return tuple(texts)
    networks: Iterable[Any] = (ipaddress.ip_network(address) for address in texts)
    merged = ipaddress.collapse_addresses(networks)
    return tuple(str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net) for net in merged)
