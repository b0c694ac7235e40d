"""Calls about DHCP leases: what servers tell of them, and what they are told when they start.

A lease is worth something while a port has its address: a port's address goes back with the port, whatever lease
there is, because nobody but a port's own guest can use it.
"""

from sqlalchemy.engine import Connection

from nova import clock
from nova.db import dhcp_leases as db
from nova.db import networks
from nova.db.engine import Database
from nova.structs.networking import DhcpLease


class DhcpLeaseCalls:
    def __init__(self, database: Database) -> None:
        self._database = database

    def dhcp_leases(self) -> list[DhcpLease]:
        return self._database.read(lambda connection: db.find(connection))

    def adopt_dhcp_leases(self, network_id: str) -> list[DhcpLease]:
        """Leases that have run out, or whose address no port has with that MAC address, are deleted on the way."""
        now = clock.utcnow().timestamp()

        def adopt(connection: Connection) -> list[DhcpLease]:
            adopted = []
            for lease in db.find(connection, network_id):
                if (0 < lease.expires_at <= now) or not _has_port(connection, lease):
                    db.delete(connection, lease)
                else:
                    adopted.append(lease)
            return adopted

        return self._database.write(adopt, is_repeatable=True)

    def keep_dhcp_lease(self, lease: DhcpLease) -> bool:
        """False, and nothing is kept, where no port of the network has the address with that MAC address."""

        def keep(connection: Connection) -> bool:
            # Nobody deletes the port, or records another lease of its address, meanwhile.
            if not _has_port(connection, lease, lock=True):
                return False
            db.put(connection, lease)
            return True

        return self._database.write(keep, is_repeatable=True)

    def drop_dhcp_lease(self, lease: DhcpLease) -> None:
        """Only where the lease is still this client's."""

        def drop(connection: Connection) -> None:
            for one in db.find(connection, lease.network_id, lease.ip_address):
                if _client(one) == _client(lease):
                    db.delete(connection, one)

        self._database.write(drop, is_repeatable=True)


def _has_port(connection: Connection, lease: DhcpLease, lock: bool = False) -> bool:
    where = {"network_id": [lease.network_id], "ip_address": [lease.ip_address]}
    ports = networks.find(connection, "port", where, lock=lock)
    return any(lease.mac_address in ("", port.mac_address) for port in ports)


def _client(lease: DhcpLease) -> str:
    """What a server knows a client by."""
    return lease.client_id if lease.iaid else lease.mac_address
