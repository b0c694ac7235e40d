"""Rules of routers: what one joins, its way out, and the floating IPs that need it.

As in network_rules, each is checked in the transaction that writes, with the router locked.
"""

import ipaddress
import uuid
from collections.abc import Collection, Iterable, Sequence

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.acceptance import port_addresses
from nova.conductor.acceptance.network_rules import locked
from nova.db import networks as db
from nova.rpc.network import (
    BadRequest,
    ExternalGatewayForFloatingIPNotFound,
    FloatingIPPortAlreadyAssociated,
    InvalidRoutes,
    RouterExternalGatewayInUseByFloatingIp,
    RouterInterfaceInUseByFloatingIP,
    RouterInterfaceInUseByRoute,
)
from nova.structs.networking import FixedIp, FloatingIp, Port, Router, Subnet

INTERFACE, GATEWAY = "network:router_interface", "network:router_gateway"


def interface(connection: Connection, router: Router, port_id: str | None, subnet_id: str | None) -> Port:
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
        if not port.fixed_ips:
            raise BadRequest(resource="router", reason="Router port must have at least one fixed IP")
        _check_joinable(connection, router, [fixed_ip.subnet_id for fixed_ip in port.fixed_ips])
        return msgspec.structs.replace(
            port,
            device_id=router.id,
            device_owner=INTERFACE,
            port_security_enabled=False,
            security_groups=(),
        )
    subnet = locked(connection, Subnet, str(subnet_id))
    if not subnet.gateway_ip:
        raise errors.Invalid(f"Subnet for router interface must have a gateway IP: {subnet.id}")
    _check_joinable(connection, router, [subnet.id])
    return Port(
        id=str(uuid.uuid4()),
        project_id=router.project_id,
        network_id=subnet.network_id,
        mac_address="",
        fixed_ips=(FixedIp(subnet.id, subnet.gateway_ip),),
        device_id=router.id,
        device_owner=INTERFACE,
        port_security_enabled=False,
    )


def check_leaves(connection: Connection, port: Port) -> None:
    """Whether a port that goes is no interface that its router needs.

    Raises RouterInterfaceInUseByFloatingIP, RouterInterfaceInUseByRoute.
    """
    routers = (
        db.find(connection, "router", {"id": [port.device_id]}, lock=True) if port.device_owner == INTERFACE else []
    )
    if not routers:
        return
    router = routers[0]
    left = {fixed_ip.subnet_id for fixed_ip in port.fixed_ips}
    for floating_ip in _floating_ips_of(connection, router):
        if _subnet_of(connection, floating_ip) in left:
            raise RouterInterfaceInUseByFloatingIP(router_id=router.id, subnet_id=min(left))
    cidrs = [ipaddress.ip_network(subnet.cidr) for subnet in db.find(connection, "subnet", {"id": sorted(left)})]
    if any(ipaddress.ip_address(route.nexthop) in cidr for route in router.routes for cidr in cidrs):
        raise RouterInterfaceInUseByRoute(router_id=router.id, subnet_id=min(left))


def with_gateway(connection: Connection, router: Router, before: Router | None = None) -> Router:
    """The router with its addresses on its external network, held by a port of its own.

    Raises NetworkingNotFound, RouterExternalGatewayInUseByFloatingIp, BadRequest, and what the choice of an
    address raises.
    """
    existing = _ports_of(connection, router, GATEWAY)
    network_id, wanted = router.external_network_id, router.external_fixed_ips
    held = next((port for port in existing if port.network_id == network_id), None)
    if held and wanted in ((), held.fixed_ips):
        return msgspec.structs.replace(router, external_fixed_ips=held.fixed_ips)
    if before and before.external_network_id != network_id and _floating_ips_of(connection, router):
        raise RouterExternalGatewayInUseByFloatingIp(router_id=router.id, net_id=before.external_network_id)
    db.delete(connection, "port", [port.id for port in existing])
    if not network_id:
        return msgspec.structs.replace(router, external_fixed_ips=())
    port = Port(
        id=str(uuid.uuid4()),
        project_id="",
        network_id=network_id,
        mac_address=held.mac_address if held else "",
        fixed_ips=wanted or (FixedIp(),),
        device_id=router.id,
        device_owner=GATEWAY,
        port_security_enabled=False,
        created_at=router.updated_at,
        updated_at=router.updated_at,
    )
    port = port_addresses.complete(connection, port)
    _check_apart(connection, router, [fixed_ip.subnet_id for fixed_ip in port.fixed_ips])
    db.insert(connection, port)
    return msgspec.structs.replace(router, external_fixed_ips=port.fixed_ips)


def check_routes(connection: Connection, router: Router) -> None:
    """Each next hop is on a subnet that the router joins. Raises InvalidRoutes."""
    cidrs = [ipaddress.ip_network(subnet.cidr) for subnet in _joined(connection, router)]
    for route in router.routes:
        if not any(ipaddress.ip_address(route.nexthop) in cidr for cidr in cidrs):
            raise InvalidRoutes(routes=route.nexthop, reason="the nexthop is not connected with router")


def associate(connection: Connection, floating_ip: FloatingIp) -> FloatingIp:
    """The floating IP with the router that leads to its port.

    A fixed address of a port has one floating IP at most. Raises FloatingIPPortAlreadyAssociated,
    NetworkingNotFound for a port that went, Invalid for an address it lost, ExternalGatewayForFloatingIPNotFound.
    """
    if not floating_ip.port_id:
        return msgspec.structs.replace(floating_ip, router_id=None)
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
    return msgspec.structs.replace(floating_ip, router_id=_router_to(connection, floating_ip))


def _router_to(connection: Connection, floating_ip: FloatingIp) -> str:
    """The router that joins the fixed address's subnet with the floating IP's network, locked.

    Of several it is one of the floating IP's own project: another project's router hears what it carries.
    """
    subnet_id = _subnet_of(connection, floating_ip)
    interfaces = db.find(connection, "port", {"subnet_id": [subnet_id], "device_owner": [INTERFACE]})
    ids = sorted({port.device_id for port in interfaces})
    routers = db.find(connection, "router", {"id": ids}, lock=True) if ids else []
    for router in sorted(routers, key=lambda router: router.project_id != floating_ip.project_id):
        if router.external_network_id == floating_ip.floating_network_id:
            return str(router.id)
    raise ExternalGatewayForFloatingIPNotFound(
        external_network_id=floating_ip.floating_network_id, subnet_id=subnet_id, port_id=floating_ip.port_id
    )


def _subnet_of(connection: Connection, floating_ip: FloatingIp) -> str | None:
    """The subnet of the fixed address it leads to."""
    for port in db.find(connection, "port", {"id": [str(floating_ip.port_id)]}):
        for fixed_ip in port.fixed_ips:
            if fixed_ip.ip_address == floating_ip.fixed_ip_address:
                return str(fixed_ip.subnet_id)
    return None


def _floating_ips_of(connection: Connection, router: Router) -> list[FloatingIp]:
    networks = [port.network_id for port in _ports_of(connection, router, GATEWAY)]
    floating_ips = db.find(connection, "floatingip", {"floating_network_id": networks}) if networks else []
    return [one for one in floating_ips if one.port_id and one.router_id == router.id]


def _ports_of(connection: Connection, router: Router, owner: str) -> list[Port]:
    return db.find(connection, "port", {"device_id": [router.id], "device_owner": [owner]})


def _joined(connection: Connection, router: Router) -> list[Subnet]:
    ports = db.find(connection, "port", {"device_id": [router.id], "device_owner": [INTERFACE, GATEWAY]})
    ids = sorted({fixed_ip.subnet_id for port in ports for fixed_ip in port.fixed_ips})
    return db.find(connection, "subnet", {"id": ids}) if ids else []


def _check_joinable(connection: Connection, router: Router, subnet_ids: Sequence[str]) -> None:
    joined = {subnet.id for subnet in _joined(connection, router)}
    for subnet_id in subnet_ids:
        if subnet_id in joined:
            raise BadRequest(resource="router", reason=f"Router already has a port on subnet {subnet_id}")
    _check_apart(connection, router, subnet_ids)


def _check_apart(connection: Connection, router: Router, subnet_ids: Collection[str]) -> None:
    """What one router joins must not overlap: it could not tell where an address is. Raises BadRequest."""
    added: Iterable[Subnet] = db.find(connection, "subnet", {"id": sorted(subnet_ids)}) if subnet_ids else []
    for subnet in added:
        net = ipaddress.ip_network(subnet.cidr)
        for other in _joined(connection, router):
            other_net = ipaddress.ip_network(other.cidr)
            if other.id != subnet.id and other_net.version == net.version and net.overlaps(other_net):
                raise BadRequest(
                    resource="router",
                    reason=f"Cidr {net} of subnet {subnet.id} overlaps with cidr {other_net} of subnet {other.id}",
                )
