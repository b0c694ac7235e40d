"""nova-manage network: the networks of nova-network, with the words of its time."""

import argparse
import ipaddress
from typing import Any

import msgspec
from oslo_config import cfg

from nova import errors
from nova.cmd.manage.commands import Group, print_table
from nova.cmd.manage.networking import Networking, add_refused, is_true, network_of, refuse
from nova.network.api.networks import Networks
from nova.network.api.subnets import Subnets
from nova.structs.networking import Network, Subnet

_CREATE_REFUSED = {
    "vlan": "networks here are flat or VXLAN, and which one is chosen",
    "vlan_start": "networks here are flat or VXLAN, and which one is chosen",
    "vpn": "there are no VPN servers of the cloud's",
    "bridge": "the bridge of a network is made and named by nova-network",
    "bridge_interface": "[DEFAULT] flat_interface joins the hosts of the cloud",
    "multi_host": "where network services run is not said of a network",
    "priority": "a server names its networks in their order",
    "dhcp_server": "the DHCP server of a subnet gets an address of its pool",
    "share_address": "each DHCP server has an address of its own",
}
_MODIFY_REFUSED = {
    "host": "a network belongs to no host",
    "disassociate-host": "a network belongs to no host",
    "disassociate-project": "a network that is nobody's would be given to nobody; delete it, or give it to another project",
}


def add(groups: Any) -> None:
    group = Group(groups, "network", "networks of nova-network")
    _add_create(group.add("create", create))
    group.add("list", list_networks)
    modified = group.add("modify", modify)
    deleted = group.add("delete", delete)
    for named in (modified, deleted):
        named.add_argument("--fixed_range", metavar="CIDR", help="a range that one network alone has")
        named.add_argument("--uuid", help="the network's id")
    modified.add_argument("--project", metavar="ID", help="whose the network is from now on")
    add_refused(modified, _MODIFY_REFUSED)


def _add_create(made: argparse.ArgumentParser) -> None:
    made.add_argument("label")
    for version in ("4", "6"):
        made.add_argument(f"--fixed_range_v{version}", metavar="CIDR", help=f"its IPv{version} addresses")
    made.add_argument("--gateway", metavar="ADDRESS", help="the IPv4 gateway; default: the first address")
    made.add_argument("--gateway_v6", metavar="ADDRESS", help="the IPv6 gateway; default: the first address")
    made.add_argument("--dns1", metavar="ADDRESS", help="a name server")
    made.add_argument("--dns2", metavar="ADDRESS", help="another name server")
    made.add_argument("--allowed_start", metavar="ADDRESS", help="first IPv4 address that servers get")
    made.add_argument("--allowed_end", metavar="ADDRESS", help="last IPv4 address that servers get")
    made.add_argument("--fixed_cidr", metavar="CIDR", help="the part of the IPv4 addresses that servers get")
    made.add_argument("--enable_dhcp", type=is_true, default=True, metavar="T|F", help="default: T")
    made.add_argument("--mtu", type=int, default=0)
    made.add_argument("--project_id", metavar="ID", help="whose it is; default: nobody's, and all projects' to use")
    made.add_argument("--num_networks", type=int, default=1, metavar="1", help=argparse.SUPPRESS)
    made.add_argument("--network_size", type=int, help=argparse.SUPPRESS)
    add_refused(made, _CREATE_REFUSED)


def create(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Make a network with its addresses; what carries it between hosts is chosen."""
    refuse(arguments, _CREATE_REFUSED)
    wanted = [each for each in (_subnet(arguments, 4), _subnet(arguments, 6)) if each]
    _check_create(arguments, wanted)
    networking = Networking(conf)
    project_id = arguments.project_id or ""
    network = networking.add(
        Networks(), project_id, name=arguments.label, mtu=arguments.mtu, shared=not arguments.project_id
    )
    try:
        for subnet in wanted:
            networking.add(Subnets(), project_id, network_id=network.id, **subnet)
    except errors.DomainError:
        networking.conductor.delete_networking("network", network.id)
        raise
    print(network.id)
    return 0


def _check_create(arguments: argparse.Namespace, wanted: list[dict[str, Any]]) -> None:
    """Raises Invalid for what belongs to addresses that the network has not."""
    if not wanted:
        raise errors.Invalid("A network needs --fixed_range_v4 or --fixed_range_v6.")
    if arguments.num_networks != 1:
        raise errors.Invalid("--num_networks cannot be honoured: a command makes one network.")
    of_v4 = ("gateway", "allowed_start", "allowed_end", "fixed_cidr", "network_size")
    for name in (
        *(of_v4 if arguments.fixed_range_v4 is None else ()),
        *(("gateway_v6",) if arguments.fixed_range_v6 is None else ()),
    ):
        if getattr(arguments, name) is not None:
            raise errors.Invalid(f"--{name} is of addresses that the network has not.")
    if arguments.network_size not in (None, network_of(arguments.fixed_range_v4 or "::/128").num_addresses):
        raise errors.Invalid("--network_size cannot be honoured: the network has the whole of its range.")


def _subnet(arguments: argparse.Namespace, version: int) -> dict[str, Any] | None:
    """The attributes of the subnet of an IP version; None without one. Raises Invalid."""
    cidr = getattr(arguments, f"fixed_range_v{version}")
    if cidr is None:
        return None
    net = network_of(cidr)
    if net.version != version:
        raise errors.Invalid(f"{cidr} is no range of IPv{version} addresses.")
    servers = [one for one in (arguments.dns1, arguments.dns2) if one is not None and _version(one) == version]
    attributes = {"cidr": str(net), "ip_version": version, "enable_dhcp": arguments.enable_dhcp}
    attributes |= {"dns_nameservers": servers} if servers else {}
    gateway = arguments.gateway if version == 4 else arguments.gateway_v6
    attributes |= {"gateway_ip": gateway} if gateway is not None else {}
    pool = _pool(arguments, net) if version == 4 else None
    return attributes | ({"allocation_pools": [pool]} if pool else {})


def _pool(arguments: argparse.Namespace, net: ipaddress.IPv4Network | ipaddress.IPv6Network) -> dict[str, str] | None:
    """The addresses that servers get, where that is not all of them. Raises Invalid."""
    start, end = arguments.allowed_start, arguments.allowed_end
    if arguments.fixed_cidr is not None:
        if start is not None or end is not None:
            raise errors.Invalid(
                "Servers get the addresses of --fixed_cidr, or those from --allowed_start to --allowed_end."
            )
        part = network_of(arguments.fixed_cidr)
        return {"start": str(part[0]), "end": str(part[-1])}
    if start is None and end is None:
        return None
    return {"start": start or str(net[2]), "end": end or str(net[-2])}


def _version(address: str) -> int:
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        raise errors.Invalid(f"{address[:100]} is no address.") from None


def list_networks(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Print the networks, with their ranges."""
    networking = Networking(conf)
    subnets = networking.subnets()
    head = ("UUID", "Label", "IPv4", "IPv6", "Start address", "DNS1", "DNS2", "Carried by", "Project")
    rows = [_row(network, subnets.get(network.id, [])) for network in networking.find("network")]
    print_table([head, *rows])
    return 0


def _row(network: Network, subnets: list[Subnet]) -> tuple[str, ...]:
    ranges = [" ".join(subnet.cidr for subnet in subnets if subnet.ip_version == version) for version in (4, 6)]
    starts = [subnet.allocation_pools[0].start for subnet in subnets if subnet.allocation_pools]
    names = [*(server for subnet in subnets for server in subnet.dns_nameservers), "", ""]
    carrier = f"{network.network_type} {network.segmentation_id or ''}".strip()
    owner = network.project_id or ("all" if network.shared else "")
    return (network.id, network.name, *ranges, " ".join(starts), *names[:2], carrier, owner)


def modify(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Give a network to a project, which has it for itself; refused where others have ports on it."""
    refuse(arguments, _MODIFY_REFUSED)
    if not arguments.project:
        raise errors.Invalid("What is to be changed is said by --project.")
    networking = Networking(conf)
    network = networking.network(arguments.uuid, arguments.fixed_range)
    foreign = [
        port
        for port in networking.find("port", network_id=[network.id])
        if port.project_id not in ("", arguments.project)
    ]
    if foreign:
        raise errors.NetworkingInUse(noun="network", id=network.id)
    given = msgspec.structs.replace(network, project_id=arguments.project, shared=False)
    networking.conductor.change_networking(given)
    for subnet in networking.find("subnet", network_id=[network.id]):
        networking.conductor.change_networking(msgspec.structs.replace(subnet, project_id=arguments.project))
    return 0


def delete(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Delete a network that nobody uses, with its addresses."""
    networking = Networking(conf)
    networking.conductor.delete_networking("network", networking.network(arguments.uuid, arguments.fixed_range).id)
    return 0
