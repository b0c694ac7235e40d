"""Queries about DHCP leases. Functions run in their caller's transaction."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova.db.models.networks import DhcpLease as Row
from nova.structs.networking import DhcpLease

_decode = msgspec.json.Decoder(DhcpLease).decode
_encode = msgspec.json.Encoder().encode


def find(connection: Connection, network_id: str | None = None, address: str | None = None) -> list[DhcpLease]:
    """All leases, those of a network, or the one of an address there."""
    query = sa.select(Row.document).order_by(Row.network_id, Row.address)
    if network_id is not None:
        query = query.where(Row.network_id == network_id)
    if address is not None:
        query = query.where(Row.address == address)
    return [_decode(document) for document in connection.scalars(query)]


def put(connection: Connection, lease: DhcpLease) -> None:
    """Write the lease of an address, in the place of another; with the address's port locked."""
    document = _encode(lease).decode()
    is_there = connection.execute(sa.update(Row).where(*_same(lease)).values(document=document)).rowcount
    if not is_there:
        key = {"network_id": lease.network_id, "address": lease.ip_address}
        connection.execute(sa.insert(Row).values(**key, document=document))


def delete(connection: Connection, lease: DhcpLease) -> None:
    """Nothing happens without such a lease."""
    connection.execute(sa.delete(Row).where(*_same(lease)))


def _same(lease: DhcpLease) -> tuple[sa.ColumnElement[bool], ...]:
    return Row.network_id == lease.network_id, Row.address == lease.ip_address
