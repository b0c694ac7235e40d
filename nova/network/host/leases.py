"""What DHCP servers tell of their leases, through nova-dhcpbridge: recorded by the conductor, and given back to a server that starts.

Whoever asks is a program of this host, beside a server that hears guests: in that server's namespace, for a guest that
has got into one server is to speak for no other. It is believed a lease of an address that a port has on the server's own
network, whose other words are of a form that a server may read again.
"""

import contextlib
import ipaddress
import logging
import os
import re
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from nova import concurrency, errors
from nova.network.dhcpbridge import OK, SEPARATOR, SOCKET
from nova.network.host.commands import CommandFailed
from nova.network.host.spaces import network_name
from nova.privileged import links
from nova.privileged.dhcp import NOBODY
from nova.privileged.separation import call
from nova.rpc.network import NetworkingCalls
from nova.structs.networking import DhcpLease

LOG = logging.getLogger(__name__)

_AT_ONCE = 8
_BACKLOG = 128
_TELLS_WITHIN_S = 5.0
_PAUSE_S = 0.5
_LARGEST_QUESTION = 8192
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_OCTETS = re.compile(r"(?:[0-9a-f]{2}(?::[0-9a-f]{2}){0,254})?")
_HOSTNAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,254})?")
_IAID = re.compile(r"T?[0-9]{1,10}")
_EXPIRY = re.compile(r"[0-9]{1,11}")
# SO_PEERCRED of unix(7): pid, uid, gid.
_CREDENTIALS = struct.Struct("3i")


class _NotUnderstood(Exception):
    """A question that makes no sense; the message says why."""


class Leases:
    """Listens in networks_path for this host's DHCP servers. realm is part of their namespaces' names."""

    def __init__(self, directory: Path, realm: str, conductor: NetworkingCalls) -> None:
        self._directory = directory
        self._realm = realm
        self._store = conductor
        self._networks: Mapping[str, str] = {}
        # What has been recorded last, by network and address: a server that reads again tells of all leases anew.
        self._recorded: dict[tuple[str, str], DhcpLease] = {}
        self._listener: socket.socket | None = None
        self._pool: concurrency.Pool | None = None

    def converge(self, networks: Mapping[str, str]) -> list[DhcpLease]:
        """Hear these servers, network ids by name; every lease that is recorded. Raises OSError, Unavailable."""
        self._networks = dict(networks)
        recorded = self._store.dhcp_leases()
        wanted = set(networks.values())
        self._recorded = {(one.network_id, one.ip_address): one for one in recorded if one.network_id in wanted}
        if self._listener is None:
            self._listener = self._listen()
            self._pool = concurrency.Pool(_AT_ONCE, "dhcp-leases")
            concurrency.spawn(self._accept, self._listener, self._pool, name="dhcp-leases")
        return recorded

    def stop(self) -> None:
        """Servers live on; what they tell meanwhile they tell again when they are told to read again."""
        if self._listener is not None and self._pool is not None:
            listener, pool = self._listener, self._pool
            self._listener = self._pool = None
            # A thread that waits in accept() does not notice close().
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            pool.close(wait=False)

    def remove(self) -> None:
        self.stop()
        (self._directory / SOCKET).unlink(missing_ok=True)

    def _listen(self) -> socket.socket:
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / SOCKET).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # A socket's path has 107 bytes at most.
            listener.bind(f"/proc/self/fd/{descriptor}/{SOCKET}")
        finally:
            os.close(descriptor)
        # Servers are nobody; who asks is looked at, one by one.
        (self._directory / SOCKET).chmod(0o666)
        listener.listen(_BACKLOG)
        return listener

    def _accept(self, listener: socket.socket, pool: concurrency.Pool) -> None:
        while self._listener is listener:
            try:
                connection, _ = listener.accept()
                pool.submit(self._serve, connection)
            except (OSError, RuntimeError) as error:
                if self._listener is listener:
                    LOG.error("a DHCP server is not heard: %s", error)
                    time.sleep(_PAUSE_S)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            pid = _pid_of_server(connection)
            if pid is None:
                return
            try:
                text = self._answer(pid, _question(connection).split(SEPARATOR))
            except (_NotUnderstood, errors.DomainError) as error:
                LOG.warning("a lease of a DHCP server is not recorded: %s", error)
                _tell(connection, str(error).encode())
                return
            except Exception:
                # The pool would keep it to itself.
                LOG.exception("a lease of a DHCP server is not recorded")
                return
            _tell(connection, OK + text.encode())

    def _answer(self, pid: int, words: list[str]) -> str:
        """Do what a server asks for; what its script prints. Raises _NotUnderstood, DomainError."""
        server, action, *event = words if len(words) > 1 else ["", ""]
        network_id = self._networks.get(server)
        if network_id is None or not self._is_beside(network_id, pid):
            raise _NotUnderstood("no DHCP server of this host asks")
        if action == "init":
            return self._adopted(network_id)
        lease = _lease(network_id, event)
        if action == "del":
            self._recorded.pop((network_id, lease.ip_address), None)
            self._store.drop_dhcp_lease(lease)
        elif action in ("add", "old"):
            self._record(lease)
        else:
            raise _NotUnderstood(f"no event of a lease: {action!r}")
        return ""

    def _is_beside(self, network_id: str, pid: int) -> bool:
        """Whether a process is in the namespace of a network's DHCP server. Raises _NotUnderstood."""
        try:
            return bool(links.number_around(pid) == call(links.number_of, network_name(self._realm, network_id)))
        except (OSError, CommandFailed) as error:
            raise _NotUnderstood(f"nobody can tell which DHCP server asks: {error}") from error

    def _adopted(self, network_id: str) -> str:
        leases = self._store.adopt_dhcp_leases(network_id)
        for one in leases:
            self._recorded[network_id, one.ip_address] = one
        return "".join(f"{line}\n" for line in lease_lines(leases))

    def _record(self, lease: DhcpLease) -> None:
        key = (lease.network_id, lease.ip_address)
        if self._recorded.get(key) != lease and self._store.keep_dhcp_lease(lease):
            self._recorded[key] = lease


def lease_lines(leases: Iterable[DhcpLease]) -> list[str]:
    """Leases as dnsmasq writes and reads them: those of IPv4, then its own DUID, then those of IPv6."""
    four, six, duid = [], [], ""
    for one in leases:
        name = one.hostname or "*"
        if ":" in one.ip_address:
            duid = one.server_duid
            six.append(f"{one.expires_at} {one.iaid} {one.ip_address} {name} {one.client_id}")
        else:
            four.append(f"{one.expires_at} {one.mac_address} {one.ip_address} {name} {one.client_id or '*'}")
    return [*four, *([f"duid {duid}"] if six else ()), *six]


def _lease(network_id: str, words: list[str]) -> DhcpLease:
    """A lease as the script tells of it. Raises _NotUnderstood."""
    if len(words) != 8:
        raise _NotUnderstood("not what nova-dhcpbridge says")
    client, address, hostname, expires, client_id, iaid, server_duid, mac = words
    try:
        ip = ipaddress.ip_address(address)
    except ValueError as error:
        raise _NotUnderstood(f"no address: {address!r}") from error
    if ip.version == 4:
        mac, iaid, server_duid = client, "0", ""
    else:
        client_id = client
    patterns = [(_HOSTNAME, hostname), (_OCTETS, client_id), (_OCTETS, server_duid), (_IAID, iaid)]
    # The end of a lease is not told with its loss, and of an IPv6 client's MAC a server may know nothing.
    patterns += [(_EXPIRY, expires or "0"), (_MAC, mac or ("00:" * 6)[:-1] if ip.version == 6 else mac)]
    for pattern, word in patterns:
        if not pattern.fullmatch(word):
            raise _NotUnderstood(f"no part of a lease: {word!r}")
    if ip.version == 6 and not (client_id and server_duid):
        raise _NotUnderstood("no DUID")
    return DhcpLease(
        network_id=network_id,
        ip_address=str(ip),
        mac_address=mac,
        expires_at=int(expires or "0"),
        hostname=hostname,
        client_id=client_id,
        iaid="" if ip.version == 4 else iaid,
        server_duid=server_duid,
    )


def _question(connection: socket.socket) -> str:
    """All that is said, in a time for all of it. Raises OSError, _NotUnderstood."""
    said, deadline = b"", time.monotonic() + _TELLS_WITHIN_S
    while part := _in_time(connection, deadline).recv(_LARGEST_QUESTION):
        said += part
        if len(said) > _LARGEST_QUESTION:
            raise _NotUnderstood("too many words")
    return said.decode(errors="replace")


def _tell(connection: socket.socket, answer: bytes) -> None:
    """Say it, in a time for all of it. Raises OSError."""
    deadline = time.monotonic() + _TELLS_WITHIN_S
    rest = memoryview(answer)
    while rest:
        rest = rest[_in_time(connection, deadline).send(rest) :]


def _in_time(connection: socket.socket, deadline: float) -> socket.socket:
    """The connection, which waits until then at most. Raises TimeoutError.

    A timeout alone begins anew with each byte, and who sends one now and then keeps a thread from all servers.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("it takes too long")
    connection.settimeout(left)
    return connection


def _pid_of_server(connection: socket.socket) -> int | None:
    """The process at the other end, if that may be a DHCP server's: they are nobody, or whoever nova-network is."""
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(pid) if uid in (NOBODY, 0, os.geteuid()) else None
