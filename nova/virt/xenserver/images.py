"""Images in the pool: each is imported once into a storage repository, and guests' root disks are copies of it."""

import contextlib
import logging
import threading
from pathlib import Path

from oslo_config import cfg

from nova import errors, image_format
from nova.structs.guest import Disk, GuestSpec
from nova.structs.image import Image
from nova.virt.xenserver import identity, transfer
from nova.virt.xenserver.disks import Disks
from nova.virt.xenserver.identity import Vm
from nova.virt.xenserver.session import Session

LOG = logging.getLogger(__name__)

_MIB = 1 << 20


class Images:
    """The imported images of one host. Hosts of a pool that share a storage repository share those on it."""

    def __init__(self, session: Session, disks: Disks, conf: cfg.ConfigOpts, host: str) -> None:
        self._session = session
        self._disks = disks
        self._rule: str = conf.xenserver.cache_images
        self._host = host
        self._importing = threading.Lock()

    def make_disk(self, vm: Vm, name: str, disk: Disk, image: Image) -> str:
        """A guest's disk with the image on it. Raises errors.ImageInvalid, ImageNotFound, DiskFull."""
        if disk.missing_image is not None:
            raise errors.ImageNotFound(image_id=disk.missing_image)
        if disk.image_path is None or disk.image_format not in transfer.FORMATS:
            reason = f"XenServer takes raw and VHD images, not {disk.image_format}"
            raise errors.ImageInvalid(image_id=image.id, reason=reason)
        path = Path(disk.image_path)
        size = self._size(disk, image, path)
        if not self._is_cached(image):
            return self._disks.make(
                vm, name, size, lambda ref: transfer.send(self._session, ref, path, str(disk.image_format))
            )
        with self._importing:
            source = self._find(image.id) or self._import(image.id, path, disk.image_format)
        return self._disks.copy(vm, name, source, size)

    def _is_cached(self, image: Image) -> bool:
        """Source: configuration reference, [xenserver] cache_images."""
        is_wanted = image.properties.get("cache_in_nova", "").lower() == "true"
        return self._rule == "all" or (self._rule == "some" and is_wanted)

    def _find(self, image_id: str) -> str | None:
        """The image in the storage repository for new disks; what this host has left of an import is removed."""
        storage = self._disks.storage()
        found = None
        for ref, record in self._disks.all().items():
            config = record["other_config"]
            if config.get(identity.IMAGE) != image_id or record["SR"] != storage:
                continue
            if identity.is_ready(record):
                found = ref
            elif identity.READY not in config and config.get(identity.HOST) == self._host:
                self._disks.remove(ref)
        return found

    def _import(self, image_id: str, path: Path, format_: str) -> str:
        LOG.info("importing image %s", image_id)
        config = {identity.IMAGE: image_id, identity.HOST: self._host}
        with contextlib.ExitStack() as undo:
            ref = self._disks.create(image_format.virtual_size(path, format_), config, f"image {image_id}")
            undo.callback(self._disks.remove, ref)
            transfer.send(self._session, ref, path, format_)
            self._disks.make_ready(ref)
            undo.pop_all()
        return ref

    def _size(self, disk: Disk, image: Image, path: Path) -> int:
        """Bytes of the guest's disk: the flavor's, or the image's where the flavor has none."""
        own = image_format.virtual_size(path, str(disk.image_format))
        most = disk.size_mb or disk.max_size_mb
        if most and own > most * _MIB:
            raise errors.ImageInvalid(image_id=image.id, reason=f"it needs {own >> 20} MiB, the disk has {most}")
        return max(own, disk.size_mb * _MIB)


def image_of(spec: GuestSpec) -> Image:
    """The image of a guest that has a root disk of its own."""
    if spec.image is None:
        raise errors.GuestFailed(reason="A root disk is made of an image, and the server has none")
    return spec.image
