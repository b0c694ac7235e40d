"""Files that are whole or not there, whatever loses its power: content first, then the name, then the directory."""

import os
from pathlib import Path


def settle(part: Path, path: Path) -> None:
    """Give a file that is complete its name; both are on the disk when this returns. Raises OSError.

    A file that is renamed alone may be empty, or torn, after a loss of power: its name is kept before its content.
    """
    flush(part)
    part.rename(path)
    flush(path.parent)


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Put content in the place of what the file held, all at once. mode: of a file that is new. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    part.touch(mode=mode)
    part.write_bytes(content)
    settle(part, path)


def rename(path: Path, new: Path) -> None:
    """Give a file or directory another name in its directory; on the disk when this returns. Raises OSError."""
    path.rename(new)
    flush(new.parent)


def flush(path: Path) -> None:
    """Let a file's content, or a directory's names, be on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
