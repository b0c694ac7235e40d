"""Disks of a request that lie on a server's host, beside its root disk: the flavor says what a server gets of them.

A request may say the same. What it asks for beyond, or otherwise, is refused, for nothing would make it.
"""

from collections.abc import Sequence

from nova import errors
from nova.structs.flavor import Flavor
from nova.structs.instance import BlockDevice

_SWAP = "swap"


def without_local(devices: Sequence[BlockDevice], flavor: Flavor) -> tuple[BlockDevice, ...]:
    """The devices that are volumes. Raises Invalid for local ones that are not just what the flavor gives."""
    local = [device for device in devices if device.destination == "local"]
    for device in local:
        _check_plain(device)
    _check_swap([device for device in local if device.guest_format == _SWAP], flavor)
    _check_ephemeral([device for device in local if device.guest_format != _SWAP], flavor)
    return tuple(device for device in devices if device.destination != "local")


def _check_plain(device: BlockDevice) -> None:
    """Every local disk is formatted and plugged in by its host's own rules. A name is no more than a wish, as EC2's are."""
    asked = {
        "boot_index": device.boot_index is not None and device.boot_index >= 0,
        "device_type": device.device_type != "disk",
        "disk_bus": device.disk_bus,
        "guest_format": device.guest_format not in (None, _SWAP),
        "tag": device.tag,
    }
    for name, is_asked_for in asked.items():
        if is_asked_for:
            raise errors.Invalid(f"Block Device Mapping is Invalid: {name} of a local disk cannot be chosen.")


def _check_swap(swap: Sequence[BlockDevice], flavor: Flavor) -> None:
    for device in swap:
        _check_size("A swap disk", device.size_gb, flavor.swap_mb, "MiB")


def _check_ephemeral(disks: Sequence[BlockDevice], flavor: Flavor) -> None:
    sizes = [flavor.ephemeral_gb if disk.size_gb is None else disk.size_gb for disk in disks]
    if sizes:
        _check_size("Ephemeral disks", sum(sizes), flavor.ephemeral_gb, "GiB")
    if len(sizes) > 1:
        raise errors.Invalid("A server has one ephemeral disk, of the flavor's size.")


def _check_size(what: str, asked: int | None, offered: int, unit: str) -> None:
    if not offered:
        raise errors.Invalid(f"{what} cannot be had with this flavor.")
    if asked is not None and asked > offered:
        raise errors.Invalid(f"{what} of {asked} {unit} exceed the {offered} {unit} of the flavor.")
    if asked is not None and asked < offered:
        raise errors.Invalid(f"{what} smaller than the {offered} {unit} of the flavor cannot be had.")
