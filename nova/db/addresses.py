"""What subnets have to give: ranges of free addresses, so that a choice reads a row or two, however many are taken.

A subnet's ranges are the addresses of its pools that no port has, without its gateway. They are split when an address is taken,
and an address that comes back is a range of its own. All functions but lowest() and highest() change them: the subnet's
row is locked by then, in the caller's transaction.
"""

import ipaddress
from collections.abc import Collection, Iterable, Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova.db.models.networks import FreeAddresses, PortAddress
from nova.structs.networking import Subnet
from nova.structs.subnet_ranges import is_given, is_in_pools, pool_size

_BATCH = 1000


def lowest(connection: Connection, subnet_id: str, without: Collection[str] = ()) -> str | None:
    """The lowest free address that is none of these few."""
    query = sa.select(FreeAddresses.low, FreeAddresses.high).where(FreeAddresses.subnet_id == subnet_id)
    for low, high in connection.execute(query.order_by(FreeAddresses.low).limit(len(without) + 1)):
        for number in range(_number(low), _number(high) + 1):
            address = _text(number, low)
            if address not in without:
                return address
    return None


def highest(connection: Connection, subnet_id: str) -> str | None:
    """The greatest free address, for services that take theirs from the end; None when a subnet has nothing left."""
    query = sa.select(FreeAddresses.high).where(FreeAddresses.subnet_id == subnet_id)
    high = connection.scalar(query.order_by(FreeAddresses.low.desc()).limit(1))
    return None if high is None else _text(_number(high), high)


def take(connection: Connection, subnet_id: str, address: str) -> None:
    """An address is free no more; one that no pool has never was."""
    key = _key(address)
    query = sa.select(FreeAddresses.low, FreeAddresses.high).where(
        FreeAddresses.subnet_id == subnet_id, FreeAddresses.low <= key
    )
    found = connection.execute(query.order_by(FreeAddresses.low.desc()).limit(1)).first()
    if found is None or found.high < key:
        return
    this = (FreeAddresses.subnet_id == subnet_id, FreeAddresses.low == found.low)
    below, above = _neighbours(key)
    if found.low == found.high:
        connection.execute(sa.delete(FreeAddresses).where(*this))
    elif found.low == key:
        connection.execute(sa.update(FreeAddresses).where(*this).values(low=above))
    else:
        connection.execute(sa.update(FreeAddresses).where(*this).values(high=below))
        if key < found.high:
            _insert(connection, subnet_id, [(above, found.high)])


def give_back(connection: Connection, subnet: Subnet, address: str) -> None:
    """An address that a port had is free again, where a pool has it."""
    if is_given(subnet, address):
        # One that is there already was never taken: an older release has given it.
        take(connection, subnet.id, address)
        _insert(connection, subnet.id, [(_key(address), _key(address))])


def count_anew(connection: Connection, subnet: Subnet) -> None:
    """Make a subnet's ranges from its pools and what is taken; reads all of that."""
    connection.execute(sa.delete(FreeAddresses).where(FreeAddresses.subnet_id == subnet.id))
    query = sa.select(PortAddress.address).where(PortAddress.subnet_id == subnet.id)
    taken = {*connection.scalars(query), *([subnet.gateway_ip] if subnet.gateway_ip else ())}
    keys = sorted(_key(address) for address in taken)
    for pool in subnet.allocation_pools:
        _insert(connection, subnet.id, _gaps(_key(pool.start), _key(pool.end), keys))


def recover(connection: Connection, subnet: Subnet) -> bool:
    """Count anew where fewer are taken than there are, and yet none is free: an older release gives nothing back here."""
    if lowest(connection, subnet.id) is not None:
        return False
    query = sa.select(sa.func.count()).select_from(PortAddress).where(PortAddress.subnet_id == subnet.id)
    if connection.scalars(query).one() >= _capacity(subnet):
        return False
    count_anew(connection, subnet)
    return True


def _capacity(subnet: Subnet) -> int:
    pools, gateway = subnet.allocation_pools, subnet.gateway_ip
    return sum(map(pool_size, pools)) - (gateway is not None and is_in_pools(subnet, gateway))


def _gaps(low: str, high: str, taken: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The ranges from low to high that hold none of these, which are in order."""
    for key in taken:
        if low <= key <= high:
            below, above = _neighbours(key)
            if low < key:
                yield low, below
            if key == high:
                return
            low = above
    yield low, high


def _insert(connection: Connection, subnet_id: str, ranges: Iterable[tuple[str, str]]) -> None:
    rows = [{"subnet_id": subnet_id, "low": low, "high": high} for low, high in ranges]
    for start in range(0, len(rows), _BATCH):
        connection.execute(sa.insert(FreeAddresses), rows[start : start + _BATCH])


def _key(address: str) -> str:
    """Digits of one length for each IP version, whose order as text is that of the addresses."""
    return ipaddress.ip_address(address).packed.hex()


def _neighbours(key: str) -> tuple[str, str]:
    """The keys before and after one that has both in its range; what is beyond is none."""
    number, width = _number(key), len(key)
    return f"{max(number - 1, 0):0{width}x}", f"{number + 1:0{width}x}"


def _number(key: str) -> int:
    return int(key, 16)


def _text(number: int, like: str) -> str:
    return str(ipaddress.IPv4Address(number) if len(like) == 8 else ipaddress.IPv6Address(number))
