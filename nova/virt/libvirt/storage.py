"""Makes, grows and removes the files of guests' disks.

A file under its own name is complete: it is made under another name and renamed. So a disk that is
there is kept, and making a guest's disks twice equals making them once.
"""

import contextlib
import errno
import functools
import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nova import concurrency, errors
from nova.structs.guest import Disk, GuestSpec
from nova.virt.libvirt.files import CONFIG_DRIVE, DiskOptions, file_format, guest_directory, local_files

LOG = logging.getLogger(__name__)

MIB = 1 << 20
# Marks disks that a migration is filling: they hold no data yet that could be lost.
_INCOMING = "incoming"
_NO_ROOM = ("No space left on device", "Disk quota exceeded")
_MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-L"],
    "ext3": ["mkfs.ext3", "-q", "-F", "-L"],
    "ext2": ["mkfs.ext2", "-q", "-F", "-L"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-L"],
    "vfat": ["mkfs.vfat", "-n"],
    "ntfs": ["mkfs.ntfs", "-q", "-F", "-f", "-L"],
}


class Storage:
    """The guests' files below one instances_path."""

    def __init__(
        self,
        instances_path: str,
        options: DiskOptions,
        host: str,
        iso_program: str = "genisoimage",
        ephemeral_format: str = "ext4",
    ) -> None:
        self._root = instances_path
        self._options = options
        self._host = host
        self._iso_program = iso_program
        self._ephemeral_format = ephemeral_format

    def create(self, spec: GuestSpec, undo: contextlib.ExitStack) -> None:
        """Make what is missing of the guest's disks in its directory, which is there (nova.virt.holdings); undo
        removes what this call made, and only that.

        Raises errors.ImageInvalid, errors.DiskFull, errors.GuestFailed.
        """
        directory = guest_directory(self._root, spec.uuid)
        with self.translated():
            for disk, name in local_files(spec):
                self._make_once(directory / name, undo, functools.partial(self._fill, disk, spec))
            if spec.config_drive is not None:
                self.write_config_drive(spec.config_drive, directory / CONFIG_DRIVE, undo)

    def has_disks(self, spec: GuestSpec) -> bool:
        """Whether every disk that holds the user's data is there."""
        return not self.missing(spec)

    def missing(self, spec: GuestSpec) -> list[str]:
        """The files that are not there of the disks that hold the user's data."""
        directory = guest_directory(self._root, spec.uuid)
        paths = [directory / name for disk, name in local_files(spec) if disk.kind != "swap"]
        return [str(path) for path in paths if not path.exists()]

    def check(self, spec: GuestSpec) -> None:
        """Raises errors.DiskMissing."""
        if missing := self.missing(spec):
            raise errors.DiskMissing(missing=missing)

    def create_overlay(self, disk: Disk, path: Path, undo: contextlib.ExitStack) -> None:
        """Create a disk over a cached image, such as the one a guest is rescued from."""
        with self.translated():
            self._make_once(path, undo, lambda part: self._overlay(disk, "", part))

    def resize(self, spec: GuestSpec) -> None:
        """Grow each disk to its size in spec; a larger one stays. Creates disks that are missing."""
        directory = guest_directory(self._root, spec.uuid)
        with contextlib.ExitStack() as undo:
            self.create(spec, undo)
            for disk, name in local_files(spec):
                image_format, path = file_format(disk, self._options), directory / name
                if disk.size_mb and read_info(path, image_format)["virtual-size"] < disk.size_mb * MIB:
                    self._run("qemu-img", "resize", "-q", "-f", image_format, path, f"{disk.size_mb}M")
            undo.pop_all()

    def write_config_drive(self, files: dict[str, bytes], path: Path, undo: contextlib.ExitStack) -> None:
        """Make the config drive in the configured format; one that is there is kept."""
        with self.translated():
            self._make_once(path, undo, lambda part: self._pack(files, part))

    def prepare_incoming(self, spec: GuestSpec, undo: contextlib.ExitStack) -> bool:
        """Create empty disks for a migration to this host. True: an older release asks, and the disks are here."""
        mark = guest_directory(self._root, spec.uuid) / _INCOMING
        if spec.disks_id is None and self.has_disks(spec) and not mark.exists():
            return True
        with self.translated():
            mark.touch()
        self.create(spec, undo)
        return False

    def is_incoming(self, uuid: str) -> bool:
        """Whether prepare_incoming made the disks that are there."""
        return (guest_directory(self._root, uuid) / _INCOMING).exists()

    def adopt(self, path: Path, disk: Disk, undo: contextlib.ExitStack, copy: Callable[[Path], None]) -> None:
        """Make a disk by copy(), from a host whose cached image may lie elsewhere than this one's."""

        def fill(part: Path) -> None:
            copy(part)
            if disk.image_path and file_format(disk, self._options) == "qcow2":
                base = ["-F", disk.image_format or "raw", "-b", disk.image_path]
                # Only the name of what the disk stands on changes; the image is the same.
                self._run("qemu-img", "rebase", "-q", "-u", "-f", "qcow2", *base, part)

        with self.translated():
            self._make_once(path, undo, fill)

    def copy_file(self, source: Path, target: Path) -> None:
        """Copy a file of this host, holes as holes."""
        self._run("cp", "--sparse=always", "--reflink=auto", source, target)

    def remove_directory(self, directory: Path) -> None:
        """Remove a directory and all in it; no error when there is none."""
        # Renamed first, so that a partly removed directory is never taken for a guest's.
        grave = directory.with_name(f"{directory.name}.deleted")
        with contextlib.suppress(FileNotFoundError):
            if grave.exists():
                concurrency.run_blocking(shutil.rmtree, grave)
            directory.rename(grave)
        with contextlib.suppress(FileNotFoundError):
            concurrency.run_blocking(shutil.rmtree, grave)

    def convert(self, source: Path, source_format: str, target: Path, target_format: str) -> None:
        """Write a self-contained copy of a disk. Only for disks that no guest writes to."""
        with self.translated():
            self._run("qemu-img", "convert", "-q", "-f", source_format, "-O", target_format, source, target)

    def backing_files(self) -> set[str]:
        """The cached images that guests' disks stand on, for the cache to keep."""
        paths = set()
        for path in Path(self._root).glob("*/disk*"):
            with contextlib.suppress(errors.StepFailed, OSError):
                if path.name != CONFIG_DRIVE and _is_qcow2(path):
                    paths.add(read_info(path, "qcow2").get("full-backing-filename", ""))
        return paths - {""}

    def _make_once(self, path: Path, undo: contextlib.ExitStack, fill: Callable[[Path], None]) -> None:
        if path.exists():
            return
        part = path.with_name(f"{path.name}.part")
        part.unlink(missing_ok=True)
        with contextlib.ExitStack() as half_made:
            half_made.callback(part.unlink, missing_ok=True)
            fill(part)
            part.rename(path)
            half_made.pop_all()
        undo.callback(path.unlink, missing_ok=True)

    def _fill(self, disk: Disk, spec: GuestSpec, path: Path) -> None:
        image_id = spec.image.id if spec.image else ""
        if disk.image_path and file_format(disk, self._options) == "qcow2":
            self._overlay(disk, image_id, path)
        elif disk.image_path:
            self._copy(disk, image_id, path)
        elif disk.kind == "root" and self._options.is_overlay:
            self._run("qemu-img", "create", "-q", "-f", "qcow2", path, f"{disk.size_mb}M")
        else:
            self._empty(disk, path)

    def _overlay(self, disk: Disk, image_id: str, path: Path) -> None:
        size = self._size_over(disk, image_id)
        backing = ["-F", disk.image_format or "raw", "-b", disk.image_path or ""]
        self._run("qemu-img", "create", "-q", "-f", "qcow2", *backing, path, str(size))

    def _copy(self, disk: Disk, image_id: str, path: Path) -> None:
        size = self._size_over(disk, image_id)
        self._run(
            "qemu-img", "convert", "-q", "-f", disk.image_format or "raw", "-O", "raw", disk.image_path or "", path
        )
        self._run("qemu-img", "resize", "-q", "-f", "raw", path, str(size))

    def _size_over(self, disk: Disk, image_id: str) -> int:
        """The disk's size in bytes. Raises errors.ImageInvalid for an image that does not fit into it."""
        try:
            needed = read_info(Path(disk.image_path or ""), disk.image_format or "raw")["virtual-size"]
        except errors.GuestFailed as error:
            raise errors.ImageInvalid(image_id=image_id, reason=error.message) from error
        if disk.size_mb and disk.size_mb * MIB < needed:
            raise errors.ImageInvalid(
                image_id=image_id, reason=f"it needs a disk of {needed} bytes and the disk has {disk.size_mb * MIB}"
            )
        return disk.size_mb * MIB or needed

    def _empty(self, disk: Disk, path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(disk.size_mb * MIB)
        if disk.kind == "swap":
            self._run("mkswap", "-q", "-L", "swap", path)
        elif disk.kind == "ephemeral":
            name = disk.guest_format or self._ephemeral_format
            if name not in _MKFS:
                raise errors.GuestFailed(reason=f"File system {name} cannot be made")
            self._run(*_MKFS[name], "ephemeral0", path)

    def _pack(self, files: dict[str, bytes], path: Path) -> None:
        with tempfile.TemporaryDirectory(dir=path.parent) as tree:
            for name, content in files.items():
                file = Path(tree) / name.lstrip("/")
                if ".." in file.parts:
                    raise errors.GuestFailed(reason=f"{name} is not a path of a config drive")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            if self._options.config_drive_format == "vfat":
                self._pack_vfat(Path(tree), path)
            else:
                dialect = ["-ldots", "-allow-lowercase", "-allow-multidot", "-l", "-quiet", "-J", "-r"]
                self._run(self._iso_program, *dialect, "-V", "config-2", "-o", path, tree)

    def _pack_vfat(self, tree: Path, path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(64 * MIB)
        self._run("mkfs.vfat", "-n", "config-2", path)
        self._run("mcopy", "-s", "-Q", "-i", path, *tree.iterdir(), "::/")

    def _run(self, *command: str | Path) -> None:
        run_program(self._host, *command)

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise errors.DiskFull(host=self._host) from error
            raise errors.GuestFailed(reason=f"The guest's disks cannot be made: {error}") from error


def run_program(host: str, *command: str | Path) -> None:
    """Run a program. Raises errors.DiskFull, errors.GuestFailed with the end of its error output."""
    words = [str(word) for word in command]
    try:
        done = concurrency.run_blocking(subprocess.run, words, capture_output=True, text=True, errors="replace")
    except FileNotFoundError as error:
        raise errors.GuestFailed(reason=f"{words[0]} is not installed on this host") from error
    if done.returncode:
        if any(words in done.stderr for words in _NO_ROOM):
            raise errors.DiskFull(host=host)
        raise errors.GuestFailed(reason=f"{words[0]} failed: {done.stderr.strip()[-500:]}")


def read_info(path: Path, image_format: str) -> dict[str, Any]:
    """What qemu-img knows of a disk, also while a guest has it open."""
    words: Sequence[str] = ["qemu-img", "info", "--force-share", "--output=json", "-f", image_format, str(path)]
    done = concurrency.run_blocking(subprocess.run, words, capture_output=True, text=True)
    if done.returncode:
        raise errors.GuestFailed(reason=f"{path.name} cannot be read: {done.stderr.strip()[-300:]}")
    info: dict[str, Any] = json.loads(done.stdout)
    return info


def _is_qcow2(path: Path) -> bool:
    with path.open("rb") as file:
        return os.read(file.fileno(), 4) == b"QFI\xfb"
