"""Makes, grows and removes the files of guests' disks.

A file under its own name is complete: it is made under another name and renamed. So a disk that is
there is kept, and making a guest's disks twice equals making them once.
"""

import contextlib
import errno
import functools
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from nova import durable, errors, image_format
from nova.structs.guest import Disk, GuestSpec
from nova.virt import programs
from nova.virt.libvirt import disk_calls, disk_formats
from nova.virt.libvirt.files import CONFIG_DRIVE, DiskOptions, file_format, guest_directory, local_files

LOG = logging.getLogger(__name__)

MIB = 1 << 20
# Marks disks that a migration is filling: they hold no data yet that could be lost.
_INCOMING = "incoming"
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
        image_memory_limit_gb: int = 2,
    ) -> None:
        self._root = instances_path
        self._options = options
        self._host = host
        self._iso_program = iso_program
        self._ephemeral_format = ephemeral_format
        self._image_memory_limit_gb = image_memory_limit_gb

    def create(self, spec: GuestSpec, undo: contextlib.ExitStack) -> None:
        """Make what is missing of the guest's disks in its directory, which is there (nova.virt.holdings); undo
        removes what this call made, and only that.

        Raises errors.ImageInvalid, errors.ImageNotFound, errors.DiskFull, errors.GuestFailed.
        """
        directory = guest_directory(self._root, spec.uuid)
        with self.translated():
            for disk, name in local_files(spec):
                wanted = file_format(disk, self._options)
                self._make_once(directory / name, undo, functools.partial(self._fill, disk, spec), wanted)
            if spec.config_drive is not None:
                self.write_config_drive(spec.config_drive, directory / CONFIG_DRIVE, undo)

    def has_disks(self, spec: GuestSpec) -> bool:
        """Whether every disk that holds the user's data is there."""
        return not self.missing(spec)

    @disk_calls.bounded_in_time
    def missing(self, spec: GuestSpec, name: str | None = None) -> list[str]:
        """The files that are not there of the disks that hold the user's data. name: of another directory than the guest's."""
        directory = guest_directory(self._root, name or spec.uuid)
        paths = [directory / name for disk, name in local_files(spec) if disk.kind != "swap"]
        return [str(path) for path in paths if not path.exists()]

    def check(self, spec: GuestSpec, name: str | None = None) -> None:
        """Raises errors.DiskMissing."""
        if missing := self.missing(spec, name):
            raise errors.DiskMissing(missing=missing)

    def create_overlay(self, disk: Disk, path: Path, undo: contextlib.ExitStack) -> None:
        """Create a disk over a cached image, such as the one a guest is rescued from."""
        with self.translated():
            self._make_once(path, undo, lambda part: self._overlay(disk, "", part), "qcow2")

    def resize(self, spec: GuestSpec) -> None:
        """Grow each disk to its size in spec; a larger one stays. Creates disks that are missing."""
        directory = guest_directory(self._root, spec.uuid)
        with contextlib.ExitStack() as undo:
            self.create(spec, undo)
            for disk, name in local_files(spec):
                path = directory / name
                own_format = disk_formats.recorded(path, file_format(disk, self._options))
                if disk.size_mb and self._virtual_size(path, own_format) < disk.size_mb * MIB:
                    self._run("qemu-img", "resize", "-q", "-f", own_format, path, f"{disk.size_mb}M")
            undo.pop_all()

    def write_config_drive(self, files: dict[str, bytes], path: Path, undo: contextlib.ExitStack) -> None:
        """Make the config drive in the configured format; one that is there is kept."""
        with self.translated():
            self._make_once(path, undo, lambda part: self._pack(files, part), "raw")

    def prepare_incoming(self, spec: GuestSpec, undo: contextlib.ExitStack) -> bool:
        """Create empty disks for a migration to this host. True: an older release asks, and the disks are here."""
        mark = guest_directory(self._root, spec.uuid) / _INCOMING
        if spec.disks_id is None and self.has_disks(spec) and not disk_calls.quick(mark.exists):
            return True
        with self.translated():
            disk_calls.quick(mark.touch)
        self.create(spec, undo)
        return False

    @disk_calls.bounded_in_time
    def is_incoming(self, uuid: str) -> bool:
        """Whether prepare_incoming made the disks that are there."""
        return (guest_directory(self._root, uuid) / _INCOMING).exists()

    def adopt(
        self, path: Path, disk: Disk, own_format: str, undo: contextlib.ExitStack, copy: Callable[[Path], None]
    ) -> None:
        """Make a disk of a format by copy(), from a host whose cached image may lie elsewhere than this one's."""

        def fill(part: Path) -> None:
            copy(part)
            if disk.missing_image and own_format == "qcow2" and not disk_formats.stands_by_itself(part):
                raise errors.ImageNotFound(image_id=disk.missing_image)
            if disk.image_path and own_format == "qcow2" and not disk_formats.stands_by_itself(part):
                if not disk_formats.stands_on_its_image(part, disk):
                    # An older release's source does not make it whole: on this image it would be another disk.
                    raise errors.HostRefused(
                        host=self._host, reason="the disk stands on another image than its server's"
                    )
                base = ["-F", disk.image_format or "raw", "-b", disk.image_path]
                # Only the name of what the disk stands on changes; the image is the same.
                self._run("qemu-img", "rebase", "-q", "-u", "-f", "qcow2", *base, part)

        with self.translated():
            self._make_once(path, undo, fill, own_format)

    def make_whole(self, spec: GuestSpec, directory: Path) -> None:
        """Let a root disk that stands on another image than its server's stand by itself: only its own file travels.

        Only for disks that no guest writes to.
        """
        for disk, name in local_files(spec):
            path = directory / name
            own_format = disk_formats.recorded(path, file_format(disk, self._options))
            if disk.kind != "root" or own_format != "qcow2" or disk_formats.stands_by_itself(path):
                continue
            if not disk_formats.stands_on_its_image(path, disk):
                part = path.with_name(f"{name}.part")
                self.convert(path, "qcow2", part, "qcow2")
                disk_calls.at_length(durable.settle, part, path)

    def copy_file(self, source: Path, target: Path) -> None:
        """Copy a file of this host, holes as holes."""
        self._copy_within("cp", "--sparse=always", "--reflink=auto", source, target)

    def remove_directory(self, directory: Path) -> None:
        """Remove a directory and all in it; no error when there is none."""
        # Renamed first, so that a partly removed directory is never taken for a guest's.
        grave = directory.with_name(f"{directory.name}.deleted")
        with contextlib.suppress(FileNotFoundError):
            if disk_calls.quick(grave.exists):
                disk_calls.at_length(shutil.rmtree, grave)
            disk_calls.quick(directory.rename, grave)
        with contextlib.suppress(FileNotFoundError):
            disk_calls.at_length(shutil.rmtree, grave)

    def convert(self, source: Path, source_format: str, target: Path, target_format: str) -> None:
        """Write a self-contained copy of a disk. Only for disks that no guest writes to."""
        with self.translated():
            words = ("-f", source_format, "-O", target_format, source, target)
            self._copy_within("qemu-img", "convert", "-q", *words)

    @disk_calls.bounded_in_time
    def backing_files(self) -> set[str]:
        """The cached images that guests' disks stand on, for the cache to keep."""
        paths = set()
        for path in Path(self._root).glob("*/disk*"):
            # Of a disk that cannot be read nobody knows what it stands on: no image goes then.
            with contextlib.suppress(FileNotFoundError):
                paths.add(image_format.backing_file(path))
        return {path for path in paths if path}

    def _make_once(self, path: Path, undo: contextlib.ExitStack, fill: Callable[[Path], None], own_format: str) -> None:
        if disk_calls.quick(path.exists):
            return
        part = path.with_name(f"{path.name}.part")
        disk_calls.quick(part.unlink, missing_ok=True)
        with contextlib.ExitStack() as half_made:
            half_made.callback(disk_calls.quick, part.unlink, missing_ok=True)
            fill(part)
            disk_formats.record(path, own_format)
            disk_calls.at_length(durable.settle, part, path)
            half_made.pop_all()
        undo.callback(disk_calls.quick, path.unlink, missing_ok=True)

    def _fill(self, disk: Disk, spec: GuestSpec, path: Path) -> None:
        image_id = spec.image.id if spec.image else ""
        if disk.missing_image:
            raise errors.ImageNotFound(image_id=disk.missing_image)
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
        # -u: the image under it is not opened to see what it is; its format and size are known.
        backing = ["-u", "-F", disk.image_format or "raw", "-b", disk.image_path or ""]
        self._run("qemu-img", "create", "-q", "-f", "qcow2", *backing, path, str(size))

    def _copy(self, disk: Disk, image_id: str, path: Path) -> None:
        size = self._size_over(disk, image_id)
        image = Path(disk.image_path or "")
        if disk.image_format == "qcow2":
            _make_empty(path, size)
            programs.convert_image(self._host, image, "qcow2", path, self._image_memory_limit_gb)
        else:
            self.copy_file(image, path)
            disk_calls.quick(os.truncate, path, size)

    def _size_over(self, disk: Disk, image_id: str) -> int:
        """The disk's size in bytes. Raises errors.ImageInvalid for an image that does not fit into it."""
        try:
            needed = disk_calls.quick(
                image_format.virtual_size, Path(disk.image_path or ""), disk.image_format or "raw"
            )
        except image_format.UnsafeImage as error:
            raise errors.ImageInvalid(image_id=image_id, reason=str(error)) from error
        most = (disk.size_mb or disk.max_size_mb) * MIB
        if most and most < needed:
            raise errors.ImageInvalid(
                image_id=image_id, reason=f"it needs a disk of {needed} bytes and may have {most}"
            )
        return disk.size_mb * MIB or needed

    def _virtual_size(self, path: Path, own_format: str) -> int:
        try:
            return disk_calls.quick(image_format.virtual_size, path, own_format)
        except image_format.UnsafeImage as error:
            raise errors.GuestFailed(reason="A disk of the guest cannot be read") from error

    def _empty(self, disk: Disk, path: Path) -> None:
        _make_empty(path, disk.size_mb * MIB)
        if disk.kind == "swap":
            self._run("mkswap", "-q", "-L", "swap", path)
        elif disk.kind == "ephemeral":
            name = disk.guest_format or self._ephemeral_format
            if name not in _MKFS:
                raise errors.GuestFailed(reason=f"File system {name} cannot be made")
            self._run(*_MKFS[name], "ephemeral0", path)

    def _pack(self, files: dict[str, bytes], path: Path) -> None:
        with tempfile.TemporaryDirectory(dir=path.parent) as tree:
            _write_tree(Path(tree), files)
            if self._options.config_drive_format == "vfat":
                self._pack_vfat(Path(tree), path)
            else:
                dialect = ["-ldots", "-allow-lowercase", "-allow-multidot", "-l", "-quiet", "-J", "-r"]
                self._run(self._iso_program, *dialect, "-V", "config-2", "-o", path, tree)

    def _pack_vfat(self, tree: Path, path: Path) -> None:
        _make_empty(path, 64 * MIB)
        self._run("mkfs.vfat", "-n", "config-2", path)
        self._run("mcopy", "-s", "-Q", "-i", path, *tree.iterdir(), "::/")

    def _run(self, *command: str | Path) -> None:
        programs.run_program(self._host, *command)

    def _copy_within(self, *command: str | Path) -> None:
        programs.run_program(self._host, *command, timeout_s=programs.COPY_S)

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise errors.DiskFull(host=self._host) from error
            LOG.warning("a guest's disks cannot be made: %s", error)
            reason = "The guest's disks cannot be made on its host"
            raise errors.GuestFailed(reason=reason, detail=str(error)) from error


@disk_calls.bounded_in_time
def _write_tree(tree: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        file = tree / name.lstrip("/")
        if ".." in file.parts:
            raise errors.GuestFailed(reason=f"{name} is not a path of a config drive")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@disk_calls.bounded_in_time
def _make_empty(path: Path, size: int) -> None:
    """A file of this many bytes, all of them a hole, for its owner alone."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.truncate(size)
