"""A request's body, verified while it is read: length, digest of the signature, Content-MD5, checksum.

Nobody has a body before every promise about it was kept: whoever keeps pieces throws them away when this raises.
"""

import hashlib
from collections.abc import Callable, Iterator

from nova.objectstore import checksums
from nova.objectstore.checksums import ALGORITHMS
from nova.objectstore.chunked import AwsChunked
from nova.objectstore.digests import Digests
from nova.objectstore.errors import S3Error
from nova.objectstore.request import Request
from nova.objectstore.signature import UNSIGNED, ChunkSigner, Signed, is_sha256

_STREAMING = "STREAMING-"
_SIGNED = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_LARGEST_DOCUMENT = 2 * 1024 * 1024
# A thread costs more than the digests of so much.
_SMALL = 1024 * 1024
LARGEST = 5 * 1024**3


class Payload:
    """The body of a signed request. md5 and checksum are known when pieces() has ended.

    signer is asked for where the chunks are signed. Raises S3Error for what cannot be honoured.
    """

    def __init__(
        self, request: Request, signed: Signed, signer: Callable[[], ChunkSigner], algorithm: str | None = None
    ) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256() if is_sha256(signed.payload) else None
        self._signed = signed.payload
        self._content_md5 = _content_md5(request)
        given = checksums.given(request.headers)
        self._trailer = _announced_trailer(request) if signed.payload.startswith(_STREAMING) else None
        self.algorithm = given[0] if given else self._trailer or algorithm
        self._value = given[1] if given else None
        self._sum = ALGORITHMS[self.algorithm]() if self.algorithm else None
        self._chunks: AwsChunked | None = None
        stream = request.environ["wsgi.input"]
        if signed.payload in _SIGNED or signed.payload == _UNSIGNED_TRAILER:
            self.length: int | None = _decoded_length(request)
            self._chunks = AwsChunked(stream.read, signer() if signed.payload in _SIGNED else None)
            self._read: Callable[[], bytes | bytearray] = self._chunks.read
        elif self._sha256 is not None or signed.payload == UNSIGNED:
            self.length = request.length
            self._read = stream.read
        else:
            raise S3Error("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a valid sha256 value.")

    def pieces(self) -> Iterator[bytes | bytearray]:
        """The body. Raises S3Error, BodyFailure; after the last piece, too."""
        received = 0
        sums = [one for one in (self._md5, self._sha256, self._sum) if one is not None]
        digests = Digests(sums, beside=(self.length or 0) > _SMALL)
        try:
            while data := self._read():
                received += len(data)
                if self.length is not None and received > self.length:
                    raise S3Error("IncompleteBody")
                digests.update(data)
                yield data
        finally:
            digests.close()
        if self.length is not None and received != self.length:
            raise S3Error("IncompleteBody")
        self._verify()

    def document(self) -> bytes:
        """A body that is an XML document."""
        document = bytearray()
        for piece in self.pieces():
            document += piece
            if len(document) > _LARGEST_DOCUMENT:
                raise S3Error("MalformedXML", "The document is too long.")
        return bytes(document)

    @property
    def md5(self) -> str:
        """In hexadecimal digits, as an ETag has it."""
        return self._md5.hexdigest()

    @property
    def checksum(self) -> str | None:
        """In base64, where one was asked for."""
        return checksums.encoded(self._sum.digest()) if self._sum is not None else None

    def _verify(self) -> None:
        if self._sha256 is not None and self._sha256.hexdigest() != self._signed:
            raise S3Error("XAmzContentSHA256Mismatch")
        if self._content_md5 is not None and self._content_md5 != self._md5.digest():
            raise S3Error("BadDigest")
        value = self._value
        if self._chunks is not None and self._trailer is not None:
            value = self._chunks.trailers.get(checksums.header(self._trailer))
            if value is None:
                raise S3Error("InvalidRequest", "The trailing checksum that was announced did not come.")
        if value is not None and self._sum is not None and checksums.decoded(value) != self._sum.digest():
            raise S3Error("BadDigest", f"The {self.algorithm} you specified did not match the calculated checksum.")


def _content_md5(request: Request) -> bytes | None:
    value = request.headers.get("content-md5")
    if value is None:
        return None
    digest = checksums.decoded(value)
    if len(digest) != hashlib.md5(usedforsecurity=False).digest_size:
        raise S3Error("InvalidDigest")
    return digest


def _announced_trailer(request: Request) -> str | None:
    """The algorithm of the checksum that comes behind the body."""
    name = request.headers.get("x-amz-trailer")
    if name is None:
        return None
    prefix = checksums.header("")
    if not name.lower().startswith(prefix):
        raise S3Error("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
    return checksums.check_algorithm(name.lower().removeprefix(prefix))


def _decoded_length(request: Request) -> int:
    text = request.headers.get("x-amz-decoded-content-length", "")
    if not text.isdecimal() or not text.isascii() or len(text) > 18:
        raise S3Error("MissingContentLength")
    return int(text)
