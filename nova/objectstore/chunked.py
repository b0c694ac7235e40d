"""aws-chunked: a body in chunks, with signatures of their own or without, and with headers behind it.

Source: Amazon S3 API reference, "Transferring payload in multiple chunks".
"""

import hashlib
import re
from collections.abc import Callable

from nova.objectstore.errors import S3Error
from nova.objectstore.signature import ChunkSigner

_HEAD = re.compile(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?")
_LONGEST_LINE = 4096
_LONGEST_TRAILER = 16384
_NOTHING = hashlib.sha256().hexdigest()


class AwsChunked:
    """Takes chunks apart; trailers are there when read() has given nothing. Raises S3Error for what is broken."""

    def __init__(self, read: Callable[[], bytes | bytearray], signer: ChunkSigner | None) -> None:
        self.trailers: dict[str, str] = {}
        self._read = read
        self._signer = signer
        self._buffer = bytearray()
        self._left = 0
        self._is_over = False
        self._signature = ""
        self._digest = hashlib.sha256()

    def read(self) -> bytes | bytearray:
        """Some of the payload; nothing at its end."""
        if self._is_over:
            return b""
        if not self._left:
            self._left = self._next_chunk()
            if not self._left:
                self._check_chunk()
                self._read_trailers()
                self._is_over = True
                return b""
        if not self._buffer:
            self._fill()
        if len(self._buffer) <= self._left:
            data, self._buffer = self._buffer, bytearray()
        else:
            data = self._buffer[: self._left]
            del self._buffer[: self._left]
        self._left -= len(data)
        if self._signer is not None:
            self._digest.update(data)
        if not self._left:
            self._check_chunk()
            if self._line():
                raise _broken("a chunk is longer than it says")
        return data

    def _next_chunk(self) -> int:
        match = _HEAD.fullmatch(self._line())
        if match is None:
            raise _broken("a chunk does not begin with its size")
        if (match[2] is None) != (self._signer is None):
            raise S3Error("SignatureDoesNotMatch", "A chunk is signed or not, against what the header said.")
        self._signature = (match[2] or b"").decode()
        return int(match[1], 16)

    def _check_chunk(self) -> None:
        if self._signer is not None:
            self._signer.check("PAYLOAD", (_NOTHING, self._digest.hexdigest()), self._signature)
            self._digest = hashlib.sha256()

    def _read_trailers(self) -> None:
        signed = ""
        while line := self._line():
            name, colon, value = line.decode("latin-1").partition(":")
            name, value = name.strip().lower(), value.strip()
            if not colon or name in self.trailers or len(signed) > _LONGEST_TRAILER:
                raise _broken("a trailing header is none")
            self.trailers[name] = value
            if name != "x-amz-trailer-signature":
                signed += f"{name}:{value}\n"
        signature = self.trailers.pop("x-amz-trailer-signature", None)
        if self._signer is not None and self.trailers:
            self._signer.check("TRAILER", (hashlib.sha256(signed.encode("latin-1")).hexdigest(),), signature or "")

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > _LONGEST_LINE:
                raise _broken("a line is too long")
            self._fill()
        if end > _LONGEST_LINE:
            raise _broken("a line is too long")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _fill(self) -> None:
        data = self._read()
        if not data:
            raise _broken("it ends in the middle of a chunk")
        self._buffer += data


def _broken(why: str) -> S3Error:
    return S3Error("IncompleteBody", f"The body is not aws-chunked: {why}.")
