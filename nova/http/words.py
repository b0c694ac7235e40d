"""What users' words may be that end up in files and commands of hosts: each kind defined once, matched whole.

A pattern that ends in $ lets a line break through; these do not.
"""

import re

_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_DNS_LABEL = re.compile(r"(?!-)[a-zA-Z0-9-]{1,63}(?<!-)")
_DHCP_OPTION = re.compile(r"[a-z0-9-]{1,64}")
_LONGEST_NAME = 255


def is_unicast_mac(text: str) -> bool:
    """Whether a text is the MAC address of one device, in lower case with colons."""
    return _MAC.fullmatch(text) is not None and text != "00:00:00:00:00:00" and not int(text[1], 16) & 1


def is_dns_name(text: str) -> bool:
    """Whether a text is a domain name, relative or absolute. Source: RFC 1123, 2.1."""
    labels = text.removesuffix(".").split(".")
    return len(text) <= _LONGEST_NAME and all(_DNS_LABEL.fullmatch(label) for label in labels)


def is_dhcp_option(text: str) -> bool:
    """Whether a text could be the name, or the number, of a DHCP option."""
    return _DHCP_OPTION.fullmatch(text) is not None


def is_one_line(text: str) -> bool:
    """Whether a text holds no control character and no other kind of line break."""
    return text.isprintable()
