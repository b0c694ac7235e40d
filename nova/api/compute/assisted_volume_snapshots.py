"""Snapshots of attached volumes: /os-assisted-volume-snapshots. The Block Storage service asks for them.

Source: Compute API reference, "Assisted volume snapshots".
"""

import re
from typing import Any

import msgspec

from nova import errors
from nova.api.compute.operate import in_turn
from nova.api.compute.request import Request
from nova.http.declaration import delete, post
from nova.http.schema import STRING, UUID, body, enum, nullable, obj, optional, query, required, string
from nova.http.view import Answer

_RULE = "os_compute_api:os-assisted-volume-snapshots:"
_WORD = string(minLength=1)
# Files lie beside the volume's own: a name is no path.
_FILE_NAME = re.compile(r"(?!\.\.?$)[^/\0]+")

CREATE = body(
    "snapshot",
    required("volume_id", _WORD),
    required(
        "create_info",
        obj(
            required("snapshot_id", _WORD),
            required("type", enum("qcow2")),
            required("new_file", _WORD),
            optional("id", _WORD),
        ),
    ),
)
_CREATED = Answer(
    lambda result, request: {"snapshot": result},
    obj(required("snapshot", obj(required("id", nullable(UUID)), required("volumeId", UUID)))),
)


class _DeleteInfo(msgspec.Struct):
    """What the service says in delete_info; it may say more."""

    volume_id: str
    file_to_merge: str = ""
    merge_target_file: str | None = None


@post("/os-assisted-volume-snapshots", policy=f"{_RULE}create", body=CREATE, answer=_CREATED, errors=(400, 401, 403))
def create(request: Request) -> dict[str, Any]:
    """Snapshot a volume of a running server, for the Block Storage service. The snapshot is made after the answer.

    Raises Invalid for a volume that no running server has.
    """
    fields = request.body["snapshot"]
    info, volume_id = fields["create_info"], fields["volume_id"]
    _check_name(info["new_file"])
    try:
        server_id = _server_of(request, volume_id)
        arguments = {"volume_id": volume_id, "snapshot_id": info["snapshot_id"], "new_file": info["new_file"]}
        in_turn(request.conductor, request.context, server_id, "volume_snapshot_create", arguments)
    except (errors.NotFound, errors.Conflict, errors.NotImplementedHere) as error:
        raise error.turned_into(errors.Invalid) from error
    return {"id": info.get("id"), "volumeId": volume_id}


@delete(
    "/os-assisted-volume-snapshots/{snapshot_id}",
    policy=f"{_RULE}delete",
    query=query(optional("delete_info", STRING), strict_since="2.75"),
    errors=(400, 401, 403, 404),
)
def remove(request: Request, snapshot_id: str) -> None:
    """Delete such a snapshot, for the Block Storage service. Without a file to merge its status becomes error_deleting.

    Raises Invalid for delete_info that cannot be read, VolumeNotAttached."""
    try:
        info = msgspec.json.decode(request.first("delete_info", ""), type=_DeleteInfo)
    except msgspec.MsgspecError as error:
        raise errors.Invalid(f"Invalid delete_info: {error}") from error
    for name in (info.file_to_merge, info.merge_target_file):
        if name:
            _check_name(name)
    arguments = {
        "volume_id": info.volume_id,
        "snapshot_id": snapshot_id,
        "file_to_merge": info.file_to_merge,
        "merge_target": info.merge_target_file,
    }
    try:
        server_id = _server_of(request, info.volume_id)
        in_turn(request.conductor, request.context, server_id, "volume_snapshot_delete", arguments)
    except (errors.Conflict, errors.NotImplementedHere) as error:
        raise error.turned_into(errors.Invalid) from error


def _server_of(request: Request, volume_id: str) -> str:
    """The server that has the volume. Raises VolumeNotAttached, Invalid where several have it."""
    servers = request.services.volumes.servers_of(volume_id)
    if not servers:
        raise errors.VolumeNotAttached(volume_id=volume_id)
    if len(servers) > 1:
        raise errors.Invalid(f"Volume {volume_id} is attached to several servers.")
    return str(servers[0])


def _check_name(name: str) -> None:
    if not _FILE_NAME.fullmatch(name):
        raise errors.Invalid(f"{name} is not the name of a file.")
