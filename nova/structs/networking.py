"""What nova-network keeps: the nouns of the Networking API v2.0.

nova.structs.network is a server's view of these. Field names are the API's own wherever the API
shows the field, so that filtering, sorting and rendering need no table of translations.
"""

import datetime
from typing import ClassVar

import msgspec

# What a VXLAN header takes from the carrier's MTU. Source: RFC 7348 over IPv4.
_VXLAN_OVERHEAD = 50


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every noun has. revision_number grows with every change; times are UTC."""

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None

    # The singular the API uses for this noun; the plural adds an s.
    noun: ClassVar[str] = ""


class Network(Record, frozen=True, tag=True):
    """A broadcast domain. bridge is the name of the Linux bridge that carries it on every host.

    network_type: flat, vxlan or local; empty in a request: it is chosen then. So is an mtu of 0.
    """

    noun: ClassVar[str] = "network"

    bridge: str
    admin_state_up: bool = True
    shared: bool = False
    is_external: bool = False
    is_default: bool = False
    mtu: int = 1500
    network_type: str = "flat"
    physical_network: str | None = None
    segmentation_id: int | None = None
    port_security_enabled: bool = True
    dns_domain: str = ""
    availability_zone_hints: tuple[str, ...] = ()


class AllocationPool(msgspec.Struct, frozen=True):
    """Addresses given to ports that name none; both ends belong to it."""

    start: str
    end: str


class HostRoute(msgspec.Struct, frozen=True):
    destination: str
    nexthop: str


class Subnet(Record, frozen=True, tag=True):
    """A range of addresses on a network. gateway_ip None: no way out."""

    noun: ClassVar[str] = "subnet"

    network_id: str
    cidr: str
    ip_version: int = 4
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    allocation_pools: tuple[AllocationPool, ...] = ()
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    ipv6_address_mode: str | None = None
    ipv6_ra_mode: str | None = None


class FixedIp(msgspec.Struct, frozen=True):
    """An address of a port. In a request either part may be empty: it is chosen then."""

    subnet_id: str = ""
    ip_address: str = ""


class AddressPair(msgspec.Struct, frozen=True):
    """An address a port may use besides its own. mac_address None: the port's own."""

    ip_address: str
    mac_address: str | None = None


class Port(Record, frozen=True, tag=True):
    """A network device of somebody's. device_id is the server's id, device_owner "compute:ZONE"."""

    noun: ClassVar[str] = "port"

    network_id: str
    mac_address: str
    fixed_ips: tuple[FixedIp, ...] = ()
    admin_state_up: bool = True
    device_id: str = ""
    device_owner: str = ""
    host: str = ""
    vnic_type: str = "normal"
    profile: dict[str, object] = {}
    port_security_enabled: bool = True
    security_groups: tuple[str, ...] = ()
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    extra_dhcp_opts: tuple[dict[str, object], ...] = ()
    dns_name: str = ""


class SecurityGroup(Record, frozen=True, tag=True):
    """A named set of rules. default_of holds the project's id for the one group made by itself."""

    noun: ClassVar[str] = "security_group"

    default_of: str | None = None


class SecurityGroupRule(Record, frozen=True, tag=True):
    """What is let through, in one direction. None means any.

    Ports are TCP/UDP ports, or ICMP type and code.
    """

    noun: ClassVar[str] = "security_group_rule"

    security_group_id: str
    direction: str
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None


class Router(Record, frozen=True, tag=True):
    """Joins subnets, and leads them out through external_network_id.

    Its legs are ports whose device_id is the router's. routes: (destination, nexthop). external_fixed_ips: its
    addresses on the external network; empty in a request: they are chosen then.
    """

    noun: ClassVar[str] = "router"

    admin_state_up: bool = True
    external_network_id: str | None = None
    enable_snat: bool = True
    routes: tuple[HostRoute, ...] = ()
    external_fixed_ips: tuple[FixedIp, ...] = ()


class FloatingIp(Record, frozen=True, tag=True):
    """An address of an external network that leads to a port's fixed address."""

    noun: ClassVar[str] = "floatingip"

    floating_network_id: str
    floating_ip_address: str
    floating_port_id: str
    port_id: str | None = None
    fixed_ip_address: str | None = None
    router_id: str | None = None


class Carriers(msgspec.Struct, frozen=True, kw_only=True):
    """What may carry new networks between hosts, as nova-network is configured.

    network_types are in order of preference; there is one flat network. vni_range: first and last. mtu: the
    carrier's. flat_bridge: the name of the flat network's bridge, None for the network's own.
    """

    network_types: tuple[str, ...] = ("flat", "vxlan")
    vni_range: tuple[int, int] = (1001, 16000)
    mtu: int = 1500
    flat_bridge: str | None = None

    def largest_mtu(self, network_type: str) -> int:
        """What of the carrier's MTU a network of this type has."""
        return self.mtu - (_VXLAN_OVERHEAD if network_type == "vxlan" else 0)


class DhcpLease(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a DHCP server has given for a time. expires_at: seconds since 1970; 0 never.

    client_id: octets in hexadecimal, of an IPv6 lease the client's DUID; iaid and server_duid are IPv6's. mac_address of an
    IPv6 lease is empty where the server does not know it.
    """

    network_id: str
    ip_address: str
    mac_address: str
    expires_at: int = 0
    hostname: str = ""
    client_id: str = ""
    iaid: str = ""
    server_duid: str = ""


class Quota(msgspec.Struct, frozen=True):
    """A project's own limit of one noun; -1 is unlimited."""

    project_id: str
    noun: str
    limit: int


AnyRecord = Network | Subnet | Port | SecurityGroup | SecurityGroupRule | Router | FloatingIp
KINDS: dict[str, type[Record]] = {
    kind.noun: kind for kind in (Network, Subnet, Port, SecurityGroup, SecurityGroupRule, Router, FloatingIp)
}
