"""A server's volumes: /servers/{id}/os-volume_attachments.

Source: Compute API reference, "Servers with volume attachments".
"""

import uuid as uuids
from dataclasses import replace
from typing import Any

from nova import errors
from nova.api.compute.operate import operate, operate_past
from nova.api.compute.request import Request
from nova.api.compute.versions import (
    ATTACHED_LATER,
    ATTACHMENT_UPDATED,
    DEVICE_AFTER_ATTACH,
    MULTIATTACH,
    VOLUMES_ON_SHELVED,
)
from nova.clients.volume import Volume, check_is_plain
from nova.http.declaration import SERVER, also_at, delete, get, post, put
from nova.http.schema import (
    BOOLEAN,
    BOOLISH,
    STRING,
    TAG,
    UUID,
    Plain,
    body,
    integer,
    nullable,
    optional,
    query,
    required,
)
from nova.http.view import listing, shows, single, view
from nova.structs.instance import BlockDevice, Instance, VmState

_PATH = "/servers/{server_id}/os-volume_attachments"
_RULE = "os_compute_api:os-volumes-attachments:"
_DEVICE = Plain({"type": ["string", "null"], "pattern": "(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$"})
_SHELVED = (VmState.SHELVED, VmState.SHELVED_OFFLOADED)

ATTACH = body(
    "volumeAttachment",
    required("volumeId", UUID),
    optional("device", _DEVICE),
    optional("tag", TAG, since="2.49"),
    optional("delete_on_termination", BOOLISH, since="2.79"),
)

UPDATE = body(
    "volumeAttachment",
    required("volumeId", UUID),
    optional("device", _DEVICE, since="2.85"),
    optional("tag", TAG, since="2.85"),
    optional("delete_on_termination", BOOLISH, since="2.85"),
    optional("serverId", UUID, since="2.85"),
    optional("id", UUID, since="2.85"),
)

_SHARED = (
    shows("serverId", UUID, lambda row, request: request.server.uuid),
    shows("volumeId", UUID, "volume_id"),
    shows("device", nullable(STRING), "device_name", is_optional=True),
    shows("tag", nullable(STRING), "tag", "2.70"),
    shows("delete_on_termination", BOOLEAN, "delete_on_termination", "2.79"),
)
ATTACHMENT = view(
    shows("id", UUID, "volume_id", until="2.88"),
    *_SHARED,
    # Empty while the volume is being reserved.
    shows("attachment_id", STRING, lambda device, request: device.attachment_id or "", "2.89"),
    shows("bdm_uuid", UUID, "id", "2.89"),
)
# The answer to a request names the device for certain from 2.70 on.
ATTACHED = view(
    shows("id", UUID, "volume_id"),
    *(replace(key, is_optional=False, since=DEVICE_AFTER_ATTACH) if key.name == "device" else key for key in _SHARED),
    shows("device", nullable(STRING), "device_name", until="2.69", is_optional=True),
)


@get(
    _PATH,
    policy=f"{_RULE}index",
    target=SERVER,
    query=query(optional("limit", integer()), optional("offset", integer()), strict_since="2.75"),
    answer=listing("volumeAttachments", ATTACHMENT),
    errors=(404,),
)
def index(request: Request) -> list[BlockDevice]:
    """The server's volumes, from its record: the Block Storage service is not asked."""
    start = request.first("offset", 0)
    limit = min(request.first("limit", request.conf.api.max_limit), request.conf.api.max_limit)
    return _volumes(request.server)[start : start + limit]


@get(
    _PATH + "/{volume_id}",
    policy=f"{_RULE}show",
    target=SERVER,
    query=query(),
    answer=single("volumeAttachment", ATTACHMENT),
    errors=(404,),
)
def show(request: Request, volume_id: str) -> BlockDevice:
    """One attachment. Raises VolumeNotAttached (404)."""
    return _of(request.server, volume_id)


@post(
    _PATH,
    policy=f"{_RULE}create",
    target=SERVER,
    body=ATTACH,
    answer=single("volumeAttachment", ATTACHED),
    until="2.100",
    errors=(400, 403, 404, 409),
)
def create(request: Request) -> BlockDevice | None:
    """Attach a volume; the answer does not wait for the guest to have it.

    Raises VolumeNotFound, Invalid for a volume in use.
    """
    fields = request.body["volumeAttachment"]
    volume_id = fields["volumeId"]
    _check_shelved(request)
    if fields.get("tag") and request.server.vm_state == VmState.SHELVED_OFFLOADED:
        raise errors.Invalid("A volume cannot be attached with a tag to a server that is on no host.")
    volume = request.services.volumes.get(volume_id, request.context)
    check_is_plain(volume)
    if volume.is_multiattach and not request.since(MULTIATTACH):
        raise errors.Invalid("Volume is multiattach, which this version does not support: use 2.60 or newer.")
    if volume.status != "available" and not (volume.is_multiattach and volume.status == "in-use"):
        raise errors.Invalid(f"Invalid volume: volume {volume_id} status must be 'available'. It is '{volume.status}'.")
    device = BlockDevice(
        id=str(uuids.uuid4()),
        source="volume",
        destination="volume",
        volume_id=volume_id,
        device_name=fields.get("device"),
        size_gb=volume.size_gb,
        tag=fields.get("tag"),
        delete_on_termination=fields.get("delete_on_termination", False),
    )
    operate(request, "attach_volume", device=device)
    if request.since(ATTACHED_LATER):
        return None
    return _of(request.conductor.server(request.context, request.server.uuid), volume_id)


create_later = also_at(create, since="2.101", until="2.104", answer=None, status={ATTACHED_LATER: 202})


@put(
    _PATH + "/{volume_id}",
    policy=None,
    target=SERVER,
    body=UPDATE,
    status=202,
    errors=(400, 404, 409),
)
def update(request: Request, volume_id: str) -> None:
    """Put another volume in its place (for services), or from 2.85 on whether it is deleted with the server."""
    fields = request.body["volumeAttachment"]
    server, new_id = request.server, fields["volumeId"]
    target = {"project_id": server.project_id, "user_id": server.user_id}
    if new_id != volume_id:
        request.check(f"{_RULE}swap", target)
    else:
        request.check(f"{_RULE}update" if request.since(ATTACHMENT_UPDATED) else f"{_RULE}swap", target)
    device = _of(server, volume_id)
    if request.since(ATTACHMENT_UPDATED):
        _check_same(fields, device, server)
    if new_id == volume_id and not request.since(ATTACHMENT_UPDATED):
        raise errors.Invalid("The volume is attached already.")
    if new_id == volume_id:
        flag = fields.get("delete_on_termination", device.delete_on_termination)
        request.conductor.set_delete_on_termination(request.context, server.uuid, volume_id, flag)
        return
    old = request.services.volumes.get(volume_id, request.context)
    try:
        new = request.services.volumes.get(new_id, request.context)
    except errors.NotFound as error:
        raise error.turned_into(errors.Invalid) from error
    check_is_plain(new)
    if new.status != "available":
        raise errors.Invalid(f"Invalid volume: volume {new_id} status must be 'available'. It is '{new.status}'.")
    _check_may_replace(new, old)
    operate(request, "swap_volume", volume_id=volume_id, new_volume_id=new_id)


@delete(_PATH + "/{volume_id}", policy=f"{_RULE}delete", target=SERVER, status=202, errors=(400, 403, 404, 409))
def remove(request: Request, volume_id: str) -> None:
    """Detach a volume, which is `detaching` in the Block Storage service when this has answered.

    Raises Forbidden for the one that the server boots from, Invalid for one that is no longer in use there.
    """
    _check_shelved(request)
    _of(request.server, volume_id)
    operate_past(request, "detach_volume", "mark_detaching", volume_id=volume_id)


def _check_may_replace(new: Volume, old: Volume) -> None:
    """Raises Invalid: what does not fit would be lost, and what others write meanwhile, too."""
    if new.size_gb < old.size_gb:
        raise errors.Invalid("Invalid volume: New volume must be the same size or larger.")
    if old.is_multiattach and len(old.attachments) > 1:
        raise errors.Invalid("Swapping multi-attach volumes with more than one read/write attachment is not supported.")


def _check_shelved(request: Request) -> None:
    server = request.server
    if server.vm_state in _SHELVED and not request.since(VOLUMES_ON_SHELVED):
        raise errors.WrongServerState(
            action="attach_volume", server_id=server.uuid, attribute="vm_state", state=str(server.vm_state)
        )


def _check_same(fields: dict[str, Any], device: BlockDevice, server: Instance) -> None:
    """Only volumeId and delete_on_termination may change; other fields may repeat their value. Raises Invalid."""
    fixed = {"device": device.device_name, "tag": device.tag, "serverId": server.uuid, "id": device.volume_id}
    for name, value in fixed.items():
        if name in fields and fields[name] != value:
            raise errors.Invalid(f"The {name} of a volume attachment cannot be changed.")


def _volumes(server: Instance) -> list[BlockDevice]:
    return [device for device in server.block_devices if device.destination == "volume" and device.volume_id]


def _of(server: Instance, volume_id: str) -> BlockDevice:
    for device in _volumes(server):
        if device.volume_id == volume_id:
            return device
    raise errors.VolumeNotAttached(volume_id=volume_id, server_id=server.uuid)
