"""Guests' directories below one instances_path, and the mark in each: a small file beside the disks."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from nova import durable, errors
from nova.structs.disks import Mark
from nova.virt.holdings import parse_mark
from nova.virt.libvirt.disk_calls import bounded_in_time
from nova.virt.libvirt.storage import Storage

# Removing this file says: these disks are the ones of the server's record.
MARK = "placement.json"
_TOKEN = "shared-"
_MOVE = "moving-"


class DirectoryShelf:
    """The shelf of a host. Changes are on disk when a method returns."""

    def __init__(
        self, instances_path: str, storage: Storage, let_go: Callable[[str], None] = lambda name: None
    ) -> None:
        """let_go: disconnects what the host has connected for the guest of a directory, which is about to go with the
        record of that, or to have a name by which nobody looks for one."""
        self._root = Path(instances_path)
        self._storage = storage
        self._let_go = let_go

    @bounded_in_time
    def names(self) -> list[str]:
        return sorted(path.name for path in self._root.iterdir() if path.is_dir()) if self._root.exists() else []

    @bounded_in_time
    def exists(self, name: str) -> bool:
        return (self._root / name).exists()

    @bounded_in_time
    def make(self, name: str, mark: Mark | None) -> None:
        """Raises errors.DiskFull, errors.GuestFailed."""
        part = self._root / f"{name}.part"
        with self._storage.translated():
            shutil.rmtree(part, ignore_errors=True)
            # The way to a disk is open to QEMU's user, the names of what is there are not.
            part.mkdir(parents=True, mode=0o711)
            if mark is not None:
                durable.write(part / MARK, msgspec.json.encode(mark))
            durable.rename(part, self._root / name)

    @bounded_in_time
    def read_mark(self, name: str) -> Mark | None:
        """Raises errors.GuestFailed for a mark that cannot be read: what it says is not known."""
        try:
            return parse_mark((self._root / name / MARK).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise errors.GuestFailed(reason="The mark of the server's disks cannot be read") from error

    @bounded_in_time
    def write_mark(self, name: str, mark: Mark | None) -> None:
        path = self._root / name / MARK
        with self._storage.translated():
            if mark is None:
                path.unlink(missing_ok=True)
            else:
                durable.write(path, msgspec.json.encode(mark))

    def rename(self, name: str, new: str) -> None:
        self._let_go(name)
        self._rename(name, new)

    @bounded_in_time
    def _rename(self, name: str, new: str) -> None:
        with self._storage.translated():
            durable.rename(self._root / name, self._root / new)

    def remove(self, name: str) -> None:
        self._let_go(name)
        self._storage.remove_directory(self._root / name)

    # A file that another host is to see, if it sees this very directory.

    @bounded_in_time
    def leave_token(self, name: str, token: str) -> None:
        with self._storage.translated():
            (self._root / name / f"{_TOKEN}{token}").touch()

    @bounded_in_time
    def has_token(self, name: str, token: str) -> bool:
        return (self._root / name / f"{_TOKEN}{token}").exists()

    @bounded_in_time
    def note_move(self, name: str, generation: int) -> bool:
        """Leave a note that the move which makes this generation has begun; False: it is there already."""
        note = self._root / name / f"{_MOVE}{generation}"
        if note.exists():
            return False
        with self._storage.translated():
            note.touch()
        return True

    @bounded_in_time
    def forget_moves(self, name: str) -> None:
        """Remove what note_move left."""
        for path in (self._root / name).glob(f"{_MOVE}*"):
            path.unlink(missing_ok=True)

    @bounded_in_time
    def take_tokens(self, name: str) -> None:
        """Remove what leave_token left."""
        for path in (self._root / name).glob(f"{_TOKEN}*"):
            path.unlink(missing_ok=True)
