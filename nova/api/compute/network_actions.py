"""Actions on a server's addresses and security groups. Source: Compute API reference, "Servers - run an action"."""

from nova import errors
from nova.api.compute.addresses import canonical
from nova.api.compute.operate import operate
from nova.api.compute.request import Request
from nova.http.declaration import action
from nova.http.schema import IP, Plain, obj, optional, required, string
from nova.structs.instance import Instance
from nova.structs.requests import ExternalEvent

_GROUPS = "os_compute_api:os-security-groups:"
_GROUP = obj(required("name", string(minLength=1)))
_ADDRESS = obj(required("address", IP))


@action("addSecurityGroup", policy=f"{_GROUPS}add", body=_GROUP, errors=(400, 404, 409))
def add_security_group(request: Request) -> None:
    """Add a group, by name or id, to every port of the server."""
    server = _idle(request, "addSecurityGroup")
    request.services.network.security_groups.add_to_server(server.project_id, server.uuid, request.body["name"])
    _see_networks(request)


@action("removeSecurityGroup", policy=f"{_GROUPS}remove", body=_GROUP, errors=(400, 404, 409))
def remove_security_group(request: Request) -> None:
    """Remove a group from every port of the server that has it."""
    server = _idle(request, "removeSecurityGroup")
    request.services.network.security_groups.remove_from_server(server.project_id, server.uuid, request.body["name"])
    _see_networks(request)


@action(
    "addFixedIp",
    policy="os_compute_api:os-multinic:add",
    until="2.43",
    body=obj(required("networkId", Plain({"type": ["string", "number"], "minLength": 1, "maxLength": 36}, str))),
    errors=(400, 404),
)
def add_fixed_ip(request: Request) -> None:
    """Add an address of the given network to the server's port there."""
    operate(request, "addFixedIp", network_id=request.body["networkId"])


@action("removeFixedIp", policy="os_compute_api:os-multinic:remove", until="2.43", body=_ADDRESS, errors=(400, 404))
def remove_fixed_ip(request: Request) -> None:
    """Remove one address. Raises Invalid for one the server does not have."""
    address = canonical(request.body["address"])
    if address not in _addresses(request.server):
        raise errors.Invalid(f"Fixed IP {address} is not associated with the server.")
    operate(request, "removeFixedIp", address=address)


@action(
    "addFloatingIp",
    policy="os_compute_api:os-floating-ips:add",
    until="2.43",
    body=obj(required("address", IP), optional("fixed_address", IP)),
    errors=(400, 403, 404),
)
def add_floating_ip(request: Request) -> None:
    """Associate a floating address of the project with a fixed address, by default the first IPv4 one.

    Raises Invalid for a fixed address that the server has not, or that has a floating one.
    """
    server = request.server
    if not any(vif.fixed_ips for vif in server.vifs):
        raise errors.Invalid("No fixed IPs associated to instance")
    fixed = canonical(request.body["fixed_address"]) if "fixed_address" in request.body else None
    if fixed is not None and fixed not in _addresses(server):
        raise errors.Invalid("Specified fixed address not assigned to instance")
    floating = request.services.network.floating_ips
    try:
        floating.associate(server.project_id, canonical(request.body["address"]), server.uuid, fixed)
    except errors.Conflict as error:
        raise error.turned_into(errors.Invalid) from error
    _see_networks(request)


@action(
    "removeFloatingIp",
    policy="os_compute_api:os-floating-ips:remove",
    until="2.43",
    body=_ADDRESS,
    errors=(400, 403, 404, 409),
)
def remove_floating_ip(request: Request) -> None:
    """Disassociate a floating address; it stays with the project. 409 when it is another server's."""
    server, address = request.server, canonical(request.body["address"])
    floating = request.services.network.floating_ips.at(server.project_id, address)
    if floating.get("port_id") not in {vif.port_id for vif in server.vifs}:
        raise errors.Conflict(f"Floating IP {address} is not associated with instance {server.uuid}.")
    request.services.network.floating_ips.disassociate(server.project_id, address)
    _see_networks(request)


def _addresses(server: Instance) -> set[str]:
    return {ip.address for vif in server.vifs for ip in vif.fixed_ips}


def _idle(request: Request, name: str) -> Instance:
    """The server. Raises ServerIsLocked, and WrongServerState for one that has no host yet."""
    server = request.server
    if server.is_locked and not request.context.is_admin:
        raise errors.ServerIsLocked(server_id=server.uuid)
    if server.host is None:
        raise errors.WrongServerState(
            action=name, server_id=server.uuid, attribute="vm_state", state=str(server.vm_state)
        )
    return server


def _see_networks(request: Request) -> None:
    """Bring the server's record up to what the Networking API now says."""
    event = ExternalEvent(name="network-changed", server_id=request.server.uuid)
    request.conductor.external_events(request.context, [event])
