"""Subnets that a project's servers may be on, as EC2 and the Networking API name them."""

import ipaddress
from typing import Any

from nova.api.ec2 import errors, ids
from nova.api.ec2.call import Call

Json = dict[str, Any]


def of_project(call: Call) -> tuple[list[Json], dict[str, Json]]:
    """The IPv4 subnets of the networks that the project's servers may be on, and these networks by id."""
    networks = {network["id"]: network for network in call.services.network.networks.of_project(call.project_id)}
    wanted = [subnet_id for network in networks.values() for subnet_id in network.get("subnets", ())]
    subnets = call.services.network.networks.subnets_by_id(wanted)
    return [subnet for subnet in subnets.values() if subnet["ip_version"] == 4], networks


def network_of(call: Call, ec2_id: str, address: str | None) -> str:
    """The network of a subnet. Raises BadRequest where nothing would make the server land in this very subnet."""
    target = call.ids.target("subnet", ec2_id)
    subnets, _ = of_project(call)
    subnet = next((each for each in subnets if each["id"] == target), None)
    if subnet is None:
        raise ids.not_found("subnet", ec2_id)
    if address is not None and not _holds(subnet, address):
        raise errors.bad_value("PrivateIpAddress", address, "It is not in the subnet.")
    if address is None and sum(each["network_id"] == subnet["network_id"] for each in subnets) > 1:
        raise errors.unsupported("SubnetId", f"{ec2_id} without a PrivateIpAddress: its network has other subnets")
    return str(subnet["network_id"])


def _holds(subnet: Json, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(subnet["cidr"])
    except ValueError:
        return False
