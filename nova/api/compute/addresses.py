"""Addresses in requests: each is kept, shown and looked for in one spelling (RFC 5952), whichever it was given in."""

import ipaddress
import socket
from typing import Any


def canonical(address: str) -> str:
    """The one spelling of a valid address."""
    parsed = ipaddress.ip_address(address)
    # It alone knows which addresses of IPv6 end in one of IPv4.
    is_v4 = isinstance(parsed, ipaddress.IPv4Address)
    return str(parsed) if is_v4 else socket.inet_ntop(socket.AF_INET6, parsed.packed)


def access_addresses(fields: dict[str, Any]) -> dict[str, str]:
    """Those that a request names, by their names in the record."""
    names = {"accessIPv4": "access_ip_v4", "accessIPv6": "access_ip_v6"}
    return {name: canonical(fields[key]) for key, name in names.items() if key in fields}
