"""How far privileged operations reach: names, paths and values that they take.

What depends on the configuration (directories, interfaces, the cloud's mark) is told once, before the daemon hears
anybody, and cannot be told again. A root daemon in whose own process all this runs is told nothing: names
must be of the right kinds all the same.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from nova.privileged.contexts import NETWORK
from nova.privileged.tools import CommandFailed

# What the kernel takes as a device's name is more; what begins with a dash would be an option.
DEVICE = r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,14}"
NAMESPACE = r"nova-(?P<realm>[0-9a-f]{6})-[nr]-[0-9a-f-]{36}"
_OWN_DEVICE = re.compile(r"(?:nbr|nv[a-z])[0-9a-f]{1,12}")
_DIRECTORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,60}")
_HOST_TABLE = re.compile(r"nova-(?:nat|filter|compute)-(?P<realm>[0-9a-f]{6})")
_SPACE_TABLE = re.compile(r"nova-router")
_KERNEL_ON_HOST = re.compile(
    r"net/ipv4/ip_forward|net/bridge/bridge-nf-call-ip6?tables|fs/inotify/max_user_instances"
    rf"|net/ipv[46]/conf/(?P<device>{DEVICE})/(?:disable_ipv6|route_localnet|rp_filter|arp_ignore)"
)
_KERNEL_IN_SPACE = re.compile(
    rf"net/ipv4/ip_forward|net/ipv[46]/conf/{DEVICE}/"
    r"(?:forwarding|rp_filter|route_localnet|send_redirects|accept_redirects|promote_secondaries|accept_ra)"
)
_NUMBER = re.compile(r"[0-9]{1,9}")


class Refused(CommandFailed):
    """A privileged operation was asked for what lies beyond its bounds; nothing was done."""


class Bounds(msgspec.Struct, frozen=True):
    """The part of the configuration that bounds what is done.

    networks_path: the DHCP servers' directory, absolute. realm: the cloud's mark in names. bridges: those that an operator
    has named. lent: interfaces of the host that guests' networks go over. uid: whom the daemon runs as.
    """

    networks_path: str
    realm: str
    bridges: tuple[str, ...]
    lent: tuple[str, ...]
    dnsmasq_config_file: str
    uid: int
    dhcpbridge: str = ""


_told: Bounds | None = None


@NETWORK.entrypoint
def confine(bounds: dict[str, object]) -> None:
    """Told once. Raises Refused the second time."""
    global _told
    if _told is not None:
        raise Refused("the bounds of privileged operations have been told")
    _told = msgspec.convert(bounds, Bounds)


def check(pattern: "re.Pattern[str]", text: object, what: str) -> "re.Match[str]":
    """A text that matches as a whole. Raises Refused."""
    match = pattern.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Refused(f"no {what}: {text!r}")
    return match


def namespace(name: str) -> str:
    """A namespace of this cloud; "" is the host itself."""
    if name:
        _own_realm(check(re.compile(NAMESPACE), name, "namespace of a network or router"))
    return name


def own_device(name: str) -> str:
    """A device that this cloud makes, or a bridge that an operator has named."""
    check(re.compile(DEVICE), name, "network device")
    if _told and name not in _told.bridges:
        check(_OWN_DEVICE, name, "network device of this cloud")
    return name


def lent_device(name: str) -> str:
    """An interface of the host that the configuration gives to guests' networks: joined, and changed in nothing else."""
    check(re.compile(DEVICE), name, "network device")
    if _told and name not in _told.lent:
        raise Refused(f"not an interface for guests' networks: {name!r}")
    return name


def table(name: str, space: str) -> str:
    """A table of nftables in this namespace."""
    if space:
        check(_SPACE_TABLE, name, "table of a router")
    else:
        _own_realm(check(_HOST_TABLE, name, "table of this cloud"))
    return name


def kernel(parameters: dict[str, str], space: str) -> dict[str, str]:
    """Kernel parameters with numbers for values, by path below /proc/sys."""
    for name, value in parameters.items():
        match = check(_KERNEL_IN_SPACE if space else _KERNEL_ON_HOST, name, "kernel parameter of networks")
        if device := match.groupdict().get("device"):
            own_device(device)
        check(_NUMBER, value, "number")
    return parameters


def dhcp_directory(root: str, name: str) -> Path:
    """The directory of one DHCP server."""
    if _told and root != _told.networks_path:
        raise Refused(f"not the directory of networks: {root}")
    return Path(root, check(_DIRECTORY, name, "directory of a DHCP server")[0])


def dnsmasq_config_file(path: str) -> str:
    if _told and path != _told.dnsmasq_config_file:
        raise Refused(f"not the configuration file of DHCP servers: {path}")
    return path


def dhcpbridge(path: str) -> str:
    """What DHCP servers start for each lease."""
    if _told and path != _told.dhcpbridge:
        raise Refused(f"not the program for leases of DHCP servers: {path}")
    return path


def owner_of_daemon() -> int | None:
    """Whom the daemon runs as, where it is not root."""
    return _told.uid if _told else None


def lines(patterns: Sequence["re.Pattern[str]"], given: Sequence[str]) -> None:
    """Lines for a tool, each of one of these forms, whose groups (own, peer, lent, member, space) are checked, too."""
    kinds = {"own": own_device, "peer": own_device, "lent": lent_device, "member": _member, "space": namespace}
    for line in given:
        match = next((found for pattern in patterns if (found := pattern.fullmatch(line))), None)
        if match is None:
            raise Refused(f"not a change of networks: {line!r}")
        for group, value in match.groupdict().items():
            if value is not None:
                kinds[group](value)


def _member(name: str) -> str:
    return lent_device(name) if _told and name in _told.lent else own_device(name)


def _own_realm(match: "re.Match[str]") -> None:
    if _told and match["realm"] != _told.realm:
        raise Refused(f"of another cloud: {match[0]!r}")
