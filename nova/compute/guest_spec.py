"""From a server's record to the spec a driver gets: the only place that knows both."""

import base64

import msgspec

from nova import errors
from nova.compute.host import Host
from nova.metadata import documents
from nova.structs.disks import DisksId
from nova.structs.guest import Disk, GuestSpec
from nova.structs.image import Image
from nova.structs.instance import BlockDevice, Instance

# What a rescue image may need where the flavor's own disk is smaller.
_RESCUE_GB = 16
_BUS_DEVICE = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd", "fdc": "fd"}


def guest_spec(
    host: Host, instance: Instance, personality: dict[str, str] | None = None, password: str | None = None
) -> GuestSpec:
    """What the driver needs to make this server's guest; fetches its image if the driver reads images, and it is there.

    personality and password are known while a guest is made, and are nowhere kept for later.

    The host's side of its networks is ready when this returns.
    """
    if host.networks is not None:
        host.networks.prepare(instance.vifs)
    return GuestSpec(
        uuid=instance.uuid,
        name=host.conf.instance_name_template % instance.id,
        display_name=instance.name,
        project_id=instance.project_id,
        user_id=instance.user_id,
        flavor=instance.flavor,
        image=instance.image,
        disks=tuple(_disks(host, instance)),
        vifs=instance.vifs,
        shares=tuple(share for share in instance.shares if share.is_for_guest),
        config_drive=_config_drive(host, instance, personality or {}, password),
        password=password,
        metadata=instance.metadata,
        disks_id=disks_id(host, instance),
        moves_from=instance.moves_from,
    )


def disks_id(host: Host, instance: Instance) -> DisksId | None:
    """Whose the server's disks on this host are; None where the order is an older release's."""
    return DisksId(generation=instance.generation, host=host.name) if instance.generation else None


def _disks(host: Host, instance: Instance) -> list[Disk]:
    properties = instance.image.properties if instance.image else {}
    bus = properties.get("hw_disk_bus", "virtio")
    names = (f"{_BUS_DEVICE.get(bus, 'vd')}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    disks = []
    if instance.image_id is not None:
        disks.append(_root(host, instance, next(names), bus))
    volumes = [device for device in instance.block_devices if device.destination == "volume"]
    for device in sorted(
        volumes, key=lambda device: (device.boot_index is None or device.boot_index < 0, device.boot_index or 0)
    ):
        name = (device.device_name or "").removeprefix("/dev/") or next(names)
        disks.append(
            Disk(
                kind="volume", device_name=name, bus=device.disk_bus or bus, boot_index=device.boot_index, volume=device
            )
        )
    flavor = instance.flavor
    if flavor.ephemeral_gb:
        disks.append(Disk(kind="ephemeral", device_name=next(names), bus=bus, size_mb=flavor.ephemeral_gb * 1024))
    if flavor.swap_mb:
        disks.append(Disk(kind="swap", device_name=next(names), bus=bus, size_mb=flavor.swap_mb))
    return disks


def _root(host: Host, instance: Instance, name: str, bus: str) -> Disk:
    path, image_format, missing = None, None, None
    if host.driver.needs_images and instance.image is not None:
        try:
            cached = host.images.fetch(instance.image)
            path, image_format = cached.path, cached.format
        except errors.ImageNotFound:
            # A disk that is there may stand on another image, as an unshelved server's, or on none.
            missing = instance.image.id
    return Disk(
        kind="root",
        device_name=name,
        bus=bus,
        size_mb=instance.flavor.root_gb * 1024,
        image_path=path,
        image_format=image_format,
        missing_image=missing,
        boot_index=0,
    )


def volume_disk(instance: Instance, device: BlockDevice) -> Disk:
    """The disk for a volume that is attached to a guest, or detached."""
    properties = instance.image.properties if instance.image else {}
    name = (device.device_name or "").removeprefix("/dev/")
    bus = device.disk_bus or properties.get("hw_disk_bus", "virtio")
    return Disk(kind="volume", device_name=name, bus=bus, boot_index=device.boot_index, volume=device)


def rescue_disk(host: Host, instance: Instance, image: Image) -> Disk:
    """The disk a guest is rescued from, of the image's own size, which is bounded. Raises ImageNotFound."""
    rescued = msgspec.structs.replace(instance, image=image, image_id=image.id)
    bus = image.properties.get("hw_rescue_bus") or image.properties.get("hw_disk_bus", "virtio")
    disk = _root(host, rescued, f"{_BUS_DEVICE.get(bus, 'vd')}a", bus)
    if disk.missing_image is not None:
        raise errors.ImageNotFound(image_id=disk.missing_image)
    most_mb = max(instance.flavor.root_gb, _RESCUE_GB) * 1024
    device_type = image.properties.get("hw_rescue_device", "disk")
    return msgspec.structs.replace(disk, size_mb=0, max_size_mb=most_mb, device_type=device_type)


def _config_drive(
    host: Host, instance: Instance, personality: dict[str, str], password: str | None
) -> dict[str, bytes] | None:
    if not (instance.properties.config_drive or host.conf.force_config_drive):
        return None
    files = {path: base64.b64decode(content) for path, content in personality.items()}
    return documents.config_drive_files(instance, host.conf, files, password)
