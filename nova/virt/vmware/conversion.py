"""Converts images and copies of disks on this host. Formats are known, never guessed; tools get little memory and no rights."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from nova import errors, image_format, ova
from nova.virt import programs

_MEMORY_GB = 2
# One file whose holes take no room, and that a vCenter makes a disk of.
_SPARSE = ("-O", "vmdk", "-o", "subformat=monolithicSparse")
_OPTIONS = {"qcow2": ("-O", "qcow2"), "sparse": _SPARSE}


def check(path: Path, content: str) -> int:
    """See that a file is of a format; the size of its disk in bytes. Raises errors.GuestFailed."""
    try:
        image_format.check(path, content)
        return image_format.virtual_size(path, content)
    except image_format.UnsafeImage as error:
        raise errors.GuestFailed(reason="A disk is not of the format that it should be", detail=str(error)) from error


def convert(host: str, source: Path, content: str, target: Path, wanted: str) -> None:
    """Write a disk of a format that was checked to target as raw, qcow2 or sparse. A failure leaves no target.

    Raises errors.DiskFull, errors.GuestFailed.
    """
    raw = target if wanted == "raw" else target.with_name(f"{target.name}.raw")
    try:
        with raw.open("wb") as file:
            file.truncate(check(source, content))
        programs.convert_image(host, source, content, raw, _MEMORY_GB)
        if wanted != "raw":
            options = _OPTIONS[wanted]
            programs.run_program(
                host, "qemu-img", "convert", "-q", "-f", "raw", *options, raw, target, timeout_s=programs.COPY_S
            )
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        if raw != target:
            raw.unlink(missing_ok=True)


@contextlib.contextmanager
def sparse_file(host: str, image: Path, content: str) -> Iterator[Path]:
    """The disk of a qcow2 file, a VMDK or an OVA that was checked, as a sparse VMDK that is gone afterwards.

    It lies beside the image, so that what a killed attempt has left is overwritten by the next, or goes with old images.
    """
    disk, target = image.with_name(f"{image.name}.disk"), image.with_name(f"{image.name}.sparse")
    try:
        if content == "ova":
            _extract(image, disk)
            convert(host, disk, "vmdk", target, "sparse")
        else:
            convert(host, image, content, target, "sparse")
        yield target
    finally:
        disk.unlink(missing_ok=True)
        target.unlink(missing_ok=True)


def _extract(image: Path, target: Path) -> None:
    """Only the disk's bytes, to a name of ours: no name in the archive is used."""
    offset, size = ova.find_disk(image)
    with image.open("rb") as source, target.open("wb") as file:
        source.seek(offset)
        left = size
        while left and (chunk := source.read(min(left, 1 << 20))):
            file.write(chunk)
            left -= len(chunk)
