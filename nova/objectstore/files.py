"""Objects' bytes: files with names of our own, written once, on the disk before anybody refers to them.

A file is a segment of an object. It lies in incoming/ until it is whole, then in data/. What no index refers to after
a crash is removed a day later, by its age alone: nothing that is being written is that old.

Whoever reads a file has a shared lock on it. Who removes it sees by that whether it takes room until its readers end.
"""

import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_PIECE = 262144
_ORPHAN_S = 24 * 3600
# What is held longer for a file that is read was left by a crash.
_LONGEST_READ_S = 24 * 3600

Segment = tuple[str, int]


class Files:
    """The files of one project."""

    def __init__(self, root: Path) -> None:
        self._incoming = root / "incoming"
        self._data = root / "data"

    def make(self) -> None:
        for directory in (self._incoming, self._data):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has_any(self) -> bool:
        """Whether there is any object's file."""
        return self._data.exists() and any(self._data.glob("*/*"))

    def write(self, pieces: Iterable[bytes | bytearray], name: str | None = None) -> Segment:
        """Keep pieces as a new file: it is on the disk when its name is given. Nothing stays when pieces raises.

        name is new_name()'s; a new one without.
        """
        name = name or new_name()
        path = self._incoming / name
        size = 0
        try:
            with path.open("xb", buffering=0) as file:
                for piece in pieces:
                    size += len(piece)
                    view = memoryview(piece)
                    while view:
                        view = view[file.write(view) :]
                os.fsync(file.fileno())
            self._settle(path, name)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return name, size

    def copy(self, segments: Iterable[Segment]) -> list[Segment]:
        """New names for the same bytes: files are never changed, so nothing is copied. Raises FileNotFoundError."""
        copies = []
        try:
            for name, size in segments:
                copy = new_name()
                target = self._path(copy)
                target.parent.mkdir(mode=0o700, exist_ok=True)
                os.link(self._path(name), target)
                copies.append((copy, size))
                _sync(target.parent)
        except BaseException:
            self.remove(name for name, _ in copies)
            raise
        return copies

    def read(self, segments: Iterable[Segment], begin: int, end: int, free: Callable[[str], None]) -> Iterator[bytes]:
        """The bytes from begin to before end of the segments in their order. Raises FileNotFoundError.

        free is called with the name that remove_counted() gave to a file, by its last reader. Raises OSError after a
        day.
        """
        offset, until = 0, time.monotonic() + _LONGEST_READ_S
        for name, size in segments:
            first, last = max(begin - offset, 0), min(end - offset, size)
            offset += size
            if first >= last:
                continue
            with self._reading(name, free) as file:
                file.seek(first)
                while first < last:
                    if time.monotonic() > until:
                        raise OSError(f"segment {name} has been read for a day")
                    piece = file.read(min(_PIECE, last - first))
                    if not piece:
                        raise OSError(f"segment {name} is shorter than its index says")
                    first += len(piece)
                    yield piece

    def remove(self, names: Iterable[str]) -> None:
        """Fine for those that are gone already."""
        for name in names:
            self._path(name).unlink(missing_ok=True)

    def remove_counted(
        self, names: Iterable[str], hold: Callable[[str, int], None], free: Callable[[str], None]
    ) -> None:
        """Remove files; hold is called with a name and the bytes of each that somebody still reads, until free is."""
        for name in names:
            with suppress(FileNotFoundError), self._path(name).open("rb", buffering=0) as file:
                self._path(name).unlink(missing_ok=True)
                status = os.fstat(file.fileno())
                # With another link, the same bytes count as a copy's.
                if status.st_nlink or _is_alone(file):
                    continue
                held = _held(status)
                hold(held, status.st_size)
                if _is_alone(file):
                    # The last reader ended before.
                    free(held)

    def is_coming(self, name: str) -> bool:
        """Whether a file is being written, or was until less than a day ago."""
        path = self._incoming / name
        return path.exists() and _changed(path) >= day_ago()

    def old(self) -> list[str]:
        """Names of files that have not changed for a day, links included."""
        before = day_ago()
        return [path.name for path in self._data.glob("*/*") if _changed(path) < before]

    def remove_broken(self) -> int:
        """Remove what was begun a day ago and never became whole; how many files."""
        before = day_ago()
        broken = [path for path in self._incoming.glob("*") if _changed(path) < before]
        for path in broken:
            path.unlink(missing_ok=True)
        return len(broken)

    @contextmanager
    def _reading(self, name: str, free: Callable[[str], None]) -> Iterator[BinaryIO]:
        with self._path(name).open("rb", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            try:
                yield file
            finally:
                status = os.fstat(file.fileno())
                if not status.st_nlink and _is_alone(file):
                    free(_held(status))

    def _path(self, name: str) -> Path:
        return self._data / name[:2] / name

    def _settle(self, path: Path, name: str) -> None:
        target = self._path(name)
        with suppress(FileExistsError):
            target.parent.mkdir(mode=0o700)
            _sync(self._data)
        path.rename(target)
        _sync(target.parent)


def new_name() -> str:
    """A name that no other file has."""
    return uuid.uuid4().hex


def day_ago() -> float:
    """The time before which what is unfinished was left by a crash."""
    return time.time() - _ORPHAN_S


def _is_alone(file: BinaryIO) -> bool:
    """Whether nobody else has a file open; of several who end at one time, the last is told so."""
    try:
        # Where it is refused, the shared lock is gone, too.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _held(status: os.stat_result) -> str:
    """What room is held by for a file without a name: nobody else has its number meanwhile."""
    return f"inode-{status.st_ino}"


def _changed(path: Path) -> float:
    try:
        status = path.stat()
    except FileNotFoundError:
        return time.time()
    # A link to an old file is young.
    return max(status.st_mtime, status.st_ctime)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
