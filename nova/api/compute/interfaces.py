"""A server's network interfaces: /servers/{id}/os-interface. Source: Compute API reference, "Port interfaces"."""

import uuid as uuids
from typing import Any

from nova import errors
from nova.api.compute.operate import operate, operate_and_wait
from nova.api.compute.request import Request
from nova.http.declaration import SERVER, delete, get, post
from nova.http.schema import IP, STRING, TAG, UUID, arr, nullable, obj, optional, query, required
from nova.http.view import listing, shows, single, view
from nova.structs.network import NetworkRequest, Vif

_PATH = "/servers/{server_id}/os-interface"
_RULE = "os_compute_api:os-attach-interfaces:"

ATTACH = obj(
    optional(
        "interfaceAttachment",
        obj(
            optional("net_id", UUID),
            optional("port_id", UUID),
            optional("fixed_ips", arr(obj(required("ip_address", IP)), minItems=1, maxItems=1)),
            optional("tag", TAG, since="2.49"),
        ),
    )
)


def _addresses(vif: Vif, request: Request) -> list[dict[str, Any]]:
    return [{"ip_address": ip.address, "subnet_id": ip.subnet_id} for ip in vif.fixed_ips]


INTERFACE = view(
    shows("net_id", UUID, "network_id"),
    shows("port_id", UUID),
    shows("mac_addr", STRING, "mac"),
    shows("port_state", STRING, lambda vif, request: "ACTIVE" if vif.is_active else "DOWN"),
    shows(
        "fixed_ips",
        arr(obj(required("ip_address", STRING), required("subnet_id", UUID)), is_nullable=True),
        _addresses,
    ),
    shows("tag", nullable(STRING), "tag", "2.70"),
)


@get(
    _PATH,
    policy=f"{_RULE}list",
    target=SERVER,
    query=query(strict_since="2.102"),
    answer=listing("interfaceAttachments", INTERFACE),
    errors=(404, 501),
)
def index(request: Request) -> list[Vif]:
    """The server's ports, from its record: the Networking service is not asked."""
    return list(request.server.vifs)


@get(
    _PATH + "/{port_id}",
    policy=f"{_RULE}show",
    target=SERVER,
    query=query(strict_since="2.102"),
    answer=single("interfaceAttachment", INTERFACE),
    errors=(403, 404),
)
def show(request: Request, port_id: str) -> Vif:
    """One port of the server. Raises PortNotFound (404)."""
    return _of(request.server.vifs, port_id)


@post(
    _PATH,
    policy=f"{_RULE}create",
    target=SERVER,
    body=ATTACH,
    answer=single("interfaceAttachment", INTERFACE),
    errors=(400, 403, 404, 409, 500, 501),
)
def create(request: Request) -> Vif:
    """Attach a port to the server. The answer comes when the guest has the interface.

    Raises Invalid for what cannot be attached.
    """
    fields = request.body.get("interfaceAttachment") or {}
    network, port = fields.get("net_id"), fields.get("port_id")
    address = fields["fixed_ips"][0]["ip_address"] if fields.get("fixed_ips") else None
    if network and port:
        raise errors.Invalid("Must not input both network_id and port_id")
    if address and not network:
        raise errors.Invalid("Must input network_id when request IP address")
    network_request = None
    if network or port:
        network_request = NetworkRequest(network_id=network, port_id=port, fixed_ip=address, tag=fields.get("tag"))
    request.services.network.validate(
        request.context,
        None if network_request is None else (network_request,),
        project_id=request.server.project_id,
        # The host is claimed already.
        may_claim=False,
    )
    port_id = str(uuids.uuid4())
    before = {vif.port_id for vif in request.server.vifs}
    server = operate_and_wait(request, "attach_interface", request=network_request, port_id=port_id)
    new = [vif for vif in server.vifs if vif.port_id not in before and port in (None, vif.port_id)]
    # Another request may have brought one of another network meanwhile.
    network_id = None if network_request is None else network_request.network_id
    return next((vif for vif in new if vif.network_id == network_id), new[0])


@delete(_PATH + "/{port_id}", policy=f"{_RULE}delete", target=SERVER, status=202, errors=(400, 404, 409, 501))
def remove(request: Request, port_id: str) -> None:
    """Unplug a port. A port that was made for the server is deleted, others are unbound."""
    operate(request, "detach_interface", port_id=port_id)


def _of(vifs: tuple[Vif, ...], port_id: str) -> Vif:
    for vif in vifs:
        if vif.port_id == port_id:
            return vif
    raise errors.PortNotFound(port_id=port_id)
