"""A server's shares: /servers/{id}/shares. Source: Compute API reference, "Servers with shares attachments"."""

import uuid as uuids
from typing import Any

from nova import errors
from nova.api.compute.operate import operate
from nova.api.compute.request import Request
from nova.http.declaration import SERVER, delete, get, post
from nova.http.schema import STRING, UUID, body, enum, optional, query, required, string
from nova.http.view import listing, shows, single, view
from nova.structs.instance import PowerState
from nova.structs.share import Share, ShareStatus

_PATH = "/servers/{server_id}/shares"
_RULE = "os_compute_api:os-server-shares:"
_TAG = string(minLength=1, maxLength=255, pattern="^[a-zA-Z0-9-]*$")
# What virtiofs has room for, and the length of a share's id. Source: virtio specification 1.2, 5.11.4.
_TAG_LENGTH = 36
_ADMINISTRATOR = "administrator"
_RUNNING = (PowerState.RUNNING, PowerState.PAUSED)

ATTACH = body("share", required("share_id", UUID), optional("tag", _TAG))


def _status(share: Share, request: Request) -> str:
    return str(share.status_while(request.server.power_state in _RUNNING))


def _rights(request: Any) -> frozenset[str]:
    return frozenset({_ADMINISTRATOR}) if request.context.is_admin else frozenset()


SHARE = view(
    shows("uuid", UUID, right=_ADMINISTRATOR),
    shows("share_id", UUID),
    shows("status", enum(*ShareStatus), _status),
    shows("tag", _TAG),
    shows("export_location", STRING, right=_ADMINISTRATOR),
    rights=_rights,
)


@get(
    _PATH,
    policy=f"{_RULE}index",
    target=SERVER,
    query=query(strict_since="2.97"),
    answer=listing("shares", SHARE),
    since="2.97",
    errors=(400, 403, 404),
)
def index(request: Request) -> list[Share]:
    """The server's shares with their state."""
    return list(request.server.shares)


@get(
    _PATH + "/{share_id}",
    policy=f"{_RULE}show",
    target=SERVER,
    query=query(strict_since="2.97"),
    answer=single("share", SHARE),
    since="2.97",
    errors=(400, 403, 404),
)
def show(request: Request, share_id: str) -> Share:
    """One share of the server. Raises ShareNotAttached (404)."""
    return _of(request, share_id)


@post(
    _PATH,
    policy=f"{_RULE}create",
    target=SERVER,
    body=ATTACH,
    answer=single("share", SHARE),
    status=201,
    since="2.97",
    errors=(400, 403, 404, 409),
)
def create(request: Request) -> Share:
    """Attach a share to a server that is off; it has the share at its next start.

    Raises ShareNotFound for one the user may not see, Invalid, Conflict for a server that is not off.
    """
    fields, shares, context = request.body["share"], request.services.shares, request.context
    share_id = fields["share_id"]
    tag = fields.get("tag", share_id)
    if len(tag) > _TAG_LENGTH:
        raise errors.Invalid(f"A guest can mount a share by a tag of at most {_TAG_LENGTH} characters.")
    shared = shares.get(share_id, context)
    if shared.protocol != "NFS":
        raise errors.Invalid(f"Share {share_id} is one of {shared.protocol}; hosts mount those of NFS.")
    if shared.status != "available":
        raise errors.Conflict(f"Share {share_id} is {shared.status}, not available.")
    share = Share(
        uuid=str(uuids.uuid4()),
        share_id=share_id,
        tag=tag,
        export_location=shares.export_location(share_id, context),
        protocol=shared.protocol,
    )
    operate(request, "attach_share", share=share)
    return share


@delete(
    _PATH + "/{share_id}",
    policy=f"{_RULE}delete",
    target=SERVER,
    status=200,
    since="2.97",
    errors=(400, 403, 404, 409),
)
def remove(request: Request, share_id: str) -> None:
    """Detach a share from a stopped server, and take its access to the share away."""
    operate(request, "detach_share", share=_of(request, share_id))


def _of(request: Request, share_id: str) -> Share:
    for share in request.server.shares:
        if share.share_id == share_id:
            return share
    raise errors.ShareNotAttached(share_id=share_id, server_id=request.server.uuid)
