"""Images on datastores, each brought once: what has its final name is whole.

An image becomes a disk beside its name and is given it at last, so that whatever breaks off leaves nothing that passes for
an image. Root disks stand on it, or are copies; one that is larger stands on a copy that has been grown.
"""

import contextlib
import logging
import uuid as uuids
from collections.abc import Iterator
from pathlib import Path

from oslo_config import cfg

from nova import errors, image_format
from nova.structs.guest import Disk
from nova.structs.image import Image
from nova.virt.turns import Turns
from nova.virt.vmware import conversion
from nova.virt.vmware.cluster import Datastore
from nova.virt.vmware.files import Files

LOG = logging.getLogger(__name__)

MIB = 1 << 20
_SPARSE, _STREAM, _FLAT = "sparse", "streamOptimized", ("preallocated", "thin", "eagerZeroedThick")


class DatastoreImages:
    """One nova-compute's cache, on every datastore that it uses."""

    def __init__(self, conf: cfg.ConfigOpts, files: Files, host: str) -> None:
        self._files = files
        self._host = host
        self._directory = f"{conf.vmware.cache_prefix or host}{conf.image_cache.subdirectory_name}"
        self._known: set[str] = set()
        self._turns = Turns()

    def disk(self, image: Image, disk: Disk, store: Datastore, adapter: str) -> tuple[str, int]:
        """The cached disk of disk's size, and that in KiB.

        Raises errors.ImageInvalid, errors.ImageNotFound, errors.DiskFull.
        """
        _check_is_there(disk)
        path = Path(disk.image_path or "")
        size_kb = self.size_kb(image, disk)
        with self._turns.of(image.id):
            base = f"{self._place(image, store)}/{image.id}.vmdk"
            own_kb = -(-_content_bytes(image, path) // 1024)
            if not self._is_there(base, image, store):
                self._bring(image, path, store, adapter, own_kb)
                self._known.add(base)
            if size_kb == own_kb:
                return base, size_kb
            grown = f"{self._place(image, store)}/{image.id}.{size_kb}.vmdk"
            if not self._is_there(grown, image, store):
                part = f"{self._place(image, store)}/{image.id}.{size_kb}.part.vmdk"
                self._files.copy_disk(base, part)
                self._files.grow_disk(part, size_kb)
                self._files.move_disk(part, grown)
                self._known.add(grown)
            return grown, size_kb

    def size_kb(self, image: Image, disk: Disk) -> int:
        """How large a root disk of this image is to be. Raises errors.ImageInvalid when the image is larger."""
        needed = _content_bytes(image, Path(disk.image_path or ""))
        most = (disk.size_mb or disk.max_size_mb) * MIB
        if most and most < needed:
            raise errors.ImageInvalid(
                image_id=image.id, reason=f"it needs a disk of {needed} bytes and may have {most}"
            )
        return (disk.size_mb * MIB or needed + -needed % 1024) // 1024

    def iso(self, image: Image, disk: Disk, store: Datastore) -> str:
        """The cached file of an ISO image. Raises errors.ImageNotFound, errors.DiskFull."""
        _check_is_there(disk)
        with self._turns.of(image.id):
            path = f"{self._place(image, store)}/{image.id}.iso"
            if not self._is_there(path, image, store):
                part = self._part(image, store)
                self._files.make_directory(part)
                self._files.upload(Path(disk.image_path or ""), f"{part}/{image.id}.iso")
                self._files.move(part, self._place(image, store))
                self._known.add(path)
            return path

    def forget(self) -> None:
        """Look again what there is: somebody has removed an image behind our back."""
        self._known.clear()

    def _bring(self, image: Image, path: Path, store: Datastore, adapter: str, size_kb: int) -> None:
        LOG.info("image %s goes to datastore %s", image.id, store.name)
        if store.free < size_kb * 1024 and path.stat().st_size > store.free:
            raise errors.DiskFull(host=self._host)
        for left_over in self._files.names(store.object, self._root(store), f"{image.id}.part-*"):
            self._files.remove(f"{self._root(store)}/{left_over}")
        part = self._part(image, store)
        self._files.make_directory(part)
        target = f"{part}/{image.id}.vmdk"
        kind = disk_type(image)
        if kind == _SPARSE:
            self._bring_sparse(path, part, target)
        elif kind == _STREAM:
            with self._converted(image, path) as sparse:
                self._bring_sparse(sparse, part, target)
        else:
            self._files.create_disk(target, size_kb, adapter, "thin")
            self._files.upload(path, f"{part}/{image.id}-flat.vmdk")
        self._files.move(part, self._place(image, store))

    def _bring_sparse(self, path: Path, part: str, target: str) -> None:
        self._files.upload(path, f"{part}/uploaded.vmdk")
        self._files.copy_disk(f"{part}/uploaded.vmdk", target)
        self._files.remove(f"{part}/uploaded.vmdk")

    @contextlib.contextmanager
    def _converted(self, image: Image, path: Path) -> Iterator[Path]:
        try:
            with conversion.sparse_file(self._host, path, image_format.content_of(image)) as sparse:
                yield sparse
        except errors.GuestFailed as error:
            if "fault" in error.details:
                raise
            raise errors.ImageInvalid(image_id=image.id, reason="it cannot be converted") from error

    def _is_there(self, path: str, image: Image, store: Datastore) -> bool:
        if path not in self._known:
            names = self._files.names(store.object, self._place(image, store), path.rpartition("/")[2])
            self._known |= {f"{self._place(image, store)}/{name}" for name in names}
        return path in self._known

    def _root(self, store: Datastore) -> str:
        return f"[{store.name}] {self._directory}"

    def _place(self, image: Image, store: Datastore) -> str:
        if "/" in image.id or image.id.startswith("."):
            raise errors.ImageInvalid(image_id=image.id, reason="its id is not one")
        return f"{self._root(store)}/{image.id}"

    def _part(self, image: Image, store: Datastore) -> str:
        return f"{self._place(image, store)}.part-{uuids.uuid4().hex[:8]}"


def _check_is_there(disk: Disk) -> None:
    if disk.missing_image is not None:
        raise errors.ImageNotFound(image_id=disk.missing_image)


def disk_type(image: Image) -> str:
    """How the image's file holds the disk: one of the types of a VMDK, streamOptimized for whatever is converted first.

    Raises errors.ImageInvalid for what cannot be used.
    """
    if image.disk_format != "vmdk":
        return _STREAM if image.disk_format == "qcow2" else _FLAT[0]
    if image.container_format == "ova":
        return _STREAM
    kind = image.properties.get("vmware_disktype", _FLAT[0])
    if kind not in (_SPARSE, _STREAM, *_FLAT):
        raise errors.ImageInvalid(image_id=image.id, reason=f"disks of the type '{kind}' are not supported")
    return kind


def _content_bytes(image: Image, path: Path) -> int:
    try:
        return image_format.virtual_size(path, image_format.content_of(image))
    except image_format.UnsafeImage as error:
        raise errors.ImageInvalid(image_id=image.id, reason=str(error)) from error
