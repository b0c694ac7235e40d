"""Images kept on this host, each fetched once and checked before anything uses it.

A file under its final name is complete, verified and harmless; everything else is under a name that
says it is not. A download that broke off goes on where it ended.
"""

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from oslo_config import cfg

from nova import durable, errors, image_format, metrics
from nova.clients.image import Images
from nova.structs.context import Context
from nova.structs.image import Image

LOG = logging.getLogger(__name__)


class CachedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image on this host. format is raw, qcow2 or vmdk; virtual_size is what a guest sees, in bytes."""

    path: str
    format: str
    virtual_size: int


class ImageCache:
    """The directory of cached images of one host; several processes may share it."""

    def __init__(
        self,
        directory: Path,
        images: Images,
        host: str = "",
        attempts: int = 4,
        disk_formats: frozenset[str] = frozenset({"raw", "iso", "ami", "qcow2"}),
    ) -> None:
        """disk_formats: what the host's driver can make disks of."""
        self._directory = Path(directory)
        self._disk_formats = disk_formats
        self._images = images
        self._host = host
        self._attempts = attempts

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts, images: Images, disk_formats: frozenset[str]) -> "ImageCache":
        return cls(
            Path(conf.instances_path) / conf.image_cache.subdirectory_name,
            images,
            host=conf.host,
            attempts=conf.glance.num_retries + 1,
            disk_formats=disk_formats,
        )

    def fetch(self, image: Image, context: Context | None = None) -> CachedImage:
        """The image as a file of this host, downloaded unless it is here already.

        Raises errors.ImageInvalid when what the Image service has is not what it says, errors.DiskFull,
        errors.ImageNotFound, errors.Unavailable. A failure leaves at most the part that was downloaded.
        """
        if image.disk_format not in self._disk_formats:
            raise errors.ImageInvalid(image_id=image.id, reason=f"its format, {image.disk_format}, is not supported")
        path = self._path(image.id)
        with _translated(image, self._host):
            # QEMU's user opens an image by its name; nobody else learns which there are.
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o711)
        with self._locked(image.id):
            is_cached = path.exists()
            if not is_cached:
                with _translated(image, self._host):
                    self._bring(image, path, context)
            metrics.IMAGES.labels("cached" if is_cached else "brought").inc()
            os.utime(path)
            return _describe(image, path)

    def prune(self, in_use: Iterable[str], min_age_s: float) -> list[str]:
        """Remove images and incomplete downloads not used for min_age_s; the ids of what was removed.

        in_use are the paths guests' disks stand on: those stay.
        """
        paths_in_use = {os.path.realpath(path) for path in in_use}
        removed = []
        for path in sorted(self._directory.glob("*")) if self._directory.is_dir() else ():
            if path.is_dir() or os.path.realpath(path) in paths_in_use or path.suffix == ".lock":
                continue
            with self._locked(path.stem):
                if path.exists() and time.time() - path.stat().st_mtime >= min_age_s:
                    path.unlink()
                    removed.append(path.stem)
        return removed

    def _path(self, image_id: str) -> Path:
        if "/" in image_id or image_id.startswith("."):
            raise errors.ImageInvalid(image_id=image_id, reason="its id is not one")
        return self._directory / image_id

    def _bring(self, image: Image, path: Path, context: Context | None) -> None:
        part = path.with_suffix(".part")
        for attempt in range(1, self._attempts + 1):
            try:
                self._download(image, part, context)
                break
            except errors.Unavailable:
                if attempt == self._attempts:
                    raise
                LOG.warning("download of image %s broke off at %s bytes; going on", image.id, _size(part))
                time.sleep(min(2**attempt * 0.1, 5))
        try:
            _verify(image, part)
            _check(image, part)
        except errors.ImageInvalid:
            # Nothing good can be added to bytes that are wrong.
            part.unlink(missing_ok=True)
            raise
        part.chmod(0o644)
        durable.settle(part, path)

    def _download(self, image: Image, part: Path, context: Context | None) -> None:
        start = _size(part)
        if image.size and start > image.size:
            part.unlink()
            start = 0
        if image.size and start == image.size:
            return
        try:
            with part.open("ab") as file:
                for chunk in self._images.download(image.id, start, context):
                    file.write(chunk)
                    if image.size and file.tell() > image.size:
                        break
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            # Guests that are here already need the room more than a part of an image does.
            part.unlink(missing_ok=True)
            raise
        if image.size and _size(part) < image.size:
            raise errors.Unavailable(service="The Image service", reason=f"the data of image {image.id} end early")

    @contextlib.contextmanager
    def _locked(self, image_id: str) -> Iterator[None]:
        """One user of this image's files at a time, on the whole host; the lock ends with its process."""
        with (self._directory / f"{image_id}.lock").open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    # A blocking lock would hold up all green threads, the holder's among them.
                    time.sleep(0.05)
            yield


def _verify(image: Image, path: Path) -> None:
    """Compare with the hash the Image service keeps; the newer kind wins."""
    if image.hash_value and image.hash_algorithm and image.hash_algorithm in hashlib.algorithms_available:
        expected, digest = image.hash_value, hashlib.new(image.hash_algorithm)
    elif image.checksum:
        expected, digest = image.checksum, hashlib.new("md5", usedforsecurity=False)
    else:
        return
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            time.sleep(0)
    if digest.hexdigest() != expected:
        raise errors.ImageInvalid(image_id=image.id, reason=f"its data do not have the {digest.name} they should")


def _check(image: Image, path: Path) -> None:
    """Refuse what could make QEMU read another file of this host, or guess a format."""
    if image.size and _size(path) > image.size:
        raise errors.ImageInvalid(image_id=image.id, reason="it has more data than its size says")
    try:
        image_format.check(path, image_format.content_of(image))
    except image_format.UnsafeImage as error:
        raise errors.ImageInvalid(image_id=image.id, reason=str(error)) from error


def _describe(image: Image, path: Path) -> CachedImage:
    try:
        content = image_format.content_of(image)
        size = image_format.virtual_size(path, content)
    except image_format.UnsafeImage as error:
        raise errors.ImageInvalid(image_id=image.id, reason=str(error)) from error
    return CachedImage(path=str(path), format=content, virtual_size=size)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextlib.contextmanager
def _translated(image: Image, host: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise errors.DiskFull(host=host) from error
        LOG.warning("image %s cannot be kept: %s", image.id, error)
        reason = f"image {image.id} cannot be kept there"
        raise errors.HostRefused(host=host, reason=reason, detail=str(error)) from error
