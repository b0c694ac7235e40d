"""nova-manage fixed and floating: addresses of nova-network, with the words of its time."""

import argparse
import ipaddress
import uuid
from typing import Any

from oslo_config import cfg

from nova import errors
from nova.cmd.manage.commands import Group, print_table
from nova.cmd.manage.networking import Networking, add_refused, network_of, refuse
from nova.network.api.networks import Networks
from nova.network.api.subnets import Subnets
from nova.structs.networking import FixedIp, Network, Port, Subnet

# Whoever has a reserved address: a port of no project, which servers cannot have and projects do not see.
_RESERVED = "nova-manage:reserved"
_POOL = "nova"
_REFUSED = {"interface": "[DEFAULT] public_interface leads out of the cloud"}


def add(groups: Any) -> None:
    fixed = Group(groups, "fixed", "fixed addresses of nova-network")
    fixed.add("get", get).add_argument("--host", help="of the servers on this host alone")
    for name, command in (("reserve", reserve), ("unreserve", unreserve)):
        made = fixed.add(name, command)
        made.add_argument("--address", required=True)
        made.add_argument("--network", metavar="UUID", help="needed where several networks have the address")
    floating = Group(groups, "floating", "floating addresses of nova-network")
    created = floating.add("create", create)
    created.add_argument("--ip_range", required=True, metavar="CIDR")
    created.add_argument("--pool", default=_POOL, help=f"the external network; default: {_POOL}")
    add_refused(created, _REFUSED)
    floating.add("list", list_floating).add_argument("--host", help="that lead to servers on this host alone")
    floating.add("delete", delete).add_argument("--ip_range", required=True, metavar="CIDR")


def get(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print the fixed addresses that are given away or reserved."""
    networking = Networking(conf)
    cidrs = {subnet.id: subnet.cidr for subnet in networking.find("subnet")}
    rows = [
        (
            cidrs.get(fixed.subnet_id, ""),
            fixed.ip_address,
            port.mac_address,
            port.device_id or port.device_owner,
            port.host,
        )
        for port in networking.find("port")
        for fixed in port.fixed_ips
        if arguments.host in (None, port.host)
    ]
    print_table([("Network", "IP address", "MAC address", "Used by", "Host"), *rows])
    return 0


def reserve(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Keep an address back, so that no server gets it."""
    networking = Networking(conf)
    subnet = _holding(networking, arguments)
    port = Port(
        id=str(uuid.uuid4()),
        project_id="",
        name="reserved",
        network_id=subnet.network_id,
        mac_address="",
        fixed_ips=(FixedIp(subnet.id, _address(arguments.address)),),
        device_owner=_RESERVED,
        port_security_enabled=False,
    )
    networking.conductor.add_networking([port], {})
    return 0


def unreserve(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Let servers get an address again that was kept back."""
    networking = Networking(conf)
    subnet, address = _holding(networking, arguments), _address(arguments.address)
    ports = networking.find("port", network_id=[subnet.network_id], ip_address=[address])
    reserved = [port for port in ports if port.device_owner == _RESERVED]
    if not reserved:
        raise errors.Invalid(f"The address {address} is not reserved.")
    networking.conductor.delete_networking("port", reserved[0].id)
    return 0


def _holding(networking: Networking, arguments: argparse.Namespace) -> Subnet:
    """The subnet of an address. Raises Invalid."""
    address = ipaddress.ip_address(_address(arguments.address))
    found = [
        subnet
        for subnet in networking.find("subnet")
        if address in ipaddress.ip_network(subnet.cidr) and arguments.network in (None, subnet.network_id)
    ]
    if len(found) != 1:
        why = "no network has it" if not found else "several networks have it, name one by --network"
        raise errors.Invalid(f"The address {address} is not one to reserve: {why}.")
    subnet: Subnet = found[0]
    return subnet


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise errors.Invalid(f"{text[:100]} is no address.") from None


def create(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Add a range of floating addresses to a pool, which is made when it is not there. Its first address is the gateway."""
    refuse(arguments, _REFUSED)
    net = network_of(arguments.ip_range)
    if net.num_addresses <= 2:
        raise errors.Invalid(f"{net} has no address beside its gateway's.")
    networking = Networking(conf)
    pools = [network for network in _external(networking).values() if network.name == arguments.pool]
    if len(pools) > 1:
        raise errors.Invalid(f"Several external networks are called {arguments.pool}.")
    made = None if pools else networking.add(Networks(), "", name=arguments.pool, **{"router:external": True})
    network = pools[0] if made is None else made
    attributes = {"network_id": network.id, "cidr": str(net), "ip_version": net.version, "enable_dhcp": False}
    try:
        networking.add(Subnets(), network.project_id, **attributes)
    except errors.DomainError:
        if made is not None:
            networking.conductor.delete_networking("network", made.id)
        raise
    return 0


def list_floating(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print the floating addresses that projects have, and where they lead."""
    networking = Networking(conf)
    pools = _external(networking)
    ports = {port.id: port for port in networking.find("port")}
    rows = []
    for floating in networking.find("floatingip"):
        port = ports.get(floating.port_id)
        if arguments.host is None or (port is not None and port.host == arguments.host):
            pool = pools[floating.floating_network_id].name if floating.floating_network_id in pools else ""
            device = port.device_id if port is not None else ""
            rows.append(
                (floating.project_id, floating.floating_ip_address, floating.fixed_ip_address or "", device, pool)
            )
    print_table([("Project", "IP address", "Leads to", "Server", "Pool"), *rows])
    return 0


def delete(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Take a range of floating addresses away, of which no project has one. The pool stays."""
    networking = Networking(conf)
    wanted, pools = str(network_of(arguments.ip_range)), _external(networking)
    found = [one for one in networking.find("subnet") if one.cidr == wanted and one.network_id in pools]
    if len(found) != 1:
        raise errors.Invalid(f"{wanted} is no range of floating addresses, or that of several pools.")
    networking.conductor.delete_networking("subnet", found[0].id)
    return 0


def _external(networking: Networking) -> dict[str, Network]:
    return {network.id: network for network in networking.find("network") if network.is_external}
