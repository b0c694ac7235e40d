"""Addresses that have come to a device of a namespace, told to its neighbours, who may know them at another MAC.

Sources: RFC 5227, section 3; RFC 4861, section 7.2.6.
"""

import ipaddress
import re
import socket
import struct

from nova.privileged import bounds, links
from nova.privileged.contexts import NETWORK

_ETHERNET, _ARP, _IPV4, _IPV6 = 1, 0x0806, 0x0800, 0x86DD
_ICMPV6, _ADVERTISEMENT = 58, 136
# By a router, and instead of what was known.
_FLAGS = 0xA0000000
_EVERYBODY = socket.inet_pton(socket.AF_INET6, "ff02::1")


@NETWORK.entrypoint
def announce(space: str, device: str, addresses: list[str]) -> None:
    """Tell everybody on a device's wire, twice, that these addresses are here. Raises OSError."""
    if not bounds.namespace(space):
        raise bounds.Refused("the host's own addresses are nobody's business")
    bounds.check(re.compile(bounds.DEVICE), device, "network device")
    parsed = [ipaddress.ip_address(address) for address in addresses]
    links.inside(space, lambda: _announce(device, parsed))


def _announce(device: str, addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((device, 0))
        mac: bytes = wire.getsockname()[4]
        frames = [_arp(mac, one.packed) if one.version == 4 else _advertisement(mac, one.packed) for one in addresses]
        for frame in (*frames, *frames):
            wire.send(frame)


def _arp(mac: bytes, address: bytes) -> bytes:
    ask = struct.pack("!HHBBH", _ETHERNET, _IPV4, len(mac), len(address), 1)
    return b"\xff" * 6 + mac + struct.pack("!H", _ARP) + ask + mac + address + bytes(6) + address


def _advertisement(mac: bytes, address: bytes) -> bytes:
    option = b"\x02\x01" + mac
    length = 24 + len(option)
    pseudo = address + _EVERYBODY + struct.pack("!I3xB", length, _ICMPV6)
    plain = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _FLAGS) + address + option
    body = plain[:2] + struct.pack("!H", _checksum(pseudo + plain)) + plain[4:]
    header = struct.pack("!IHBB", 6 << 28, length, _ICMPV6, 255) + address + _EVERYBODY
    return b"\x33\x33" + _EVERYBODY[-4:] + mac + struct.pack("!H", _IPV6) + header + body


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
