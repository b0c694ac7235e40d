"""The disk in a bundle: parts, decrypted, decompressed, and the one file of their archive. Nothing is held in memory.

Everything about a bundle is a tenant's. Its sizes are bounded by what its manifest says before anything is written, the
archive's headers by a number of bytes, and of a file's name nothing is used.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, cast

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from nova import errors
from nova.conductor.image_imports.manifest import Manifest

# Of all headers of an archive: GNU tar writes a map of thousands of pieces for a disk with holes.
_MOST_HEADERS = 1 << 20
# Of headers, and of the zeros that fill an archive up.
_BESIDE_DISK = 4 << 20
_CHUNK = 1 << 20
_TAR_CHUNK = 1 << 16
_BLOCK_BITS = 128
# The bytes of a part of a name, of which there are at most so many.
ReadPart = Callable[[str, int], Iterator[bytes]]


class BundleInvalid(errors.Invalid):
    text = "The bundle is not valid: {reason}."


def disk(manifest: Manifest, read_part: ReadPart, key: bytes, iv: bytes, most: int) -> Iterator[bytes]:
    """The disk's bytes. They are the bundle's when the last one has come; whoever keeps them throws them away when this raises.

    most: of the parts together. Raises BundleInvalid, and what read_part raises.
    """
    archive = _Archive(_gunzip(_decrypt(_parts(manifest, read_part, most), key, iv)), manifest.size)
    yield from _only_member(archive, manifest.size)
    archive.drain()
    if archive.digest != manifest.digest:
        raise BundleInvalid(reason="its archive has another digest than the manifest says")


def _parts(manifest: Manifest, read_part: ReadPart, most: int) -> Iterator[bytes]:
    left = most
    for part in manifest.parts:
        digest = hashlib.sha1(usedforsecurity=False)
        for chunk in read_part(part.name, left):
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
        if digest.hexdigest() != part.digest:
            raise BundleInvalid(reason="a part has another digest than the manifest says")


def _decrypt(chunks: Iterator[bytes], key: bytes, iv: bytes) -> Iterator[bytes]:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    unpadder = padding.PKCS7(_BLOCK_BITS).unpadder()
    try:
        for chunk in chunks:
            yield unpadder.update(decryptor.update(chunk))
        yield unpadder.update(decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise BundleInvalid(reason="it was not encrypted with its key") from None


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            if inflater.eof and chunk:
                raise BundleInvalid(reason="there is something behind its compressed data")
            out = inflater.decompress(chunk, _CHUNK)
            yield out
            while inflater.unconsumed_tail or len(out) == _CHUNK:
                out = inflater.decompress(inflater.unconsumed_tail, _CHUNK)
                yield out
    except zlib.error:
        raise BundleInvalid(reason="its data are not compressed by gzip") from None
    if not inflater.eof or inflater.unused_data:
        raise BundleInvalid(reason="its compressed data do not end where it does")


class _Archive:
    """The archive's bytes as a file that is read once, counted and digested.

    headers_left: how many more may be read; None while the disk is read, whose size is known.
    """

    def __init__(self, chunks: Iterator[bytes], disk_size: int) -> None:
        self._chunks = chunks
        self._held, self._at = b"", 0
        self._left = disk_size + _BESIDE_DISK
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self.headers_left: int | None = _MOST_HEADERS

    @property
    def digest(self) -> str:
        return self._sha1.hexdigest()

    def read(self, size: int) -> bytes:
        """Fewer bytes than size only at the end. Raises BundleInvalid."""
        pieces = []
        while size and self._fill():
            piece = self._held[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            pieces.append(piece)
        data = b"".join(pieces)
        if self.headers_left is not None:
            self.headers_left -= len(data)
            if self.headers_left < 0:
                raise BundleInvalid(reason="the headers of its archive are too long")
        return data

    def drain(self) -> None:
        self.headers_left = None
        while self.read(_CHUNK):
            pass

    def _fill(self) -> bool:
        while self._at == len(self._held):
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._left -= len(chunk)
            if self._left < 0:
                raise BundleInvalid(reason="it holds more than the manifest says")
            self._sha1.update(chunk)
            self._held, self._at = chunk, 0
        return True


def _only_member(archive: _Archive, size: int) -> Iterator[bytes]:
    """The bytes of the one file that an archive may have."""
    try:
        with tarfile.open(fileobj=cast(IO[bytes], archive), mode="r|", bufsize=_TAR_CHUNK) as tar:
            member = tar.next()
            if member is None or not member.isreg():
                raise BundleInvalid(reason="its archive holds no file, or something else than a file")
            if member.size != size:
                raise BundleInvalid(reason="its file is not as long as the manifest says")
            archive.headers_left = None
            yield from _content(tar, member)
            archive.headers_left = _MOST_HEADERS
            if tar.next() is not None:
                raise BundleInvalid(reason="its archive holds more than one file")
    except errors.DomainError:
        raise
    except Exception:
        # There is no end to what the archive's reader raises for bytes that are no archive.
        raise BundleInvalid(reason="its data are no archive, or one that ends early") from None


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    file = tar.extractfile(member)
    count = 0
    while file is not None and (chunk := file.read(_CHUNK)):
        count += len(chunk)
        yield chunk
    if count != member.size:
        raise BundleInvalid(reason="its archive ends within its file")
