"""Bring one image into the Image service: fetch it into a file without a name, see what it is, upload it.

The Image service gets the first byte when the last one was seen here; a conductor that dies leaves nothing on its disk.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from oslo_config import cfg

from nova import errors, image_format
from nova.clients.image import Images
from nova.clients.objects import Objects
from nova.conductor.image_imports import bundle, manifest
from nova.conductor.image_imports.manifest import Manifest
from nova.db.image_imports import Lease
from nova.rpc.cert import CertCalls
from nova.structs.image import Image

_GIB = 1 << 30
# A conductor's state and log may lie beside the images on their way, and a database, too.
_LEFT_FREE = _GIB
# Parts are compressed, which makes some data longer, and padded.
_BUNDLE_OVERHEAD = 1.01
# Formats of kernels and ramdisks, which are no disks: no tool looks for another format in them.
_NO_DISKS = ("aki", "ari")

# Told of each chunk, with what is done in words for users; raises what ends the work.
Progress = Callable[[str], None]


class ImageRefused(errors.Invalid):
    text = "The image is refused: {reason}."


class ManifestChanged(errors.Invalid):
    text = "The manifest is another one than when the image was registered."


class Arrivals:
    """What an image on its way is made of, and how it gets there."""

    def __init__(self, conf: cfg.ConfigOpts, images: Images, objects: Objects, cert: CertCalls) -> None:
        self._directory = Path(conf.image_decryption_dir)
        self._most_gb = conf.ec2_image_max_gb
        self._images = images
        self._objects = objects
        self._cert = cert

    @property
    def _most(self) -> int:
        return int(self._most_gb * _GIB)

    def manifest(self, project_id: str, bucket: str, key: str) -> tuple[Manifest, str]:
        """A bundle's manifest, and its digest. Raises ManifestInvalid, ImageTooLarge, and what the store raises."""
        raw = b"".join(self._objects.read(project_id, bucket, key, manifest.LONGEST))
        found = manifest.read(raw)
        if found.size > self._most:
            raise errors.ImageTooLarge(most_gb=self._most_gb)
        return found, hashlib.sha256(raw).hexdigest()

    def check_object(self, project_id: str, bucket: str, key: str) -> None:
        """Raises ImageTooLarge, and what the store raises."""
        self.check_size(self._objects.size(project_id, bucket, key))

    def check_size(self, size: int) -> None:
        """Raises ImageTooLarge."""
        if size > self._most:
            raise errors.ImageTooLarge(most_gb=self._most_gb)

    def bring(self, held: Lease, progress: Progress) -> None:
        """The image has its data, and is active, when this returns."""
        image = self._images.get(held.image_id)
        if image.status == "active":
            return
        with self._file() as file:
            for chunk in self._chunks(held):
                progress("fetching")
                _leave_room(file)
                _write(file, chunk)
            file.truncate()
            file.flush()
            _check(file, image)
            file.seek(0)
            progress("uploading")
            self._images.upload(held.image_id, _Reported(file, progress))

    def _chunks(self, held: Lease) -> Iterator[bytes]:
        request = held.request
        if request.source is not None:
            return self._source(request.source.id)
        if request.is_bundle:
            return self._bundled(held)
        return self._objects.read(held.project_id, request.bucket, request.key, self._most)

    def _bundled(self, held: Lease) -> Iterator[bytes]:
        request = held.request
        found, digest = self.manifest(held.project_id, request.bucket, request.key)
        if digest != held.digest:
            raise ManifestChanged()
        key, iv = (bytes.fromhex(self._cert.decrypt(held.project_id, text)) for text in (found.key, found.iv))
        if len(key) != 16 or len(iv) != 16:
            raise bundle.BundleInvalid(reason="its key or initial vector is not one of AES-128-CBC")
        directory = request.key.rpartition("/")[0]
        prefix = f"{directory}/" if directory else ""

        def part(name: str, most: int) -> Iterator[bytes]:
            return self._objects.read(held.project_id, request.bucket, prefix + name, most)

        most = int(found.size * _BUNDLE_OVERHEAD) + _GIB
        return bundle.disk(found, part, key, iv, most)

    def _source(self, image_id: str) -> Iterator[bytes]:
        count = 0
        try:
            for chunk in self._images.download(image_id):
                count += len(chunk)
                self.check_size(count)
                yield chunk
        except errors.ImageNotFound:
            raise ImageRefused(reason="the one that it is a copy of is gone") from None

    @contextmanager
    def _file(self) -> Iterator[BinaryIO]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._directory) as file:
            yield file


def _leave_room(file: BinaryIO) -> None:
    """Raises OSError (ENOSPC) before an image takes what else is on this file system its room."""
    there = os.fstatvfs(file.fileno())
    if there.f_bavail * there.f_frsize < _LEFT_FREE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write(file: BinaryIO, chunk: bytes) -> None:
    """Zeros take no room: a few bytes of an archive stand for any number of them."""
    if chunk == bytes(len(chunk)):
        file.seek(len(chunk), os.SEEK_CUR)
    else:
        file.write(chunk)


class _Reported:
    """A file that tells of each read."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file = file
        self._progress = progress

    def read(self, size: int, /) -> bytes:
        self._progress("uploading")
        return self._file.read(size)


def _check(file: BinaryIO, image: Image) -> None:
    """By the rules that images pass on their way to a host. Raises ImageRefused."""
    if image.disk_format in _NO_DISKS:
        return
    path = Path(f"/proc/self/fd/{file.fileno()}")
    try:
        if not os.fstat(file.fileno()).st_size:
            raise image_format.UnsafeImage("it is empty")
        image_format.check(path, image_format.content_of(image))
    except image_format.UnsafeImage as error:
        raise ImageRefused(reason=str(error)) from error
