"""Which addresses a port gets: pure choice, from subnets and what is taken on them.

The database's unique constraint on (subnet, address) has the last word; whoever commits a choice
tries again when it says no.
"""

import ipaddress
from collections.abc import Collection, Iterator, Mapping, Sequence

from nova.errors import Invalid, IpAddressGenerationFailure, IpAddressInUse
from nova.structs.networking import AllocationPool, FixedIp, Subnet

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Range = ipaddress.IPv4Network | ipaddress.IPv6Network


def choose(
    network_id: str,
    wanted: Sequence[FixedIp],
    subnets: Sequence[Subnet],
    taken: Mapping[str, Collection[str]],
    mac: str,
) -> tuple[FixedIp, ...]:
    """Complete the addresses a port asks for.

    An entry without address and subnet stands for one address of each IP version the network has.
    taken is by subnet id. Raises Invalid for an address no subnet has, IpAddressInUse,
    IpAddressGenerationFailure.
    """
    chosen: list[FixedIp] = []
    for entry in wanted:
        if entry == FixedIp():
            chosen.extend(_one_of_each_version(network_id, subnets, taken, mac))
            continue
        used = {one.ip_address for one in chosen}
        if entry.ip_address:
            subnet = _subnet_holding(entry, subnets)
            address = str(ipaddress.ip_address(entry.ip_address))
            if address in used or address in taken.get(subnet.id, ()):
                raise IpAddressInUse(ip_address=address, subnet_id=subnet.id)
        else:
            subnet = _subnet_named(entry.subnet_id, subnets)
            found = first_free(subnet, {*taken.get(subnet.id, ()), *used}, mac)
            if found is None:
                raise IpAddressGenerationFailure(network_id=network_id)
            address = found
        chosen.append(FixedIp(subnet.id, address))
    return tuple(chosen)


def first_free(subnet: Subnet, taken: Collection[str], mac: str) -> str | None:
    """The lowest address of the subnet's pools that is neither taken nor its gateway."""
    if subnet.ipv6_address_mode in ("slaac", "dhcpv6-stateless"):
        address = str(slaac_address(subnet.cidr, mac))
        return None if address in taken else address
    for pool in subnet.allocation_pools:
        for address in _span(pool):
            text = str(address)
            if text not in taken and text != subnet.gateway_ip:
                return text
    return None


def default_pools(cidr: str, gateway: str | None) -> tuple[AllocationPool, ...]:
    """Every address a host may have but the gateway's, as one or two pools."""
    first, last = host_range(ipaddress.ip_network(cidr))
    if gateway is None or not first <= ipaddress.ip_address(gateway) <= last:
        return (AllocationPool(str(first), str(last)),)
    middle = ipaddress.ip_address(gateway)
    pools = []
    if first < middle:
        pools.append(AllocationPool(str(first), str(middle - 1)))
    if middle < last:
        pools.append(AllocationPool(str(middle + 1), str(last)))
    return tuple(pools)


def default_gateway(cidr: str) -> str:
    return str(host_range(ipaddress.ip_network(cidr))[0])


def host_range(net: Range) -> tuple[Address, Address]:
    """First and last address a host may have: without the network's own and IPv4's broadcast."""
    if net.num_addresses <= 2:
        return net[0], net[-1]
    return net[1], net[-2] if net.version == 4 else net[-1]


def pool_size(pool: AllocationPool) -> int:
    return int(ipaddress.ip_address(pool.end)) - int(ipaddress.ip_address(pool.start)) + 1


def slaac_address(cidr: str, mac: str) -> Address:
    """The address a host gives itself on an IPv6 network. Source: RFC 4291, appendix A."""
    octets = bytes.fromhex(mac.replace(":", ""))
    interface = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return ipaddress.ip_network(cidr)[0] + int.from_bytes(interface, "big")


def _one_of_each_version(
    network_id: str, subnets: Sequence[Subnet], taken: Mapping[str, Collection[str]], mac: str
) -> tuple[FixedIp, ...]:
    chosen = []
    for version in (4, 6):
        candidates = [subnet for subnet in subnets if subnet.ip_version == version]
        found = None
        for subnet in candidates:
            found = first_free(subnet, taken.get(subnet.id, ()), mac)
            if found:
                chosen.append(FixedIp(subnet.id, found))
                break
        if candidates and not found:
            raise IpAddressGenerationFailure(network_id=network_id)
    return tuple(chosen)


def _subnet_holding(entry: FixedIp, subnets: Sequence[Subnet]) -> Subnet:
    address = ipaddress.ip_address(entry.ip_address)
    for subnet in subnets:
        if entry.subnet_id not in ("", subnet.id):
            continue
        net = ipaddress.ip_network(subnet.cidr)
        if address not in net:
            continue
        first, last = host_range(net)
        if not first <= address <= last:
            raise Invalid(f"{address} is not an address for a host in {subnet.cidr}.")
        return subnet
    raise Invalid(f"{address} belongs to no subnet of the network.")


def _subnet_named(subnet_id: str, subnets: Sequence[Subnet]) -> Subnet:
    for subnet in subnets:
        if subnet.id == subnet_id:
            return subnet
    raise Invalid(f"Subnet {subnet_id} does not belong to the port's network.")


def _span(pool: AllocationPool) -> Iterator[Address]:
    address, last = ipaddress.ip_address(pool.start), ipaddress.ip_address(pool.end)
    while address <= last:
        yield address
        address += 1
