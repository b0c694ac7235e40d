"""Volumes and snapshots as this API showed them until 2.35: the Block Storage service's, in its words.

Source: Compute API reference, "Volume extension (deprecated)".
"""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.clients.volume import Volume
from nova.http.declaration import also_at, delete, get, post
from nova.http.schema import (
    BOOLISH,
    INTEGER,
    STRING,
    TIME,
    UUID,
    Plain,
    arr,
    body,
    enum,
    integer,
    nullable,
    obj,
    one_of,
    optional,
    query,
    required,
)
from nova.http.view import listing, shows, single, view

_UNTIL = "2.35"
_RULE = "os_compute_api:os-volumes:"
_LIST = query(optional("limit", integer()), optional("offset", integer()))

CREATE = body(
    "volume",
    required("size", integer(1)),
    optional("volume_type", STRING),
    optional("metadata", obj(is_open=True)),
    optional("snapshot_id", STRING),
    optional("availability_zone", STRING),
    optional("display_name", STRING),
    optional("display_description", STRING),
)

CREATE_SNAPSHOT = body(
    "snapshot",
    required("volume_id", STRING),
    optional("force", BOOLISH, default=False),
    optional("display_name", STRING),
    optional("display_description", STRING),
)

_VOLUME_STATUS = enum(
    "creating", "available", "deleting", "error", "error_deleting", "attaching", "in-use", "detaching", "maintenance",
    "restoring-backup", "error_restoring", "reserved", "awaiting-transfer", "backing-up", "error_backing-up",
    "error_extending", "downloading", "uploading", "retyping", "extending",
)  # fmt: skip
_SNAPSHOT_STATUS = enum(
    "error", "available", "creating", "deleting", "deleted", "error_deleting", "unmanaging", "backing-up", "restoring"
)
_ATTACHMENT = obj(
    required("id", UUID), required("volumeId", UUID), required("serverId", UUID), optional("device", STRING)
)
_NOTHING = obj()


def _attachments(volume: Volume, request: Request) -> list[dict[str, Any]]:
    """A volume that is attached nowhere has one empty attachment."""
    attachments = []
    for attachment in volume.attachments:
        shown = {"id": volume.id, "volumeId": volume.id, "serverId": attachment.get("server_id")}
        if attachment.get("device"):
            shown["device"] = attachment["device"]
        attachments.append(shown)
    return attachments or [{}]


def _field(name: str, default: Any = None) -> Any:
    return lambda snapshot, request: snapshot.get(name, default)


VOLUME = view(
    shows("id", UUID),
    shows("status", _VOLUME_STATUS),
    shows("size", INTEGER, "size_gb"),
    shows("availabilityZone", nullable(STRING), "zone"),
    shows("createdAt", TIME, lambda volume, request: volume.created_at or ""),
    shows("attachments", one_of(arr(_ATTACHMENT), arr(_NOTHING)), _attachments),
    shows("displayName", nullable(STRING), "name"),
    shows("displayDescription", nullable(STRING), "description"),
    shows("volumeType", nullable(STRING), "volume_type"),
    shows("snapshotId", nullable(UUID), "snapshot_id"),
    shows(
        "metadata", obj(patterns={"^[a-zA-Z0-9-_:. ]{1,255}$": Plain({"type": ["string", "null"], "maxLength": 255})})
    ),
)
SNAPSHOT = view(
    shows("id", UUID, _field("id")),
    shows("status", _SNAPSHOT_STATUS, _field("status")),
    shows("size", INTEGER, _field("size", 0)),
    shows("createdAt", TIME, _field("created_at", "")),
    shows("displayName", nullable(STRING), _field("name")),
    shows("displayDescription", nullable(STRING), _field("description")),
    shows("volumeId", UUID, _field("volume_id")),
)


@get("/os-volumes", until=_UNTIL, policy=f"{_RULE}list", query=_LIST, answer=listing("volumes", VOLUME))
def index(request: Request) -> list[Volume]:
    """The Block Storage service's volumes of the project."""
    return _page(request, request.services.volumes.find(request.context))


detail = also_at(index, path="/os-volumes/detail", policy=f"{_RULE}detail", until=_UNTIL)


@get("/os-volumes/{volume_id}", until=_UNTIL, policy=f"{_RULE}show", answer=single("volume", VOLUME), errors=(404,))
def show(request: Request, volume_id: str) -> Volume:
    """One volume. Raises VolumeNotFound."""
    volume: Volume = request.services.volumes.get(volume_id, request.context)
    return volume


@post(
    "/os-volumes",
    until=_UNTIL,
    policy=f"{_RULE}create",
    body=CREATE,
    answer=single("volume", VOLUME),
    errors=(400, 403, 404),
)
def create(request: Request) -> Volume:
    """Ask the Block Storage service for a volume; it is made after the answer."""
    fields = request.body["volume"]
    size = fields["size"]
    if fields.get("snapshot_id"):
        size = max(size, request.services.volumes.snapshot(fields["snapshot_id"], request.context)["size"])
    volume: Volume = request.services.volumes.create(
        size,
        request.context,
        name=fields.get("display_name") or "",
        description=fields.get("display_description"),
        snapshot_id=fields.get("snapshot_id"),
        volume_type=fields.get("volume_type"),
        zone=fields.get("availability_zone"),
        metadata=fields.get("metadata"),
    )
    return volume


@delete("/os-volumes/{volume_id}", until=_UNTIL, policy=f"{_RULE}delete", status=202, errors=(400, 404))
def remove(request: Request, volume_id: str) -> None:
    """Delete a volume in the caller's name."""
    request.services.volumes.get(volume_id, request.context)
    request.services.volumes.delete(volume_id, request.context)


@get(
    "/os-snapshots",
    until=_UNTIL,
    policy=f"{_RULE}snapshots:list",
    query=_LIST,
    answer=listing("snapshots", SNAPSHOT),
)
def snapshots(request: Request) -> list[dict[str, Any]]:
    """Snapshots of the project's volumes."""
    return _page(request, request.services.volumes.snapshots(request.context))


snapshots_detail = also_at(snapshots, path="/os-snapshots/detail", policy=f"{_RULE}snapshots:detail", until=_UNTIL)


@get(
    "/os-snapshots/{snapshot_id}",
    until=_UNTIL,
    policy=f"{_RULE}snapshots:show",
    answer=single("snapshot", SNAPSHOT),
    errors=(404,),
)
def show_snapshot(request: Request, snapshot_id: str) -> dict[str, Any]:
    """One snapshot."""
    snapshot: dict[str, Any] = request.services.volumes.snapshot(snapshot_id, request.context)
    return snapshot


@post(
    "/os-snapshots",
    until=_UNTIL,
    policy=f"{_RULE}snapshots:create",
    body=CREATE_SNAPSHOT,
    answer=single("snapshot", SNAPSHOT),
    errors=(400, 403),
)
def create_snapshot(request: Request) -> dict[str, Any]:
    """Snapshot a volume; force allows one that is attached."""
    fields = request.body["snapshot"]
    try:
        snapshot: dict[str, Any] = request.services.volumes.create_snapshot(
            fields["volume_id"],
            fields.get("display_name") or "",
            request.context,
            fields.get("display_description"),
            fields["force"],
        )
    except errors.NotFound as error:
        raise error.turned_into(errors.Invalid) from error
    return snapshot


@delete("/os-snapshots/{snapshot_id}", until=_UNTIL, policy=f"{_RULE}snapshots:delete", status=202, errors=(404,))
def remove_snapshot(request: Request, snapshot_id: str) -> None:
    """Delete a snapshot in the caller's name."""
    request.services.volumes.snapshot(snapshot_id, request.context)
    request.services.volumes.delete_snapshot(snapshot_id, request.context)


def _page(request: Request, items: list[Any]) -> list[Any]:
    start = request.first("offset", 0)
    limit = min(request.first("limit", request.conf.api.max_limit), request.conf.api.max_limit)
    return items[start : start + limit]
