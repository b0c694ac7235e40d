"""A server's view of its networks, kept with the server so that reading it asks no other service."""

import msgspec

from nova.structs.request_group import RequestGroup


class FixedIp(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One address of a VIF, and the floating addresses that lead to it."""

    address: str
    version: int
    subnet_id: str
    floating_ips: tuple[str, ...] = ()


class Subnet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    cidr: str
    gateway: str | None = None
    dns: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    has_dhcp: bool = True


class Vif(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A port as plugged into a server. network_label is what users see in `addresses`.

    vif_type and details are the port's binding: vif_type "bridge" has details["bridge_name"].
    """

    port_id: str
    network_id: str
    network_label: str
    mac: str
    mtu: int = 1500
    vif_type: str = "bridge"
    vnic_type: str = "normal"
    details: dict[str, str | int | bool] = {}
    fixed_ips: tuple[FixedIp, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    security_groups: tuple[str, ...] = ()
    tag: str | None = None
    # A port the user made is only unbound when the server goes; one we made is deleted.
    is_preexisting: bool = False
    is_active: bool = True


class NetworkRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of `networks` in a request for a server. port_id set: that port as it is.

    is_auto: the project's one network, which is made when there is none.

    new_port_id is chosen when the request is accepted, so that a step done twice makes one port.
    """

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None
    is_auto: bool = False


class PortClaim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a port takes of its host in Placement: bandwidth, packet rate. Source: Networking API reference,
    "resource_request".

    subtree: the groups whose providers are one above the other. has_ids: whether the Networking service names its groups;
    one without names has a single group.
    """

    port_id: str
    groups: tuple[RequestGroup, ...]
    subtree: tuple[str, ...] = ()
    has_ids: bool = True
