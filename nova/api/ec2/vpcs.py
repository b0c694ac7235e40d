"""Networks as EC2 has them. A project is one VPC, its default one: that holds all networks its servers may be on.

Source: EC2 API reference, "Amazon VPC".
"""

from typing import Any

from nova.api.ec2 import ids, subnets
from nova.api.ec2.call import Call
from nova.api.ec2.declaration import Listing, action
from nova.api.ec2.listing import path

Item = dict[str, Any]

_LIST = "os_compute_api:os-networks:list"


def check_vpc(call: Call, ec2_id: str | None) -> None:
    """Raises BadRequest for a VPC that is not the project's."""
    if ec2_id is not None and call.ids.target("vpc", ec2_id) != call.project_id:
        raise ids.not_found("vpc", ec2_id)


def _cidrs(call: Call) -> list[str]:
    found, _ = subnets.of_project(call)
    unasked = _unasked(call)
    return sorted({subnet["cidr"] for subnet in found if subnet["network_id"] in unasked})


def _unasked(call: Call) -> set[str]:
    """The networks that make the VPC: what another project shares with this one is no part of it."""
    return {network["id"] for network in call.services.network.networks.usable(call.project_id)}


@action(
    "DescribeVpcs",
    policy=_LIST,
    lists=Listing(
        "Vpcs",
        "VpcId",
        "VpcIds",
        "vpc",
        {
            "vpc-id": path("VpcId"),
            "is-default": path("IsDefault"),
            "isDefault": path("IsDefault"),
            "cidr": path("CidrBlock"),
            "cidr-block-association.cidr-block": path("CidrBlockAssociationSet", "CidrBlock"),
            "state": path("State"),
            "owner-id": path("OwnerId"),
        },
    ),
)
def describe(call: Call) -> list[Item]:
    """The project as a VPC; its blocks are its subnets'."""
    ec2_id = call.ids.one("vpc", call.project_id)
    cidrs = _cidrs(call)
    return [
        {
            "VpcId": ec2_id,
            "State": "available",
            "IsDefault": True,
            "OwnerId": call.project_id,
            "InstanceTenancy": "default",
            "DhcpOptionsId": "default",
            "CidrBlock": cidrs[0] if cidrs else "0.0.0.0/0",
            "CidrBlockAssociationSet": [
                {"AssociationId": f"vpc-cidr-assoc-{ec2_id}-{number}", "CidrBlock": cidr, "CidrBlockState": _ASSOCIATED}
                for number, cidr in enumerate(cidrs)
            ],
            "Tags": call.tags().get(ec2_id, []),
        }
    ]


_ASSOCIATED = {"State": "associated"}


@action(
    "DescribeSubnets",
    policy=_LIST,
    lists=Listing(
        "Subnets",
        "SubnetId",
        "SubnetIds",
        "subnet",
        {
            "subnet-id": path("SubnetId"),
            "vpc-id": path("VpcId"),
            "cidr-block": path("CidrBlock"),
            "cidr": path("CidrBlock"),
            "cidrBlock": path("CidrBlock"),
            "availability-zone": path("AvailabilityZone"),
            "availabilityZone": path("AvailabilityZone"),
            "default-for-az": path("DefaultForAz"),
            "defaultForAz": path("DefaultForAz"),
            "state": path("State"),
            "owner-id": path("OwnerId"),
            "map-public-ip-on-launch": path("MapPublicIpOnLaunch"),
        },
    ),
)
def describe_subnets(call: Call) -> list[Item]:
    """The IPv4 subnets that the project's servers may be on. Networks span zones: each is shown in the default one."""
    found, networks = subnets.of_project(call)
    unasked = _unasked(call)
    known = call.ids.many("subnet", (subnet["id"] for subnet in found))
    vpc, tags = call.ids.one("vpc", call.project_id), call.tags()
    return [
        {
            "SubnetId": known[subnet["id"]],
            "VpcId": vpc,
            "State": "available",
            "CidrBlock": subnet["cidr"],
            "AvailabilityZone": call.request.conf.default_availability_zone,
            "DefaultForAz": unasked == {subnet["network_id"]},
            "MapPublicIpOnLaunch": False,
            "AssignIpv6AddressOnCreation": False,
            "OwnerId": networks[subnet["network_id"]].get("project_id") or call.project_id,
            "Tags": tags.get(str(known[subnet["id"]]), []),
        }
        for subnet in found
    ]


@action(
    "DescribeNetworkInterfaces",
    policy="os_compute_api:os-attach-interfaces:list",
    lists=Listing(
        "NetworkInterfaces",
        "NetworkInterfaceId",
        "NetworkInterfaceIds",
        "eni",
        {
            "network-interface-id": path("NetworkInterfaceId"),
            "subnet-id": path("SubnetId"),
            "vpc-id": path("VpcId"),
            "mac-address": path("MacAddress"),
            "status": path("Status"),
            "description": path("Description"),
            "private-ip-address": path("PrivateIpAddress"),
            "addresses.private-ip-address": path("PrivateIpAddresses", "PrivateIpAddress"),
            "attachment.instance-id": path("Attachment", "InstanceId"),
            "attachment.status": path("Attachment", "Status"),
            "group-id": path("Groups", "GroupId"),
            "group-name": path("Groups", "GroupName"),
            "owner-id": path("OwnerId"),
            "availability-zone": path("AvailabilityZone"),
        },
    ),
)
def describe_interfaces(call: Call) -> list[Item]:
    """The project's ports."""
    ports = call.services.network.ports_of_project(call.project_id)
    groups = list(dict.fromkeys(group for port in ports for group in port["security_groups"]))
    names = call.services.network.security_groups.names(groups) if groups else {}
    known = {
        "eni": call.ids.many("eni", (port["id"] for port in ports)),
        "subnet": call.ids.many("subnet", (ip["subnet_id"] for port in ports for ip in port["fixed_ips"])),
        "sg": call.ids.many("sg", groups),
        "i": call.ids.many("i", (port["device_id"] for port in ports if port["device_owner"].startswith("compute:"))),
    }
    vpc, tags = call.ids.one("vpc", call.project_id), call.tags()
    return [_interface(call, port, known, names) | {"VpcId": vpc, "TagSet": tags.get(str(known["eni"][port["id"]]), [])} for port in ports]  # fmt: skip


def _interface(call: Call, port: Item, known: dict[str, dict[Any, Any]], names: dict[str, str]) -> Item:
    fixed = [ip for ip in port["fixed_ips"] if ":" not in ip["ip_address"]]
    server = known["i"].get(port["device_id"]) if port["device_id"] else None
    attachment = {"InstanceId": server, "Status": "attached", "InstanceOwnerId": call.project_id}
    return {
        "NetworkInterfaceId": known["eni"][port["id"]],
        "SubnetId": known["subnet"][port["fixed_ips"][0]["subnet_id"]] if port["fixed_ips"] else None,
        "OwnerId": call.project_id,
        "AvailabilityZone": call.request.conf.default_availability_zone,
        "Description": port.get("description") or "",
        "MacAddress": port["mac_address"],
        "Status": "in-use" if port["device_id"] else "available",
        "SourceDestCheck": port.get("port_security_enabled", True),
        "Groups": [
            {"GroupId": known["sg"][group], "GroupName": names.get(group, "")} for group in port["security_groups"]
        ],
        "PrivateIpAddress": fixed[0]["ip_address"] if fixed else None,
        "PrivateIpAddresses": [
            {"PrivateIpAddress": ip["ip_address"], "Primary": number == 0} for number, ip in enumerate(fixed)
        ],
        "Ipv6Addresses": [{"Ipv6Address": ip["ip_address"]} for ip in port["fixed_ips"] if ":" in ip["ip_address"]],
        "Attachment": attachment if server else None,
    }


@action(
    "DescribeRouteTables",
    policy=_LIST,
    lists=Listing(
        "RouteTables",
        "RouteTableId",
        "RouteTableIds",
        "rtb",
        {
            "route-table-id": path("RouteTableId"),
            "vpc-id": path("VpcId"),
            "association.main": path("Associations", "Main"),
            "route.destination-cidr-block": path("Routes", "DestinationCidrBlock"),
            "route.gateway-id": path("Routes", "GatewayId"),
        },
    ),
)
def describe_route_tables(call: Call) -> list[Item]:
    """The one table of the VPC: its own blocks, and where there are external networks the way there."""
    ec2_id = call.ids.one("rtb", call.project_id)
    routes = [{"DestinationCidrBlock": cidr, "GatewayId": "local", **_ACTIVE} for cidr in _cidrs(call)]
    if call.services.network.floating_ips.pools(call.context):
        gateway = call.ids.one("igw", call.project_id)
        routes.append({"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway, **_ACTIVE})
    return [
        {
            "RouteTableId": ec2_id,
            "VpcId": call.ids.one("vpc", call.project_id),
            "OwnerId": call.project_id,
            "Routes": routes,
            "Associations": [{"Main": True, "RouteTableId": ec2_id, "RouteTableAssociationId": f"rtbassoc-{ec2_id}"}],
            "Tags": call.tags().get(ec2_id, []),
        }
    ]


_ACTIVE = {"State": "active", "Origin": "CreateRouteTable"}


@action(
    "DescribeInternetGateways",
    policy=_LIST,
    lists=Listing(
        "InternetGateways",
        "InternetGatewayId",
        "InternetGatewayIds",
        "igw",
        {
            "internet-gateway-id": path("InternetGatewayId"),
            "attachment.vpc-id": path("Attachments", "VpcId"),
            "attachment.state": path("Attachments", "State"),
            "owner-id": path("OwnerId"),
        },
    ),
)
def describe_gateways(call: Call) -> list[Item]:
    """One, where there are external networks."""
    if not call.services.network.floating_ips.pools(call.context):
        return []
    ec2_id = call.ids.one("igw", call.project_id)
    return [
        {
            "InternetGatewayId": ec2_id,
            "OwnerId": call.project_id,
            "Attachments": [{"VpcId": call.ids.one("vpc", call.project_id), "State": "available"}],
            "Tags": call.tags().get(ec2_id, []),
        }
    ]
