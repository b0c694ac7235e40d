"""Images without data: a mapping of volume snapshots that servers boot from.

They are made of servers that boot from volumes, and read when a server is made of them. Source: user
guide, "Block Device Mapping"; Compute API reference, "Create Image (createImage Action)".
"""

from typing import Any

import msgspec

from nova import errors
from nova.api.compute.request import Request
from nova.clients.rollback import Rollback
from nova.structs.image import Image
from nova.structs.instance import BlockDevice

_MAPPING, _IS_SECOND, _ROOT = "block_device_mapping", "bdm_v2", "root_device_name"
# They say what the image's own disks are: a copy has its own.
OWN = frozenset({_MAPPING, _IS_SECOND, _ROOT})


class _Entry(msgspec.Struct, omit_defaults=True):
    """One disk in an image's mapping; users may write there what they like, so that it is read with care."""

    source_type: str | None = None
    destination_type: str | None = None
    uuid: str | None = None
    image_id: str | None = None
    snapshot_id: str | None = None
    volume_id: str | None = None
    volume_size: int | None = None
    volume_type: str | None = None
    device_name: str | None = None
    device_type: str | None = None
    disk_bus: str | None = None
    guest_format: str | None = None
    virtual_name: str | None = None
    boot_index: int | None = None
    delete_on_termination: bool | None = None
    no_device: bool | None = None
    tag: str | None = None


def snapshot_volumes(request: Request, name: str, rollback: Rollback) -> tuple[tuple[str, ...], dict[str, str]]:
    """Ask for a snapshot of each of the server's volumes; their ids, and the properties of an image that maps them.

    It is done in the user's name, for a workflow has no user's token. undo deletes them again.
    Raises Forbidden, QuotaExceeded.
    """
    volumes, context, server = request.services.volumes, request.context, request.server
    assert server is not None
    snapshot_ids: list[str] = []
    entries: list[_Entry] = []
    for device in server.block_devices:
        snapshot = None
        if device.destination == "volume" and device.volume_id:
            snapshot = volumes.create_snapshot(device.volume_id, f"snapshot for {name}", context)
            rollback.made(f"snapshot {snapshot['id']}", volumes.delete_snapshot, snapshot["id"], context)
            snapshot_ids.append(snapshot["id"])
        entries.append(_entry(device, snapshot))
    properties = {_MAPPING: msgspec.json.encode(entries).decode(), _IS_SECOND: "True"}
    if server.properties.root_device_name:
        properties[_ROOT] = server.properties.root_device_name
    return tuple(snapshot_ids), properties


def _entry(device: BlockDevice, snapshot: dict[str, Any] | None) -> _Entry:
    return _Entry(
        source_type="snapshot" if snapshot else device.source,
        destination_type=device.destination,
        snapshot_id=snapshot["id"] if snapshot else None,
        image_id=None if snapshot else device.image_id,
        volume_size=snapshot["size"] if snapshot else device.size_gb,
        volume_type=device.volume_type,
        device_name=device.device_name,
        device_type=device.device_type,
        disk_bus=device.disk_bus,
        guest_format=device.guest_format,
        boot_index=device.boot_index,
        delete_on_termination=device.delete_on_termination,
        tag=device.tag,
    )


def is_mapped(image: Image | None) -> bool:
    """Whether an image has no data of its own and maps snapshots of volumes."""
    return image is not None and _MAPPING in image.properties


def entries(image: Image | None) -> tuple[list[dict[str, Any]], bool]:
    """An image's mapping as a request would write it, and whether that is block_device_mapping_v2's syntax.

    Raises Invalid for a mapping that is no valid JSON of that syntax.
    """
    if image is None or not is_mapped(image):
        return [], True
    try:
        mapping = msgspec.json.decode(image.properties[_MAPPING], type=list[_Entry])
    except msgspec.MsgspecError as error:
        raise errors.Invalid(f"Image {image.id} has an invalid {_MAPPING}: {error}") from error
    is_second = image.properties.get(_IS_SECOND, "").lower() in ("true", "1", "yes")
    return [msgspec.to_builtins(entry) for entry in mapping], is_second
