"""Which format each file of a guest's directory has, recorded when the file is made.

It cannot be read off the file later: a guest writes whatever header it likes into a raw disk. Nor off the host's
configuration, which may have changed since.
"""

import json
from pathlib import Path

import msgspec

from nova import durable, errors
from nova import image_format as formats
from nova.structs.guest import Disk
from nova.virt.libvirt.disk_calls import bounded_in_time, quick

_FILE = "formats.json"


def record(path: Path, image_format: str) -> None:
    """Say what a file that is about to get this path is: raw or qcow2."""
    known = recorded_in(path.parent)
    if known.get(path.name) != image_format:
        quick(durable.write, path.with_name(_FILE), json.dumps(known | {path.name: image_format}).encode())


def recorded(path: Path, default: str) -> str:
    """What a file of a guest's directory is; default for one that an older release made. Raises errors.GuestFailed."""
    image_format = recorded_in(path.parent).get(path.name, default)
    if image_format not in ("raw", "qcow2"):
        raise errors.GuestFailed(reason="The format of the guest's disks is not known")
    return image_format


@bounded_in_time
def recorded_in(directory: Path) -> dict[str, str]:
    """What is known of the files of a guest's directory, by their names.

    Raises errors.GuestFailed for a record that cannot be read: a format that is guessed is one that a guest may choose.
    """
    try:
        return msgspec.json.decode((directory / _FILE).read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        reason = "The record of the formats of the guest's disks cannot be read"
        raise errors.GuestFailed(reason=reason, detail=f"{directory / _FILE}: {error}") from error


@bounded_in_time
def stands_on_its_image(path: Path, disk: Disk) -> bool:
    """Whether a disk's file holds only what differs from the cached image that disk names.

    One that was made of another image, as an unshelved server's, holds what differs from that one, and one that stands by
    itself all there is: neither is whole on the disk's own image. A cached image has its image's id as its name on every host.
    Raises errors.GuestFailed.
    """
    base = _base(path)
    return base is not None and disk.image_path is not None and Path(base).name == Path(disk.image_path).name


@bounded_in_time
def stands_by_itself(path: Path) -> bool:
    """Whether a qcow2 disk needs no other file. Raises errors.GuestFailed."""
    return _base(path) is None


def _base(path: Path) -> str | None:
    try:
        return formats.backing_file(path)
    except OSError as error:
        raise errors.GuestFailed(reason="A disk of the guest cannot be read", detail=str(error)) from error
