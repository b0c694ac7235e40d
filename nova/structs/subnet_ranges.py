"""Arithmetic over a subnet's addresses, for whoever checks a subnet and whoever gives out its addresses. Pure functions."""

import ipaddress

from nova.structs.networking import AllocationPool, Subnet

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Range = ipaddress.IPv4Network | ipaddress.IPv6Network


def host_range(net: Range) -> tuple[Address, Address]:
    """First and last address a host may have: without the network's own and IPv4's broadcast address."""
    if net.num_addresses <= 2:
        return net[0], net[-1]
    return net[1], net[-2] if net.version == 4 else net[-1]


def default_gateway(cidr: str) -> str:
    """The first address that a host may have."""
    return str(host_range(ipaddress.ip_network(cidr))[0])


def default_pools(cidr: str, gateway: str | None) -> tuple[AllocationPool, ...]:
    """Every address a host may have but the gateway's, as one or two pools."""
    first, last = host_range(ipaddress.ip_network(cidr))
    if gateway is None or not is_between(first, ipaddress.ip_address(gateway), last):
        return (AllocationPool(str(first), str(last)),)
    middle = ipaddress.ip_address(gateway)
    pools = []
    if first != middle:
        pools.append(AllocationPool(str(first), str(middle - 1)))
    if middle != last:
        pools.append(AllocationPool(str(middle + 1), str(last)))
    return tuple(pools)


def is_between(first: Address, address: Address, last: Address) -> bool:
    """Both ends belong to the range; an address of another IP version does not."""
    return first.version == address.version and int(first) <= int(address) <= int(last)


def pool_size(pool: AllocationPool) -> int:
    """Both ends count."""
    return int(ipaddress.ip_address(pool.end)) - int(ipaddress.ip_address(pool.start)) + 1


def is_in_pools(subnet: Subnet, address: str) -> bool:
    ip = ipaddress.ip_address(address)
    pools = [(ipaddress.ip_address(pool.start), ipaddress.ip_address(pool.end)) for pool in subnet.allocation_pools]
    return any(is_between(first, ip, last) for first, last in pools)


def is_given(subnet: Subnet, address: str) -> bool:
    """Whether a port that names no address may get this one: a pool has it, and it is not the gateway's."""
    return address != subnet.gateway_ip and is_in_pools(subnet, address)


def needs_server(subnet: Subnet) -> bool:
    """Whether a DHCP server has something to do on a subnet, and so has an address there."""
    return subnet.enable_dhcp and bool(subnet.ip_version == 4 or subnet.ipv6_address_mode or subnet.ipv6_ra_mode)
