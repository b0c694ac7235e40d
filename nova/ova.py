"""The disk in an OVA, which is a tar archive. Source: DMTF DSP0243, "Open Virtualization Format", section 6.4; POSIX, "pax", ustar.

The archive is a tenant's: of its members, only the one that is a disk is looked at, by its place in the file. No name
in it is used, nothing is unpacked by name, and however it lies, no more than a bounded number of headers is read.
"""

import struct
from pathlib import Path
from typing import BinaryIO

_BLOCK = 512
_MOST_MEMBERS = 64
_DISK_MAGIC = b"KDMV"
_FILE_TYPES = (b"0", b"\0")
# Size, checksum, type and magic of a member's header.
_HEADER = struct.Struct(">124x 12s 12x 8s c 100x 5s 250x")


class NoDisk(Exception):
    """The archive is none, or has not exactly one disk. The message may be shown to users."""


def find_disk(path: Path) -> tuple[int, int]:
    """Where the only disk begins in the file, and its length in bytes. Raises NoDisk."""
    end, position, disks = path.stat().st_size, 0, []
    with path.open("rb") as file:
        for _ in range(_MOST_MEMBERS):
            member = _read_header(file, position)
            if member is None:
                break
            size, is_file = member
            position += _BLOCK
            if size > end - position:
                raise NoDisk("it is an OVA that is cut off")
            file.seek(position)
            if is_file and file.read(len(_DISK_MAGIC)) == _DISK_MAGIC:
                disks.append((position, size))
            position += size + -size % _BLOCK
        else:
            raise NoDisk(f"it is an OVA with more than {_MOST_MEMBERS} files")
    if len(disks) != 1:
        raise NoDisk(f"it is an OVA with {len(disks) or 'no'} disks, and may have one")
    return disks[0]


def _read_header(file: BinaryIO, position: int) -> tuple[int, bool] | None:
    """Size of the member at a place, and whether it is a plain file; None at the end."""
    file.seek(position)
    block = file.read(_BLOCK)
    if not block.strip(b"\0"):
        return None
    if len(block) < _BLOCK:
        raise NoDisk("it is an OVA that is cut off")
    size, checksum, kind, magic = _HEADER.unpack(block)
    # Its own field counts as blanks.
    if magic != b"ustar" or _octal(checksum) != sum(block[:148]) + sum(block[156:]) + 8 * 32:
        raise NoDisk("it is called an OVA and is none")
    return _octal(size), kind in _FILE_TYPES


def _octal(field: bytes) -> int:
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        # Sizes of 8 GiB and more may be binary.
        if field[:1] == b"\x80":
            return int.from_bytes(field[1:], "big")
        raise NoDisk("it is called an OVA and is none") from None
