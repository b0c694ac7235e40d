"""The MAC and the addresses of a port, chosen in the transaction that commits them, with the subnets locked.

What is free is asked for, never what is taken: a choice costs the same however many addresses a subnet has given.

The unique constraint on (subnet, address) has the last word; whoever commits a choice repeats it when that fails.
"""

import ipaddress
import random
from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy.engine import Connection

from nova.db import addresses
from nova.db import networks as db
from nova.errors import Invalid, IpAddressGenerationFailure, IpAddressInUse, MacAddressInUse
from nova.structs.networking import FixedIp, Port, Subnet
from nova.structs.subnet_ranges import Address, host_range, is_between, is_given


def complete(connection: Connection, port: Port, before: Port | None = None) -> Port:
    """Choose what the port leaves open. before: the port as it is now.

    Raises what choose() raises, and MacAddressInUse.
    """
    if before is not None and (port.mac_address, port.fixed_ips) == (before.mac_address, before.fixed_ips):
        return port
    subnets = db.find(connection, "subnet", {"network_id": [port.network_id]}, lock=True)
    own_mac = before.mac_address if before else None
    # A new MAC is taken already once in millions: then the database refuses it, and another is tried.
    mac = port.mac_address or _new_mac()
    if port.mac_address not in ("", own_mac) and db.mac_is_taken(connection, port.network_id, mac):
        raise MacAddressInUse(mac=mac, network_id=port.network_id)
    own = before.fixed_ips if before else ()
    fixed_ips = choose(port.network_id, _keep(port.fixed_ips, own), subnets, Choice(connection, mac, own))
    return msgspec.structs.replace(port, mac_address=mac, fixed_ips=fixed_ips)


class Choice:
    """The addresses that a port with this MAC may get; own: those that it has, and may have again."""

    def __init__(self, connection: Connection, mac: str, own: Collection[FixedIp] = ()) -> None:
        self._connection = connection
        self._mac = mac
        self._own = own

    def is_taken(self, subnet_id: str, address: str) -> bool:
        return FixedIp(subnet_id, address) not in self._own and bool(db.port_at(self._connection, subnet_id, address))

    def first_free(self, subnet: Subnet, used: Collection[str] = ()) -> str | None:
        """The lowest address of the subnet's pools that is neither taken, nor used, nor its gateway."""
        if subnet.ipv6_address_mode in ("slaac", "dhcpv6-stateless"):
            address = str(slaac_address(subnet.cidr, self._mac))
            return None if address in used or self.is_taken(subnet.id, address) else address
        own = [one.ip_address for one in self._own if one.subnet_id == subnet.id and one.ip_address not in used]
        candidates = [address for address in own if is_given(subnet, address)]
        if (lowest := self._lowest(subnet, used)) is not None:
            candidates.append(lowest)
        return min(candidates, key=lambda address: int(ipaddress.ip_address(address)), default=None)

    def _lowest(self, subnet: Subnet, used: Collection[str]) -> str | None:
        """The lowest address that no port has. What an older release has taken meanwhile is free no more."""
        address = addresses.lowest(self._connection, subnet.id, used)
        while address is not None and db.port_at(self._connection, subnet.id, address):
            addresses.take(self._connection, subnet.id, address)
            address = addresses.lowest(self._connection, subnet.id, used)
        if address is None and addresses.recover(self._connection, subnet):
            address = addresses.lowest(self._connection, subnet.id, used)
        return address


def choose(
    network_id: str, wanted: Sequence[FixedIp], subnets: Sequence[Subnet], choice: Choice
) -> tuple[FixedIp, ...]:
    """Complete the addresses a port asks for.

    An entry without address and subnet stands for one address of each IP version the network has. Raises Invalid for
    an address no subnet has, IpAddressInUse, IpAddressGenerationFailure.
    """
    chosen: list[FixedIp] = []
    for entry in wanted:
        if entry == FixedIp():
            chosen.extend(_one_of_each_version(network_id, subnets, choice))
            continue
        used = {fixed_ip.ip_address for fixed_ip in chosen}
        if entry.ip_address:
            subnet = _subnet_holding(entry, subnets)
            named = str(ipaddress.ip_address(entry.ip_address))
            if named in used or choice.is_taken(subnet.id, named):
                raise IpAddressInUse(ip_address=named, subnet_id=subnet.id)
            address: str | None = named
        else:
            subnet = _subnet_named(entry.subnet_id, subnets)
            address = choice.first_free(subnet, used)
        if address is None:
            raise IpAddressGenerationFailure(network_id=network_id)
        chosen.append(FixedIp(subnet.id, address))
    return tuple(chosen)


def slaac_address(cidr: str, mac: str) -> Address:
    """The address a host gives itself on an IPv6 network. Source: RFC 4291, appendix A."""
    octets = bytes.fromhex(mac.replace(":", ""))
    interface = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return ipaddress.ip_network(cidr)[0] + int.from_bytes(interface, "big")


def _one_of_each_version(network_id: str, subnets: Sequence[Subnet], choice: Choice) -> tuple[FixedIp, ...]:
    chosen = []
    for version in (4, 6):
        candidates = [subnet for subnet in subnets if subnet.ip_version == version]
        free = ((subnet, choice.first_free(subnet)) for subnet in candidates)
        fixed_ip = next((FixedIp(subnet.id, address) for subnet, address in free if address), None)
        if fixed_ip:
            chosen.append(fixed_ip)
        elif candidates:
            raise IpAddressGenerationFailure(network_id=network_id)
    return tuple(chosen)


def _subnet_holding(entry: FixedIp, subnets: Sequence[Subnet]) -> Subnet:
    address = ipaddress.ip_address(entry.ip_address)
    for subnet in subnets:
        net = ipaddress.ip_network(subnet.cidr)
        if entry.subnet_id not in ("", subnet.id) or address not in net:
            continue
        first, last = host_range(net)
        if not is_between(first, address, last):
            raise Invalid(f"{address} is not an address for a host in {subnet.cidr}.")
        return subnet
    raise Invalid(f"{address} belongs to no subnet of the network.")


def _subnet_named(subnet_id: str, subnets: Sequence[Subnet]) -> Subnet:
    for subnet in subnets:
        if subnet.id == subnet_id:
            return subnet
    raise Invalid(f"Subnet {subnet_id} does not belong to the port's network.")


def _keep(wanted: tuple[FixedIp, ...], own: tuple[FixedIp, ...]) -> tuple[FixedIp, ...]:
    """A request that names only a subnet keeps the port's address there, unless it names that address, too."""
    named = {entry.ip_address for entry in wanted}
    kept = {fixed_ip.subnet_id: fixed_ip for fixed_ip in own if fixed_ip.ip_address not in named}
    return tuple(
        kept.pop(entry.subnet_id, entry) if entry.subnet_id and not entry.ip_address else entry for entry in wanted
    )


def _new_mac() -> str:
    return "fa:16:3e:" + random.getrandbits(24).to_bytes(3, "big").hex(":")
