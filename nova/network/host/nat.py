"""NAT: guests' way out, floating IPs, and the metadata service's address. Pure functions.

It is one inet table of its own; the host's other rules stay as they are.
"""

import ipaddress
from collections.abc import Sequence

from nova.network.host.dhcp import METADATA
from nova.network.host.plan import Served
from nova.structs.networking import FloatingIp


def ruleset(
    table: str,
    plan: Sequence[Served],
    floating_ips: Sequence[FloatingIp],
    metadata: tuple[str, int],
    force_snat: bool = True,
) -> str:
    """The text that replaces the table. metadata: where the metadata API listens."""
    inner = [
        (served.network.bridge, subnet)
        for served in plan
        for subnet in served.subnets
        if not served.network.is_external and subnet.ip_version == 4
    ]
    bridges = _quoted(sorted({served.network.bridge for served in plan}))
    associated = [each for each in floating_ips if each.port_id and each.fixed_ip_address]
    lines = [f"table inet {table}\ndelete table inet {table}", f"table inet {table} {{"]
    lines += _arriving(bridges, associated, metadata)
    lines += _own_output(associated)
    lines += _leaving(bridges, [subnet.cidr for _, subnet in inner], associated, force_snat)
    lines += _to_gateways(bridges, plan, metadata[1])
    return "\n".join([*lines, "}"]) + "\n"


def _arriving(bridges: str, floating_ips: Sequence[FloatingIp], metadata: tuple[str, int]) -> list[str]:
    lines = ["  chain arriving {", "    type nat hook prerouting priority dstnat; policy accept;"]
    if bridges:
        # The guest's own address stays the source: the metadata API knows a guest by it.
        target = f"{metadata[0]}:{metadata[1]}"
        lines.append(f"    iifname {bridges} ip daddr {METADATA} tcp dport 80 dnat ip to {target}")
    return [*lines, *_to_fixed(floating_ips), "  }"]


def _own_output(floating_ips: Sequence[FloatingIp]) -> list[str]:
    return [
        "  chain own {",
        "    type nat hook output priority -100; policy accept;",
        *_to_fixed(floating_ips),
        "  }",
    ]


def _to_fixed(floating_ips: Sequence[FloatingIp]) -> list[str]:
    if not floating_ips:
        return []
    entries = ", ".join(f"{each.floating_ip_address} : {each.fixed_ip_address}" for each in floating_ips)
    return [f"    dnat ip to ip daddr map {{ {entries} }}"]


def _leaving(bridges: str, cidrs: Sequence[str], floating_ips: Sequence[FloatingIp], force_snat: bool) -> list[str]:
    lines = ["  chain leaving {", "    type nat hook postrouting priority srcnat; policy accept;"]
    if cidrs:
        inside = f"{{ {', '.join(_collapsed(cidrs))} }}"
        lines.append(f"    ip saddr {inside} ip daddr {inside} accept")
        if floating_ips:
            entries = ", ".join(f"{each.fixed_ip_address} : {each.floating_ip_address}" for each in floating_ips)
            lines.append(f"    ip saddr {inside} snat ip to ip saddr map {{ {entries} }}")
        if force_snat:
            lines.append(f"    ip saddr {inside} ip daddr != {inside} masquerade")
    return [*lines, "  }"]


def _to_gateways(bridges: str, plan: Sequence[Served], metadata_port: int) -> list[str]:
    """On guests' networks this host offers DHCP, DNS, metadata and echo, and none of its other services."""
    lines = ["  chain to-gateways {", "    type filter hook input priority filter; policy accept;"]
    addresses = sorted({address for served in plan for address in served.server_addresses.values()})
    v4 = [address for address in addresses if ":" not in address]
    v6 = [address for address in addresses if ":" in address]
    if bridges:
        lines.append("    ct state established,related accept")
        lines.append(f"    iifname != {bridges} accept")
        lines.append(f"    ip daddr != {{ {', '.join(v4)} }} accept" if v4 else "    meta nfproto ipv4 accept")
        lines.append(f"    ip6 daddr != {{ {', '.join(['fe80::/10', 'ff00::/8', *v6])} }} accept")
        lines.append("    udp dport { 53, 67, 547 } accept")
        lines.append(f"    tcp dport {{ {', '.join(str(port) for port in sorted({53, metadata_port}))} }} accept")
        lines.append("    meta l4proto { icmp, ipv6-icmp } accept")
        lines.append("    drop")
    return [*lines, "  }"]


def _quoted(names: Sequence[str]) -> str:
    return "{ " + ", ".join(f'"{name}"' for name in names) + " }" if names else ""


def _collapsed(cidrs: Sequence[str]) -> list[str]:
    return [str(net) for net in ipaddress.collapse_addresses(ipaddress.ip_network(cidr) for cidr in cidrs)]
