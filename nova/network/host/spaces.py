"""What a network namespace of this host should hold. Plain data; namespaces.py makes it so.

The networks of tenants meet the host nowhere else: a bridge of the host joins a network's guests, and cables lead from
it into the namespaces of its DHCP server and its routers, where the addresses are.
"""

import msgspec


class Cable(msgspec.Struct, frozen=True):
    """A device in a namespace, with the addresses (ADDRESS/PREFIX) it has there.

    Its other end has the same name, and is a member of bridge; with carrier instead it is a macvlan on that device.
    """

    device: str
    mac: str
    mtu: int
    addresses: tuple[str, ...]
    bridge: str = ""
    carrier: str = ""


class Space(msgspec.Struct, frozen=True):
    """A namespace. routes and rules: arguments of `ip route` and `ip rule`; ruleset: all of its nftables tables.

    Of a router: own is its own address outside, translated the pairs of a fixed and its floating address.
    """

    name: str
    cables: tuple[Cable, ...]
    routes: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    ruleset: str = ""
    is_router: bool = False
    own: str = ""
    translated: tuple[tuple[str, str], ...] = ()


def network_name(realm: str, network_id: str) -> str:
    """The namespace of a network's DHCP server and metadata proxy. realm: what tells two clouds on one machine apart."""
    return f"{prefix(realm)}n-{network_id}"


def router_name(realm: str, router_id: str) -> str:
    return f"{prefix(realm)}r-{router_id}"


def prefix(realm: str) -> str:
    """What the names of all namespaces begin with that a nova-network owns."""
    return f"nova-{realm}-"
