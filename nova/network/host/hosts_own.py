"""What of this host guests' networks touch: nothing, but for the bridge of an external network whose gateway it is.

A frame that a guests' bridge would hand to the host itself is dropped before anything looks at it. On the bridge of an
external network where nobody else is the gateway the host has that address: it forwards to the world and back, answers
echo, and offers nothing else. Pure functions.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from nova.network.host.plan import Served
from nova.network.host.router import Routed


def sealing(table: str, bridges: Sequence[str]) -> str:
    """The ruleset by which these bridges, which must exist, give this host nothing."""
    lines = [f"table netdev {table}\ndelete table netdev {table}", f"table netdev {table} {{"]
    for bridge in bridges:
        hook = f'type filter hook ingress device "{bridge}" priority 0; policy drop;'
        lines += [f"  chain {bridge} {{", f"    {hook}", "  }"]
    return "\n".join([*lines, "}"]) + "\n"


def ruleset(
    table: str, plan: Sequence[Served], routers: Sequence[Routed], reserved: Iterable[Any] = (), force_snat: bool = True
) -> str:
    """The host's part in external networks whose gateway it is."""
    open_bridges = [served.network.bridge for served in plan if served.addresses]
    lines = [f"table inet {table}\ndelete table inet {table}", f"table inet {table} {{"]
    if open_bridges:
        names = "{ " + ", ".join(f'"{name}"' for name in sorted(open_bridges)) + " }"
        lines += ["  chain to-host {", "    type filter hook input priority filter; policy accept;"]
        lines.append(f"    iifname {names} ct state established,related accept")
        lines.append(f"    iifname {names} meta l4proto {{ icmp, ipv6-icmp }} accept")
        lines += [f"    iifname {names} drop", "  }"]
        lines += ["  chain through-host {", "    type filter hook forward priority filter; policy accept;"]
        lines += [f"    iifname {names} {match} drop" for match in _kept(reserved)]
        lines.append("  }")
        lines += _leaving(names, routers, set(open_bridges), force_snat)
    return "\n".join([*lines, "}"]) + "\n"


def _leaving(names: str, routers: Sequence[Routed], bridges: set[str], force_snat: bool) -> list[str]:
    """The world need not know the way back to routers' own addresses; to floating IPs it must."""
    own = sorted(
        {
            fixed_ip.ip_address
            for routed in routers
            if routed.outer and routed.outer.network.bridge in bridges
            for fixed_ip in routed.outer.port.fixed_ips
            if ":" not in fixed_ip.ip_address
        }
    )
    if not own or not force_snat:
        return []
    hook = "    type nat hook postrouting priority srcnat; policy accept;"
    rule = f"    ip saddr {{ {', '.join(own)} }} oifname != {names} masquerade"
    return ["  chain leaving-host {", hook, rule, "  }"]


def _kept(reserved: Iterable[Any]) -> list[str]:
    matches = []
    for version, word in ((4, "ip"), (6, "ip6")):
        nets = ipaddress.collapse_addresses(net for net in reserved if net.version == version)
        text = ", ".join(str(net) for net in nets)
        if text:
            matches.append(f"{word} daddr {{ {text} }}")
    return matches
