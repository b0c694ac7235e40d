"""Elastic addresses: floating IPs of the Networking API. Source: EC2 API reference, "Elastic IP addresses".

An association has the number of its address, under a prefix of its own.
"""

from typing import Any

from nova import errors as domain
from nova.api.compute import network_actions
from nova.api.ec2 import errors, ids
from nova.api.ec2.call import Call
from nova.api.ec2.declaration import Listing, action
from nova.api.ec2.listing import path
from nova.structs.instance import Instance

Item = dict[str, Any]

_RULE = "os_compute_api:os-floating-ips:"
_KIND, _ASSOCIATION = "eipalloc", "eipassoc"


@action(
    "DescribeAddresses",
    policy=f"{_RULE}list",
    takes=("PublicIps",),
    lists=Listing(
        "Addresses",
        "AllocationId",
        "AllocationIds",
        _KIND,
        {
            "allocation-id": path("AllocationId"),
            "association-id": path("AssociationId"),
            "domain": path("Domain"),
            "instance-id": path("InstanceId"),
            "network-interface-id": path("NetworkInterfaceId"),
            "private-ip-address": path("PrivateIpAddress"),
            "public-ip": path("PublicIp"),
        },
    ),
)
def describe(call: Call) -> list[Item]:
    """The project's floating IPs, with the servers they lead to."""
    floating = call.services.network.floating_ips.of_project(call.project_id)
    wanted = set(call.given.get("PublicIps", ()))
    missing = wanted - {each["floating_ip_address"] for each in floating}
    if missing:
        raise errors.BadRequest(f"Address '{min(missing)[:100]}' not found.", "InvalidAddress.NotFound")
    known = call.ids.many(_KIND, (each["id"] for each in floating))
    ports = call.ids.many("eni", (each.get("port_id") for each in floating))
    by_port = {vif.port_id: server.uuid for server in call.servers() for vif in server.vifs}
    servers = call.ids.many("i", (by_port.get(each.get("port_id") or "") for each in floating))
    tags = call.tags()
    return [
        {
            "PublicIp": each["floating_ip_address"],
            "AllocationId": known[each["id"]],
            "AssociationId": _association(known[each["id"]]) if each.get("port_id") else None,
            "Domain": "vpc",
            "InstanceId": servers[by_port.get(each.get("port_id") or "")],
            "NetworkInterfaceId": ports[each.get("port_id")],
            "PrivateIpAddress": each.get("fixed_ip_address"),
            "Tags": tags.get(str(known[each["id"]]), []),
        }
        for each in floating
        if not wanted or each["floating_ip_address"] in wanted
    ]


def _association(ec2_id: str | None) -> str | None:
    return ec2_id and ec2_id.replace(_KIND, _ASSOCIATION, 1)


@action(
    "AllocateAddress",
    policy=f"{_RULE}create",
    takes=("PublicIpv4Pool", "TagSpecifications"),
    holds={"Domain": ("vpc", "standard")},
    codes={
        domain.QuotaExceeded: "AddressLimitExceeded",
        domain.IpAddressGenerationFailure: "InsufficientAddressCapacity",
    },
)
def allocate(call: Call) -> Item:
    """A floating IP of a pool, an external network by its name: by default the first."""
    floating_ips = call.services.network.floating_ips
    pool = call.given.get("PublicIpv4Pool") or next(iter(floating_ips.pools(call.context)), None)
    if pool is None:
        raise errors.BadRequest("There is no pool of addresses.", "InsufficientAddressCapacity")
    tags = call.wanted_tags("elastic-ip")
    made = floating_ips.create(call.context, pool)
    ec2_id = call.ids.one(_KIND, made["id"])
    call.tag(ec2_id, tags)
    return {
        "PublicIp": made["floating_ip_address"],
        "AllocationId": ec2_id,
        "Domain": "vpc",
        "PublicIpv4Pool": pool,
    }


def _own(call: Call) -> Item:
    """The floating IP of the request. Raises BadRequest, FloatingIpNotFound."""
    floating_ips, given = call.services.network.floating_ips, call.given
    named = [name for name in ("AllocationId", "AssociationId", "PublicIp") if name in given]
    if len(named) != 1:
        raise errors.BadRequest("An address is named by one id, or by itself.", "InvalidParameterCombination")
    if "PublicIp" in given:
        found: Item = floating_ips.at(call.project_id, given["PublicIp"])
        return found
    kind = _ASSOCIATION if "AssociationId" in given else _KIND
    ec2_id = given[named[0]]
    ids.check(kind, ec2_id)
    try:
        found = floating_ips.get(call.project_id, call.ids.target(_KIND, ec2_id.replace(_ASSOCIATION, _KIND, 1)))
    except (domain.NotFound, errors.BadRequest) as error:
        raise ids.not_found(kind, ec2_id) from error
    if kind == _ASSOCIATION and not found.get("port_id"):
        raise ids.not_found(kind, ec2_id)
    return found


@action("ReleaseAddress", policy=f"{_RULE}delete", takes=("AllocationId", "PublicIp"))
def release(call: Call) -> None:
    """Give an address back that leads to no server."""
    floating = _own(call)
    if floating.get("port_id"):
        raise errors.BadRequest("The address is associated: disassociate it first.", "InvalidIPAddress.InUse")
    call.services.network.floating_ips.delete(floating["id"])


@action(
    "AssociateAddress",
    policy=f"{_RULE}add",
    takes=(
        *("AllocationId", "PublicIp", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress", "AllowReassociation"),
    ),
)
def associate(call: Call) -> Item:
    """Let an address lead to a server: to PrivateIpAddress, or to its first address."""
    given = call.given
    floating = _own(call)
    if floating.get("port_id") and not given.get("AllowReassociation", True):
        raise errors.BadRequest("The address is associated already.", "Resource.AlreadyAssociated")
    server, fixed = _destination(call)
    wanted = given.get("PrivateIpAddress") or fixed
    body = {"address": floating["floating_ip_address"], **({"fixed_address": wanted} if wanted else {})}
    network_actions.add_floating_ip.handler(call.on(server, body))
    return {"AssociationId": _association(call.ids.one(_KIND, floating["id"]))}


def _destination(call: Call) -> tuple[Instance, str | None]:
    """The server, and the address of the interface that is named."""
    if ("InstanceId" in call.given) == ("NetworkInterfaceId" in call.given):
        raise errors.BadRequest("Name an instance or a network interface.", "InvalidParameterCombination")
    if "InstanceId" in call.given:
        return call.server(call.given["InstanceId"]), None
    ec2_id = call.given["NetworkInterfaceId"]
    port_id = call.ids.target("eni", ec2_id)
    for server in call.servers():
        for vif in server.vifs:
            if vif.port_id == port_id and vif.fixed_ips:
                return server, vif.fixed_ips[0].address
    raise ids.not_found("eni", ec2_id)


@action("DisassociateAddress", policy=f"{_RULE}remove", takes=("AssociationId", "PublicIp"))
def disassociate(call: Call) -> None:
    """An address that leads nowhere stays as it is."""
    floating = _own(call)
    port_id = floating.get("port_id")
    for server in call.servers():
        if port_id and any(vif.port_id == port_id for vif in server.vifs):
            body = {"address": floating["floating_ip_address"]}
            network_actions.remove_floating_ip.handler(call.on(server, body))
            return
    if port_id:
        call.services.network.floating_ips.disassociate(call.project_id, floating["floating_ip_address"])
