"""Connections that the kernel tracks, which outlive what allowed them: shown, and forgotten one by one.

Spoken over netlink. Sources: Linux, uapi/linux/netlink.h, uapi/linux/netfilter/nfnetlink_conntrack.h.
"""

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

from nova.privileged import bounds, links
from nova.privileged.contexts import NETWORK

_NETLINK_NETFILTER = 12
_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
_REQUEST, _ACK, _DUMP = 1, 4, 0x300
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct("!BBH")
_ATTRIBUTE = struct.Struct("=HH")
# Attributes of a connection, and of one direction of it.
_ORIGINAL, _REPLY, _STATUS, _ID, _ZONE = 1, 2, 3, 12, 18
_ADDRESSES, _PROTOCOL = 1, 2
_SOURCES, _DESTINATIONS = (1, 3), (2, 4)
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_ICMP_TYPES, _ICMP_CODES = (5, 8), (6, 9)
_EXPECTED = 1
_ANSWERS_WITHIN_S = 30.0

# zone, protocol, source, destination, (source port or ICMP type), (destination port or ICMP code), source and destination
# of the answers, whether another connection has brought it about, and what tells it from others
Connection = tuple[int, int, str, str, int, int, str, str, bool, bytes]


@NETWORK.entrypoint
def tracked(space: str, zones: list[int]) -> list[Connection]:
    """The connections in these zones of a namespace, or of the host, whose own zone is 0. Raises OSError."""
    bounds.namespace(space)
    _check_zones(space, zones)
    found: list[Connection] = _in(space, lambda: [one for one in _dump() if one[0] in zones])
    return found


@NETWORK.entrypoint
def forget(space: str, connections: list[bytes]) -> None:
    """End connections, as tracked() tells of them. Of the host's own none. Raises OSError, Refused."""
    bounds.namespace(space)
    for one in connections:
        _check_zones(space, [_zone(dict(_attributes(one[4:])))])
    _in(space, lambda: _delete(connections))


def _check_zones(space: str, zones: list[int]) -> None:
    if not space and 0 in zones:
        raise bounds.Refused("the host's own connections are nobody's business")


def _in(space: str, work: Any) -> Any:
    return links.inside(space, work) if space else work()


def _dump() -> Iterator[Connection]:
    with _socket() as kernel:
        kernel.send(_HEADER.pack(20, _GET, _REQUEST | _DUMP, 1, 0) + _FAMILY.pack(0, 0, 0))
        while True:
            for kind, body in _messages(kernel.recv(1 << 17)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    _raise(body)
                else:
                    yield _connection(body)


def _delete(connections: list[bytes]) -> None:
    with _socket() as kernel:
        for one in connections:
            kernel.send(_HEADER.pack(16 + len(one), _DELETE, _REQUEST | _ACK, 1, 0) + one)
            for kind, body in _messages(kernel.recv(1 << 16)):
                if kind == _ERROR:
                    _raise(body, but_for=errno.ENOENT)


def _socket() -> socket.socket:
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    kernel.settimeout(_ANSWERS_WITHIN_S)
    kernel.bind((0, 0))
    return kernel


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, at)
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _raise(body: bytes, but_for: int = 0) -> None:
    number = -int(struct.unpack_from("=i", body)[0])
    if number not in (0, but_for):
        raise OSError(number, os.strerror(number))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        # The two upper bits say how it is to be read.
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def _connection(body: bytes) -> Connection:
    told = dict(_attributes(body[_FAMILY.size :]))
    source, destination, protocol = _direction(told[_ORIGINAL])
    answers_from, answers_to, _ = _direction(told[_REPLY])
    first = next((protocol[kind][0] for kind in _ICMP_TYPES if kind in protocol), None)
    second = next((protocol[kind][0] for kind in _ICMP_CODES if kind in protocol), None)
    key = body[: _FAMILY.size] + b"".join(_packed(kind, told[kind]) for kind in (_ORIGINAL, _ZONE, _ID) if kind in told)
    return (
        _zone(told),
        protocol[_NUMBER][0],
        source,
        destination,
        int.from_bytes(protocol.get(_SOURCE_PORT, b""), "big") if first is None else first,
        int.from_bytes(protocol.get(_DESTINATION_PORT, b""), "big") if second is None else second,
        answers_from,
        answers_to,
        bool(int.from_bytes(told.get(_STATUS, b""), "big") & _EXPECTED),
        key,
    )


def _direction(data: bytes) -> tuple[str, str, dict[int, bytes]]:
    parts = dict(_attributes(data))
    addresses = dict(_attributes(parts[_ADDRESSES]))
    source, destination = (
        str(ipaddress.ip_address(next(addresses[kind] for kind in kinds if kind in addresses)))
        for kinds in (_SOURCES, _DESTINATIONS)
    )
    return source, destination, dict(_attributes(parts[_PROTOCOL]))


def _zone(told: dict[int, bytes]) -> int:
    return int.from_bytes(told.get(_ZONE, b""), "big")


def _packed(kind: int, value: bytes) -> bytes:
    nested = 0x8000 if kind == _ORIGINAL else 0
    packed = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind | nested) + value
    return packed.ljust((len(packed) + 3) & ~3, b"\0")
