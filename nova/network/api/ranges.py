"""Which addresses a subnet may name: none that means something to a host, or is the operator's own.

The ranges below have a meaning of their own on every machine. Sources: RFC 6890 (special-purpose addresses),
RFC 4291 (IPv6). What the cloud's hosts use themselves the operator says in [DEFAULT] reserved_ranges.
"""

import ipaddress
from collections.abc import Iterable

from oslo_config import cfg

from nova.errors import Invalid
from nova.structs.networking import Subnet
from nova.structs.subnet_ranges import Address, Range, host_range, is_between

_SPECIAL = {
    "this network": ("0.0.0.0/8",),
    "loopback": ("127.0.0.0/8", "::1/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "reserved": ("240.0.0.0/4",),
    "unspecified": ("::/128",),
    "IPv4-mapped": ("::ffff:0:0/96",),
}
_NAMED = [(kind, ipaddress.ip_network(cidr)) for kind, cidrs in _SPECIAL.items() for cidr in cidrs]
# 10.0.0.0/8 and fd00::/8 are the largest ranges that anybody has for himself.
_SHORTEST_PREFIX = 8
# A guest may be told of another way to the metadata service.
_METADATA = ipaddress.ip_network("169.254.169.254/32")


def check_range(cidr: str, conf: cfg.ConfigOpts, is_external: bool = False) -> None:
    """Raises Invalid for a range that no tenant's network may have.

    An external network is the operator's, and may be the one that the hosts themselves are on.
    """
    net = ipaddress.ip_network(cidr)
    _refuse("cidr", net)
    if net.prefixlen < _SHORTEST_PREFIX:
        raise Invalid(f"Invalid input for cidr. Reason: {net} is larger than a /{_SHORTEST_PREFIX}.")
    if is_external:
        return
    for reserved in (*conf.reserved_ranges, *_hosts_own(conf)):
        if _overlap(net, reserved):
            raise Invalid(f"Invalid input for cidr. Reason: {net} overlaps {reserved}, which is reserved.")


def check_addresses(subnet: Subnet) -> None:
    """Raises Invalid for a gateway or next hop outside the subnet, and for names servers and routes that no guest has."""
    net = ipaddress.ip_network(subnet.cidr)
    if subnet.gateway_ip and not is_host_of(net, subnet.gateway_ip):
        raise Invalid(f"Invalid input for gateway_ip. Reason: {subnet.gateway_ip} is no address for a host of {net}.")
    for server in subnet.dns_nameservers:
        _refuse("dns_nameservers", ipaddress.ip_network(server))
    for route in subnet.host_routes:
        check_route(route.destination)
        if not is_host_of(net, route.nexthop):
            raise Invalid(f"Invalid input for host_routes. Reason: {route.nexthop} is no address for a host of {net}.")


def check_route(destination: str) -> None:
    """Raises Invalid for a destination that is no place to route to."""
    net = ipaddress.ip_network(destination)
    if net.prefixlen and net != _METADATA:
        _refuse("routes", net)


def is_host_of(net: Range, address: str) -> bool:
    """Whether the address is within host_range(), the addresses that hosts may have."""
    first, last = host_range(net)
    return is_between(first, ipaddress.ip_address(address), last)


def _refuse(field: str, net: Range) -> None:
    for kind, special in _NAMED:
        if _overlap(net, special):
            raise Invalid(f"Invalid input for {field}. Reason: {net} overlaps {special} ({kind}).")


def _hosts_own(conf: cfg.ConfigOpts) -> Iterable[Range]:
    """The addresses of this host that the configuration names."""
    for value in (conf.my_ip, conf.metadata_host, conf.network_api_listen):
        address = _address(value)
        if address and not address.is_unspecified:
            yield ipaddress.ip_network(address)


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _overlap(one: Range, other: Range) -> bool:
    return one.version == other.version and one.overlaps(other)
