"""Where a guest's files lie on its host, and which disk is which file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec
from oslo_config import cfg

from nova.structs.guest import Disk, GuestSpec
from nova.virt.libvirt import disk_formats
from nova.virt.libvirt.domain_xml.facts import Drive, Host, has_pcie, image_property

CONFIG_DRIVE = "disk.config"
RESCUE_DISK = "disk.rescue"
_PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd", "fdc": "fd"}
# The config drive's place: the last one that needs no second controller, out of the way of what is plugged in later.
_CONFIG_DRIVE_TARGET = {"virtio": "vdz", "scsi": "sdf", "sata": "sdf", "usb": "sdf", "ide": "hdd"}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class DiskOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How this host keeps and opens disks."""

    is_overlay: bool = True
    cache: dict[str, str] = {}
    discard: str | None = None
    config_drive_format: str = "iso9660"

    @classmethod
    def of(cls, conf: cfg.ConfigOpts) -> Self:
        kind: str = conf.libvirt.images_type
        return cls(
            is_overlay=bool(conf.use_cow_images) if kind == "default" else kind == "qcow2",
            cache=dict(pair.split("=", 1) for pair in conf.libvirt.disk_cachemodes if "=" in pair),
            discard=conf.libvirt.hw_disk_discard,
            config_drive_format=conf.config_drive_format,
        )


def guest_directory(instances_path: str, uuid: str) -> Path:
    """Where a guest's files lie: [DEFAULT] instances_path/UUID."""
    return Path(instances_path) / uuid


def console_log(instances_path: str, uuid: str) -> Path:
    """What the guest writes to its first serial port."""
    return guest_directory(instances_path, uuid) / "console.log"


def file_names(disks: Sequence[Disk]) -> tuple[str | None, ...]:
    """The file of each disk by its place among its kind; None for a volume."""
    names: list[str | None] = []
    for number, disk in enumerate(disks):
        place = sum(other.kind == disk.kind for other in disks[:number])
        stem = {"root": "disk", "ephemeral": "disk.eph", "blank": "disk.blank", "swap": "disk.swap"}.get(disk.kind)
        names.append(stem if stem in (None, "disk") else f"{stem}{place}")
    return tuple(names)


def local_files(spec: GuestSpec) -> list[tuple[Disk, str]]:
    """The disks that are files of this host, and their names."""
    return [(disk, name) for disk, name in zip(spec.disks, file_names(spec.disks), strict=True) if name is not None]


def is_cdrom(disk: Disk, spec: GuestSpec) -> bool:
    """Whether the guest sees the disk as a CD-ROM: an ISO image's root disk, or a device of that type."""
    is_iso = disk.kind == "root" and spec.image is not None and spec.image.disk_format == "iso"
    return is_iso or disk.device_type == "cdrom"


def file_format(disk: Disk, options: DiskOptions) -> str:
    """The format of a disk that is made now: only one that stands on an image is qcow2; nothing is gained by it
    for an empty one. What a disk that is there has, disk_formats knows."""
    return "qcow2" if disk.kind == "root" and options.is_overlay else "raw"


def bus_of(disk: Disk, spec: GuestSpec, host: Host) -> str:
    """The disk's own bus; for the default one, the image's hw_disk_bus."""
    if is_cdrom(disk, spec):
        return cdrom_bus(spec, host)
    return disk.bus if disk.bus != "virtio" else image_property(spec, "hw_disk_bus") or "virtio"


def cdrom_bus(spec: GuestSpec, host: Host) -> str:
    """The image's hw_cdrom_bus; otherwise sata where there is PCI Express, and ide."""
    return image_property(spec, "hw_cdrom_bus") or ("sata" if has_pcie(spec, host) else "ide")


def plan_drives(
    spec: GuestSpec,
    directory: Path,
    host: Host,
    options: DiskOptions,
    volumes: Mapping[str, Drive],
    config_drive: str = CONFIG_DRIVE,
) -> tuple[Drive, ...]:
    """Every disk of the guest as QEMU opens it. volumes: what connecting each volume gave, by its id."""
    targets: set[str] = set()
    drives = []
    for disk, name in zip(spec.disks, file_names(spec.disks), strict=True):
        bus = bus_of(disk, spec, host)
        target = target_name(disk.device_name, bus, targets)
        targets.add(target)
        order = _boot_order(disk, spec.disks)
        if name is None:
            drive = msgspec.structs.replace(volumes[volume_key(disk)], target=target, bus=bus, boot_order=order)
        else:
            cdrom = is_cdrom(disk, spec)
            drive = Drive(
                target=target,
                bus=bus,
                path=str(directory / name),
                format=disk_formats.recorded(directory / name, file_format(disk, options)),
                device="cdrom" if cdrom else "disk",
                is_read_only=cdrom,
                boot_order=order,
                cache=options.cache.get("file"),
                discard=options.discard,
            )
        drives.append(drive)
    if spec.config_drive is not None:
        drives.append(_config_drive(spec, directory / config_drive, host, options, targets))
    return tuple(drives)


def target_name(requested: str, bus: str, used: set[str]) -> str:
    """The device's name inside the definition: the requested one if it fits the bus, else the next that is free."""
    prefix = _PREFIX.get(bus, "vd")
    name = requested.removeprefix("/dev/")
    if name.startswith(prefix) and name not in used:
        return name
    letters: list[str] = [*_LETTERS, *(a + b for a in _LETTERS for b in _LETTERS)]
    return next(prefix + letter for letter in letters if prefix + letter not in used)


def volume_key(disk: Disk) -> str:
    """What a volume is known by: its id, which is also the serial number the guest sees."""
    if disk.volume is None:
        return ""
    return disk.volume.volume_id or disk.volume.id


def _boot_order(disk: Disk, disks: Sequence[Disk]) -> int | None:
    if disk.boot_index is not None:
        return disk.boot_index + 1 if disk.boot_index >= 0 else None
    if any(other.boot_index is not None and other.boot_index >= 0 for other in disks):
        return None
    first = next((other for other in disks if other.kind == "root"), disks[0])
    return 1 if disk is first else None


def _config_drive(spec: GuestSpec, path: Path, host: Host, options: DiskOptions, targets: set[str]) -> Drive:
    is_cd = options.config_drive_format == "iso9660"
    bus = cdrom_bus(spec, host) if is_cd else image_property(spec, "hw_disk_bus") or "virtio"
    return Drive(
        target=target_name(_CONFIG_DRIVE_TARGET.get(bus, ""), bus, targets),
        bus=bus,
        path=str(path),
        device="cdrom" if is_cd else "disk",
        is_read_only=is_cd,
    )
