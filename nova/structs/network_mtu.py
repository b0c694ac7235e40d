"""How large packets on a network may be: no smaller than IP allows, and no larger than what carries them."""

from nova.errors import Invalid

# Sources: RFC 791 and RFC 8200.
SMALLEST_IPV4, SMALLEST_IPV6 = 68, 1280


def check(mtu: int, largest: int, has_ipv6: bool = False) -> None:
    """largest: of what carries the network. Raises Invalid."""
    smallest = SMALLEST_IPV6 if has_ipv6 else SMALLEST_IPV4
    if mtu > largest:
        raise Invalid(f"Invalid input for mtu. Reason: Requested MTU is too big, maximum is {largest}.")
    if mtu < smallest:
        raise Invalid(
            f"Invalid input for mtu. Reason: Requested MTU is too small: {SMALLEST_IPV4} is the minimum, and "
            f"{SMALLEST_IPV6} where a network has an IPv6 subnet."
        )
