"""What the file of an image or of a disk is, read from its first bytes and by no tool.

These bytes are a tenant's. A tool that is not told the format guesses it from them, and then opens whatever
file of the host they name; so the format is known beforehand, and this module sees whether the bytes agree.
"""

import struct
from collections.abc import Callable
from pathlib import Path

from oslo_utils.imageutils import format_inspector

from nova import ova
from nova.structs.image import Image

# Cookie, then the disk's size at byte 48. Source: Microsoft, "Virtual Hard Disk Image Format Specification".
_VHD_COOKIE, _VHD_FOOTER, _VHD_SIZE = b"conectix", 512, struct.Struct(">48x Q")
# A kernel that boots from a disk finds one of these at its beginning; QEMU reads it as raw all the same.
_RAW = frozenset({"raw", "gpt", "iso"})
_CHUNK = 64 << 10
# Every header that is looked for lies within the first MiB; whatever is undecided after that is not there.
_MOST_CHUNKS = 32
_WHY = {
    "backing_file": "it stands on a backing file",
    "data_file": "its data are in another file",
    "unknown_features": "it uses features of its format that are not known",
}
_CANNOT_BE_READ = "it cannot be read"
# Magic, version, backing file's offset and length, cluster bits, size, encryption. Source: QEMU's docs/interop/qcow2.
_QCOW2 = struct.Struct(">4sIQIIQI")
_QCOW2_MAGIC = b"QFI\xfb"
_LONGEST_NAME = 1023
_LARGEST = (1 << 63) - 1


class UnsafeImage(Exception):
    """The bytes are not what they are said to be, or name another file. The message may be shown to users."""


# What the content of an image of this disk_format is called. An ISO image is raw to QEMU.
_CONTENT = {"raw": "raw", "iso": "raw", "ami": "raw", "qcow2": "qcow2", "vmdk": "raw", "vhd": "vhd"}
# Types of VMDK that are one file with a header; of the others, an image is the extent, which is raw.
_VMDK_WITH_HEADER = ("sparse", "streamOptimized")


def content_of(image: Image) -> str:
    """raw, qcow2, vhd, vmdk or ova: what the bytes of an image must be. Raises UnsafeImage for a format that is none of ours."""
    if image.disk_format == "vmdk" and image.container_format == "ova":
        return "ova"
    if image.disk_format == "vmdk" and image.properties.get("vmware_disktype") in _VMDK_WITH_HEADER:
        return "vmdk"
    try:
        return _CONTENT[image.disk_format]
    except KeyError:
        raise UnsafeImage(f"its format, {image.disk_format}, is not supported") from None


def check(path: Path, content: str) -> None:
    """See that a file is of the format raw, qcow2, vhd, vmdk or ova, and stands by itself. Raises UnsafeImage."""
    start, content = _disk_in(path, content)
    found = _inspectors(path, start)
    names = {str(inspector) for inspector in found}
    if content == "raw" and names <= _RAW:
        return
    if names != {content}:
        raise UnsafeImage(f"it is called {content} and is {' and '.join(sorted(names))}")
    _try(found[0].safety_check)
    if content == "qcow2" and _header(path)[6]:
        raise UnsafeImage("its data are encrypted")
    _virtual_size(path, content, start)


def virtual_size(path: Path, content: str) -> int:
    """Bytes of the disk that a guest sees in a file of the format raw, qcow2, vhd, vmdk or ova. Raises UnsafeImage."""
    start, content = _disk_in(path, content)
    return _virtual_size(path, content, start)


def _virtual_size(path: Path, content: str, start: int) -> int:
    if content == "vmdk":
        size = int(_inspectors(path, start)[0].virtual_size)
    elif content == "vhd":
        size = _vhd_size(path)
    else:
        size = path.stat().st_size if content == "raw" else _header(path)[5]
    if size > _LARGEST:
        raise UnsafeImage(_CANNOT_BE_READ)
    return size


def backing_file(path: Path) -> str | None:
    """The file under a qcow2 disk, as its header names it. What a guest wrote itself names what it likes:
    good for keeping a file, and for nothing else."""
    try:
        header = _header(path)
    except UnsafeImage:
        return None
    offset, length = header[2], header[3]
    if not offset or not 0 < length <= _LONGEST_NAME:
        return None
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length).decode(errors="replace")


def _header(path: Path) -> tuple[bytes, int, int, int, int, int, int]:
    with path.open("rb") as file:
        data = file.read(_QCOW2.size)
    if len(data) < _QCOW2.size or not data.startswith(_QCOW2_MAGIC):
        raise UnsafeImage(_CANNOT_BE_READ)
    return _QCOW2.unpack(data)


def _vhd_size(path: Path) -> int:
    """From the footer, which a file of every kind ends with."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _VHD_FOOTER))
        footer = file.read(_VHD_FOOTER)
    if len(footer) != _VHD_FOOTER or not footer.startswith(_VHD_COOKIE):
        raise UnsafeImage(_CANNOT_BE_READ)
    size: int = _VHD_SIZE.unpack_from(footer)[0]
    return size


def _disk_in(path: Path, content: str) -> tuple[int, str]:
    """Where in a file the disk begins, and its format."""
    if content != "ova":
        return 0, content
    try:
        return ova.find_disk(path)[0], "vmdk"
    except ova.NoDisk as error:
        raise UnsafeImage(str(error)) from error


def _inspectors(path: Path, start: int = 0) -> list[format_inspector.FileInspector]:
    with path.open("rb") as file:
        file.seek(start)
        wrapper = format_inspector.InspectWrapper(file)
        for _ in range(_MOST_CHUNKS):
            if not wrapper.read(_CHUNK) or wrapper.formats is not None:
                break
        wrapper.close()
    return wrapper.formats or []


def _try(safety_check: Callable[[], None]) -> None:
    try:
        safety_check()
    except format_inspector.SafetyCheckFailed as error:
        reasons = [_WHY.get(name, _CANNOT_BE_READ) for name in error.failures]
        raise UnsafeImage(reasons[0]) from error
    except format_inspector.ImageFormatError as error:
        raise UnsafeImage(_CANNOT_BE_READ) from error
