"""Rules that hold between the records of nova-network.

Each is checked in the transaction that writes, with the rows locked that another request could change
meanwhile: of requests that exclude each other one wins, and the others are refused before they write.
"""

import ipaddress
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.db import networks as db
from nova.rpc.network import (
    BadRequest,
    FlatNetworkInUse,
    FloatingIPPortAlreadyAssociated,
    GatewayIpInUse,
    NoNetworkAvailable,
    TunnelIdInUse,
)
from nova.structs.networking import AnyRecord, Carriers, FixedIp, FloatingIp, Network, Port, Record, Router, Subnet

R = TypeVar("R", bound=Record)

# What a VXLAN header takes from the carrier's MTU. Source: RFC 7348 over IPv4.
_VXLAN_OVERHEAD = 50
_FLAT, _VXLAN, _LOCAL = "flat", "vxlan", "local"
_ROUTER_INTERFACE = "network:router_interface"
_DHCP = "network:dhcp"


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

    Raises FlatNetworkInUse and TunnelIdInUse for a carrier that the network names, NoNetworkAvailable.
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
            return carried
    if wanted == _FLAT:
        raise FlatNetworkInUse(physical_network=network.physical_network or _FLAT)
    if wanted and network.segmentation_id:
        raise TunnelIdInUse(tunnel_id=network.segmentation_id)
    raise NoNetworkAvailable()


def check_overlap(connection: Connection, subnet: Subnet) -> None:
    """Gateways are all on the network host, so no range may overlap another. Raises Invalid."""
    db.lock_cloud(connection)
    net = ipaddress.ip_network(subnet.cidr)
    for other in db.find(connection, "subnet", {}):
        other_net = ipaddress.ip_network(other.cidr)
        if other_net.version == net.version and net.overlaps(other_net):
            raise errors.Invalid(
                f"Invalid input for operation: Requested subnet with cidr: {net} for network: {subnet.network_id} "
                "overlaps with another subnet."
            )


def check_gateway(connection: Connection, subnet: Subnet, before: Subnet) -> None:
    """A new gateway address must not be a port's. Raises GatewayIpInUse."""
    if subnet.gateway_ip in (None, before.gateway_ip):
        return
    db.find(connection, "subnet", {"network_id": [subnet.network_id]}, lock=True)
    port_id = db.port_at(connection, subnet.id, str(subnet.gateway_ip))
    if port_id:
        raise GatewayIpInUse(ip_address=subnet.gateway_ip, port_id=port_id)


def dhcp_ports(connection: Connection, subnet: Subnet) -> tuple[list[Port], list[Port]]:
    """The port to add and those to delete so that the subnet's DHCP server has the address it needs.

    It needs one of its own where it cannot answer from the gateway's.
    """
    existing = db.find(connection, "port", {"subnet_id": [subnet.id], "device_owner": [_DHCP]})
    networks = db.find(connection, "network", {"id": [subnet.network_id]})
    has_gateway = bool(subnet.gateway_ip) and not any(network.is_external for network in networks)
    if not subnet.enable_dhcp or subnet.ip_version != 4 or has_gateway:
        return [], existing
    port = Port(
        id=str(uuid.uuid5(uuid.UUID(subnet.id), "dhcp")),
        project_id=subnet.project_id,
        network_id=subnet.network_id,
        mac_address="",
        fixed_ips=(FixedIp(subnet.id),),
        device_id=f"dhcp-{subnet.id}",
        device_owner=_DHCP,
        port_security_enabled=False,
    )
    return ([] if existing else [port]), []


def check_association(connection: Connection, floating_ip: FloatingIp) -> None:
    """A fixed address of a port has one floating IP at most.

    Raises FloatingIPPortAlreadyAssociated, NetworkingNotFound for a port that went, Invalid for an address it lost.
    """
    if not floating_ip.port_id:
        return
    port = locked(connection, Port, floating_ip.port_id)
    if floating_ip.fixed_ip_address not in {fixed_ip.ip_address for fixed_ip in port.fixed_ips}:
        raise errors.Invalid(f"Port {port.id} does not have fixed ip {floating_ip.fixed_ip_address}.")
    for other in db.find(connection, "floatingip", {"port_id": [port.id]}):
        if other.id != floating_ip.id and other.fixed_ip_address == floating_ip.fixed_ip_address:
            raise FloatingIPPortAlreadyAssociated(
                floating_ip_address=floating_ip.floating_ip_address,
                floating_ip_id=floating_ip.id,
                port_id=port.id,
                fixed_ip_address=floating_ip.fixed_ip_address,
                network_id=floating_ip.floating_network_id,
            )


def router_port(connection: Connection, router: Router, port_id: str | None, subnet_id: str | None) -> Port:
    """The port that joins a locked router with a subnet: a free one, or a new one with the gateway's address.

    Raises PortInUse, NetworkingNotFound, BadRequest, Invalid.
    """
    if port_id:
        port = locked(connection, Port, port_id)
        if port.device_id:
            raise errors.PortInUse(
                f"Unable to complete operation on port {port.id} for network {port.network_id}. "
                f"Port already has an attached device {port.device_id}."
            )
        _check_not_joined(connection, router, [fixed_ip.subnet_id for fixed_ip in port.fixed_ips])
        return msgspec.structs.replace(
            port,
            device_id=router.id,
            device_owner=_ROUTER_INTERFACE,
            port_security_enabled=False,
            security_groups=(),
        )
    subnet = locked(connection, Subnet, str(subnet_id))
    if not subnet.gateway_ip:
        raise errors.Invalid(f"Subnet for router interface must have a gateway IP: {subnet.id}")
    _check_not_joined(connection, router, [subnet.id])
    return Port(
        id=str(uuid.uuid4()),
        project_id=router.project_id,
        network_id=subnet.network_id,
        mac_address="",
        fixed_ips=(FixedIp(subnet.id, subnet.gateway_ip),),
        device_id=router.id,
        device_owner=_ROUTER_INTERFACE,
        port_security_enabled=False,
    )


def locked(connection: Connection, kind: type[R], record_id: str) -> R:
    """A record that nobody else changes until the transaction ends. Raises NetworkingNotFound."""
    records: list[R] = db.find(connection, kind.noun, {"id": [record_id]}, lock=True)
    if not records:
        raise errors.NetworkingNotFound(noun=kind.noun, id=record_id)
    return records[0]


def _check_not_joined(connection: Connection, router: Router, subnet_ids: Sequence[str]) -> None:
    if subnet_ids and db.find(connection, "port", {"device_id": [router.id], "subnet_id": subnet_ids}):
        raise BadRequest(resource="router", reason=f"Router already has a port on subnet {subnet_ids[0]}")


def _carried_by(network_type: str, network: Network, carriers: Carriers, taken: Collection[str]) -> Network | None:
    """The network on this type of carrier; None when none is left, or the one it names is taken."""
    mtu = network.mtu or carriers.mtu
    choices: Iterable[dict[str, Any]] = [{"physical_network": None, "segmentation_id": None}]
    if network_type == _FLAT:
        physical = network.physical_network or _FLAT
        bridge = (carriers.flat_bridge if physical == _FLAT else None) or network.bridge
        choices = [{"physical_network": physical, "segmentation_id": None, "bridge": bridge}]
    if network_type == _VXLAN:
        first, last = carriers.vni_range
        vnis = [network.segmentation_id] if network.segmentation_id else range(first, last + 1)
        mtu = network.mtu or carriers.mtu - _VXLAN_OVERHEAD
        choices = ({"physical_network": None, "segmentation_id": vni} for vni in vnis)
    for choice in choices:
        carried = msgspec.structs.replace(network, network_type=network_type, mtu=mtu, **choice)
        if db.segment_of(carried) not in taken:
            return carried
    return None
