"""Rules that hold between the records of nova-network.

Each is checked in the transaction that writes, with the rows locked that another request could change
meanwhile: of requests that exclude each other one wins, and the others are refused before they write.
"""

import ipaddress
import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.db import addresses
from nova.db import networks as db
from nova.rpc.network import ExternalNetworkInUse, FlatNetworkInUse, GatewayIpInUse, NoNetworkAvailable, TunnelIdInUse
from nova.structs import network_mtu
from nova.structs.networking import AnyRecord, Carriers, FixedIp, Network, Port, Record, Subnet
from nova.structs.subnet_ranges import needs_server

R = TypeVar("R", bound=Record)

_FLAT, _VXLAN, _LOCAL = "flat", "vxlan", "local"
_ROUTER_INTERFACE = "network:router_interface"
_DHCP = "network:dhcp"
_SELF_ADDRESSED = ("slaac", "dhcpv6-stateless")


def check_quota(connection: Connection, records: Iterable[AnyRecord], limits: Mapping[str, int]) -> None:
    """Raises OverQuota. limits: by noun, of a project without its own."""
    wanted: dict[tuple[str, str], int] = {}
    for record in records:
        if record.noun in limits:
            wanted[record.project_id, record.noun] = wanted.get((record.project_id, record.noun), 0) + 1
    projects = sorted({project_id for project_id, _ in wanted})
    own = {project_id: db.lock_project(connection, project_id) for project_id in projects}
    for (project_id, noun), number in wanted.items():
        limit = own[project_id].get(noun, limits[noun])
        if limit >= 0 and db.count(connection, noun, project_id) + number > limit:
            raise errors.OverQuota(resources=f"['{noun}']")


def choose_segment(connection: Connection, network: Network, carriers: Carriers) -> Network:
    """The network with its type and what carries it between hosts.

    Raises FlatNetworkInUse and TunnelIdInUse for a carrier that the network names, NoNetworkAvailable, Invalid for an
    MTU that it cannot have.
    """
    db.lock_cloud(connection)
    taken = db.segments(connection)
    wanted = network.network_type
    if not wanted and network.is_external:
        # Floating addresses are the network host's business: an external network needs no other host.
        wanted = _LOCAL
    for network_type in [wanted] if wanted else carriers.network_types:
        carried = _carried_by(network_type, network, carriers, taken)
        if carried is not None:
            network_mtu.check(carried.mtu, carriers.largest_mtu(network_type))
            return carried
    if wanted == _FLAT:
        raise FlatNetworkInUse(physical_network=network.physical_network or _FLAT)
    if wanted and network.segmentation_id:
        raise TunnelIdInUse(tunnel_id=network.segmentation_id)
    raise NoNetworkAvailable()


def check_overlap(connection: Connection, subnet: Subnet) -> None:
    """Subnets of one network must not overlap, nor those of external networks, which are all on this host.

    Two networks may use the same range: each has a namespace of its own. Raises Invalid, NetworkingNotFound.
    """
    network = locked(connection, Network, subnet.network_id)
    if subnet.ip_version == 6 and network.mtu:
        network_mtu.check(network.mtu, network.mtu, has_ipv6=True)
    others = [network.id]
    if network.is_external:
        db.lock_cloud(connection)
        others += [other.id for other in db.find(connection, "network", {"is_external": [True]})]
    _check_apart(subnet, db.find(connection, "subnet", {"network_id": others}))


def check_network(connection: Connection, network: Network, before: Network) -> None:
    """A changed network's MTU, and what becomes or stops being external. Raises Invalid, ExternalNetworkInUse."""
    subnets = db.find(connection, "subnet", {"network_id": [network.id]})
    if network.mtu != before.mtu:
        has_ipv6 = any(subnet.ip_version == 6 for subnet in subnets)
        network_mtu.check(network.mtu, network.mtu, has_ipv6)
    if network.is_external and not before.is_external:
        db.lock_cloud(connection)
        others = [other.id for other in db.find(connection, "network", {"is_external": [True]})]
        for subnet in subnets:
            _check_apart(subnet, db.find(connection, "subnet", {"network_id": others}) if others else [])
    if before.is_external and not network.is_external:
        users = db.find(connection, "router", {"external_network_id": [network.id]}) or db.find(
            connection, "floatingip", {"floating_network_id": [network.id]}
        )
        if users:
            raise ExternalNetworkInUse(net_id=network.id)


def _check_apart(subnet: Subnet, others: Iterable[Subnet]) -> None:
    net = ipaddress.ip_network(subnet.cidr)
    for other in others:
        other_net = ipaddress.ip_network(other.cidr)
        if other.id != subnet.id and other_net.version == net.version and net.overlaps(other_net):
            raise errors.Invalid(
                f"Invalid input for operation: Requested subnet with cidr: {net} for network: {subnet.network_id} "
                "overlaps with another subnet."
            )


def check_gateway(connection: Connection, subnet: Subnet, before: Subnet) -> None:
    """A new gateway address must not be a port's, nor the old one a router's. Raises GatewayIpInUse."""
    if subnet.gateway_ip == before.gateway_ip:
        return
    db.find(connection, "subnet", {"network_id": [subnet.network_id]}, lock=True)
    port_id = db.port_at(connection, subnet.id, str(before.gateway_ip))
    if port_id and db.find(connection, "port", {"id": [port_id], "device_owner": [_ROUTER_INTERFACE]}):
        raise GatewayIpInUse(ip_address=before.gateway_ip, port_id=port_id)
    port_id = db.port_at(connection, subnet.id, str(subnet.gateway_ip))
    if port_id:
        raise GatewayIpInUse(ip_address=subnet.gateway_ip, port_id=port_id)


def self_addressed(connection: Connection, subnet: Subnet) -> list[Port]:
    """The network's ports, locked, whose guests give themselves an address on this new IPv6 subnet."""
    if subnet.ipv6_address_mode not in _SELF_ADDRESSED:
        return []
    ports = db.find(connection, "port", {"network_id": [subnet.network_id]}, lock=True)
    # An address is a port's where it has any: one without is told nothing by its owner's will.
    return [port for port in ports if port.fixed_ips and not port.device_owner.startswith("network:")]


def dhcp_ports(connection: Connection, subnet: Subnet) -> tuple[list[Port], list[Port]]:
    """The port to add and those to delete so that the subnet's DHCP server has an address of its own."""
    existing = db.find(connection, "port", {"subnet_id": [subnet.id], "device_owner": [_DHCP]})
    if not needs_server(subnet):
        return [], existing
    port = Port(
        id=str(uuid.uuid5(uuid.UUID(subnet.id), "dhcp")),
        # Nobody asked for it, and it takes nothing from a project's quota.
        project_id="",
        network_id=subnet.network_id,
        mac_address="",
        fixed_ips=(FixedIp(subnet.id, _dhcp_address(connection, subnet)),),
        device_id=f"dhcp-{subnet.id}",
        device_owner=_DHCP,
        port_security_enabled=False,
    )
    return ([] if existing else [port]), []


def _dhcp_address(connection: Connection, subnet: Subnet) -> str:
    """The last one, so that guests' addresses begin where they always did; an IPv6 one follows from its MAC."""
    if subnet.ipv6_address_mode in _SELF_ADDRESSED:
        return ""
    return addresses.highest(connection, subnet.id) or ""


def locked(connection: Connection, kind: type[R], record_id: str) -> R:
    """A record that nobody else changes until the transaction ends. Raises NetworkingNotFound."""
    records: list[R] = db.find(connection, kind.noun, {"id": [record_id]}, lock=True)
    if not records:
        raise errors.NetworkingNotFound(noun=kind.noun, id=record_id)
    return records[0]


def _carried_by(network_type: str, network: Network, carriers: Carriers, taken: Collection[str]) -> Network | None:
    """The network on this type of carrier; None when none is left, or the one it names is taken."""
    mtu = network.mtu or carriers.largest_mtu(network_type)
    choices: Iterable[dict[str, Any]] = [{"physical_network": None, "segmentation_id": None}]
    if network_type == _FLAT:
        physical = network.physical_network or _FLAT
        bridge = (carriers.flat_bridge if physical == _FLAT else None) or network.bridge
        choices = [{"physical_network": physical, "segmentation_id": None, "bridge": bridge}]
    if network_type == _VXLAN:
        first, last = carriers.vni_range
        vnis = [network.segmentation_id] if network.segmentation_id else range(first, last + 1)
        choices = ({"physical_network": None, "segmentation_id": vni} for vni in vnis)
    for choice in choices:
        carried = msgspec.structs.replace(network, network_type=network_type, mtu=mtu, **choice)
        if db.segment_of(carried) not in taken:
            return carried
    return None
