"""Copies a guest's root disk and gives the copy to the Image service."""

import contextlib
import hashlib
import tempfile
from pathlib import Path
from typing import BinaryIO

from nova import concurrency, errors
from nova.compute.host import Host
from nova.structs.image import Image
from nova.structs.steps import SnapshotArguments, UploadResult
from nova.virt.driver import Snapshots, able

_ALGORITHM = "sha512"


def snapshot(host: Host, arguments: SnapshotArguments) -> None:
    """Copy the disk to a file of this host, over an earlier copy. Raises GuestFailed, DiskFull."""
    path = _copy(host, arguments)
    path.parent.mkdir(parents=True, exist_ok=True)
    driver = able(host.driver, Snapshots, "be copied to an image")
    properties = driver.snapshot(arguments.instance.uuid, path, arguments.disk_format)
    if properties:
        host.image_service.set_properties(arguments.image_id, dict(properties))


def upload_snapshot(host: Host, arguments: SnapshotArguments) -> UploadResult:
    """Give the copy to the Image service, and remove it when that has all of it.

    Raises ImageNotFound when the user deleted the image, GuestFailed where it has other data, and is deleted for that.
    """
    path = _copy(host, arguments)
    image, digest = host.image_service.get(arguments.image_id), None
    if image.status != "active":
        if not path.exists():
            raise errors.GuestFailed(reason="The copy of the disk is not on this host any more.")
        with path.open("rb") as file:
            sent = _Sent(file)
            image = host.image_service.upload(arguments.image_id, sent)
        # The image may have become active before anything was sent.
        digest = sent.digest.hexdigest() if sent.has_begun else None
    if not path.exists():
        # An order that comes again: what it removed had been compared.
        return UploadResult()
    size = path.stat().st_size
    if not _is_copy(image, path, size, digest):
        with contextlib.suppress(errors.DomainError):
            host.image_service.delete(image.id)
        detail = (
            f"image {image.id}: {image.size} bytes, {image.hash_algorithm} {image.hash_value}; the copy: {size} bytes"
        )
        raise errors.GuestFailed(reason="The Image service has other data than the copy of the disk.", detail=detail)
    path.unlink()
    return UploadResult(size=size)


class _Sent:
    """A file that is read once, with the digest of what was read, of the kind that the Image service has by default."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.new(_ALGORITHM)
        self.has_begun = False

    def read(self, size: int, /) -> bytes:
        self.has_begun = True
        chunk = self._file.read(size)
        self.digest.update(chunk)
        return chunk


def _is_copy(image: Image, path: Path, size: int, digest: str | None) -> bool:
    """By what the Image service says of its data. digest: the copy's, where it is known already."""
    if image.size and image.size != size:
        return False
    if not image.hash_value or image.hash_algorithm not in hashlib.algorithms_guaranteed:
        return True
    if digest is None or image.hash_algorithm != _ALGORITHM:
        digest = concurrency.run_blocking(_digest, path, str(image.hash_algorithm))
    return digest == image.hash_value


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def forget_snapshot(host: Host, arguments: SnapshotArguments) -> None:
    """Remove the local copy of a snapshot, and what a driver that was killed has left beside it; no error when there is none."""
    path = _copy(host, arguments)
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink(missing_ok=True)


def _copy(host: Host, arguments: SnapshotArguments) -> Path:
    # A driver that reads no image files keeps no directory for disks either.
    directory = host.conf.libvirt.snapshots_directory if host.driver.needs_images else None
    return Path(directory or host.conf.tempdir or tempfile.gettempdir()) / f"nova-snapshot-{arguments.image_id}"
