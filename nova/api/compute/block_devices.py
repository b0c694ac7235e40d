"""block_device_mapping and block_device_mapping_v2 of a request for servers, as one list of devices.

Everything about a mapping is checked here, against itself and against the services that know the
images, volumes and snapshots. Source: user guide, "Block Device Mapping".
"""

import uuid as uuids
from typing import Any

import msgspec

from nova import errors
from nova.api.compute import mapped_images
from nova.api.compute.request import Request
from nova.api.compute.versions import MULTIATTACH
from nova.clients.volume import Volume, check_is_plain
from nova.structs.image import Image
from nova.structs.instance import BlockDevice

_SOURCES = {"image": "image_id", "volume": "volume_id", "snapshot": "snapshot_id"}


class BadMapping(errors.Invalid):
    """A block device mapping that is well-formed and still makes no sense."""

    text = "Block Device Mapping is Invalid: {reason}"


def read(request: Request, server: dict[str, Any], image: Image | None, count: int) -> tuple[BlockDevice, ...]:
    """The devices beyond the root disk made of imageRef; a volume to boot from has boot_index 0.

    An image may bring a mapping of its own; what the request says of a device counts more. count: of the servers
    that are requested, each of which is to have these devices. Raises Invalid.
    """
    first, second = server.get("block_device_mapping"), server.get("block_device_mapping_v2")
    if first and second:
        raise errors.Invalid("Using different block_device_mapping syntaxes is not allowed in the same request.")
    own, is_second = mapped_images.entries(image)
    if not is_second:
        own = [_from_first(entry, index, None) for index, entry in enumerate(own)]
    if not first and not second and not own:
        return ()
    if _has_root(own):
        # The image is a mapping, no disk to boot from.
        image = None
    entries = [_from_first(entry, index, image) for index, entry in enumerate(first or ())] or list(second or ())
    entries = [*(default for default in own if not any(_is_same(default, entry) for entry in entries)), *entries]
    devices = [_device(request, entry, count) for entry in entries if not _no_device(entry)]
    _check_volumes_once(devices)
    _check_boot_order(devices, image)
    beside = [device for device in devices if not _is_image_ref(device, image)]
    if any(device.source == "image" and device.destination == "local" for device in beside):
        # A local disk of an image is the root disk, and imageRef says of which.
        raise BadMapping(reason="Mapping image to local is not supported.")
    return tuple(beside)


def _has_root(entries: list[dict[str, Any]]) -> bool:
    return any(entry.get("boot_index") == 0 for entry in entries)


def _is_same(own: dict[str, Any], entry: dict[str, Any]) -> bool:
    """Whether an entry of the request takes the place of one of the image: the same name, or both the root."""
    name = own.get("device_name")
    is_root = own.get("boot_index") == 0 and entry.get("boot_index") in (0, "0")
    return is_root or (name is not None and name == entry.get("device_name"))


def _from_first(entry: dict[str, Any], index: int, image: Image | None) -> dict[str, Any]:
    """An entry of block_device_mapping in the syntax of block_device_mapping_v2."""
    translated: dict[str, Any] = {
        key: entry[key] for key in ("device_name", "delete_on_termination", "no_device", "volume_size") if key in entry
    }
    if entry.get("snapshot_id"):
        translated |= {"source_type": "snapshot", "uuid": entry["snapshot_id"], "destination_type": "volume"}
    elif entry.get("volume_id"):
        translated |= {"source_type": "volume", "uuid": entry["volume_id"], "destination_type": "volume"}
    elif entry.get("virtual_name"):
        translated |= {"source_type": "blank", "destination_type": "local"}
        if entry["virtual_name"] == "swap":
            translated["guest_format"] = "swap"
    if image is None and index == 0:
        translated["boot_index"] = 0
    return translated


def _no_device(entry: dict[str, Any]) -> bool:
    return bool(entry.get("no_device"))


def _device(request: Request, entry: dict[str, Any], count: int) -> BlockDevice:
    source = entry.get("source_type")
    if source is None:
        raise BadMapping(reason="source_type is missing")
    destination = entry.get("destination_type") or ("volume" if source in ("volume", "snapshot") else "local")
    if source in ("volume", "snapshot") and destination == "local":
        raise BadMapping(reason=f"Mapping {source} to local is not supported.")
    source_id = entry.get("uuid") or entry.get(_SOURCES.get(source, ""))
    if source != "blank" and not source_id:
        raise BadMapping(reason=f"Missing device UUID for source_type {source}.")
    size = entry.get("volume_size")
    if source == "blank" and destination == "volume" and not size:
        raise BadMapping(reason="Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size")
    boot_index = entry.get("boot_index")
    device = BlockDevice(
        id=str(uuids.uuid4()),
        source=source,
        destination=destination,
        boot_index=None if boot_index is None else int(boot_index),
        image_id=source_id if source == "image" else None,
        volume_id=source_id if source == "volume" else None,
        snapshot_id=source_id if source == "snapshot" else None,
        size_gb=size,
        guest_format=entry.get("guest_format"),
        device_name=entry.get("device_name"),
        device_type=entry.get("device_type") or "disk",
        disk_bus=entry.get("disk_bus"),
        volume_type=entry.get("volume_type"),
        tag=entry.get("tag"),
        delete_on_termination=bool(entry.get("delete_on_termination", False)),
    )
    return _checked(request, device, count)


def _checked(request: Request, device: BlockDevice, count: int) -> BlockDevice:
    """The device, known to be there. Raises Invalid."""
    services, context = request.services, request.context
    try:
        if device.source == "image":
            image = services.images.get(device.image_id, context)
            if device.destination == "volume" and not device.size_gb:
                raise BadMapping(reason="Images with destination_type 'volume' need to have a non-zero size specified")
            if device.size_gb and image.min_disk > device.size_gb:
                raise BadMapping(reason="Volume is smaller than the minimum size specified in image metadata.")
        elif device.source == "volume":
            volume = services.volumes.get(device.volume_id, context)
            _check_volume(request, device, volume, count)
            # A database that ignores case finds it by other spellings of its id.
            device = msgspec.structs.replace(device, volume_id=volume.id)
        elif device.source == "snapshot":
            services.volumes.snapshot(device.snapshot_id, context)
    except errors.NotFound as error:
        reason = f"failed to get {device.source}: {error.for_users}"
        raise BadMapping(reason=reason, detail=error.for_administrators) from error
    return device


def _check_volume(request: Request, device: BlockDevice, volume: Volume, count: int) -> None:
    check_is_plain(volume)
    if volume.is_multiattach and not request.since(MULTIATTACH):
        raise BadMapping(reason=f"volume {volume.id} is multiattach, which needs version 2.60.")
    if count > 1 and not volume.is_multiattach:
        raise errors.Invalid("Cannot attach one or more volumes to multiple instances")
    if volume.status not in ("available", "creating", "downloading") and not (
        volume.is_multiattach and volume.status == "in-use"
    ):
        raise BadMapping(reason=f"volume {volume.id} is {volume.status}, not available.")
    if device.boot_index == 0 and not volume.is_bootable:
        raise errors.Invalid(f"Block Device {volume.id} is not bootable.")


def _check_volumes_once(devices: list[BlockDevice]) -> None:
    """Two disks of one volume would be two caches over the same bytes: a guest that writes to both corrupts them."""
    volumes = [device.volume_id for device in devices if device.volume_id]
    if len(set(volumes)) != len(volumes):
        raise BadMapping(reason="a volume is named twice.")


def _is_image_ref(device: BlockDevice, image: Image | None) -> bool:
    """Whether the device repeats imageRef, as the openstack CLI's requests do."""
    return image is not None and device.source == "image" and device.destination == "local" and device.boot_index == 0


def _check_boot_order(devices: list[BlockDevice], image: Image | None) -> None:
    order = sorted(device.boot_index for device in devices if device.boot_index is not None and device.boot_index >= 0)
    has_root = image is not None and 0 not in order
    if order != list(range(has_root, len(order) + has_root)):
        raise BadMapping(
            reason="Boot sequence for the instance and image/block device mapping combination is not valid."
        )
    if image is None and 0 not in order:
        raise BadMapping(
            reason="Boot sequence for the instance and image/block device mapping combination is not valid."
        )
    if image is not None:
        for device in devices:
            if device.boot_index == 0 and not (device.source == "image" and device.image_id == image.id):
                raise BadMapping(reason="Boot sequence for the instance and image/block device mapping combination is not valid.")  # fmt: skip
    names = [device.device_name for device in devices if device.device_name]
    if len(set(names)) != len(names):
        raise BadMapping(reason="a device name is used twice.")
    if sum(1 for device in devices if device.guest_format == "swap") > 1:
        raise BadMapping(reason="More than one swap drive requested.")
