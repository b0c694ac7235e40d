"""The checksums that clients send of what they send. Source: Amazon S3 user guide, "Checking object integrity"."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from awscrt import checksums

from nova.objectstore.errors import S3Error

_PREFIX = "x-amz-checksum-"


class Checksum(Protocol):
    def update(self, data: Any, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, function: Callable[[Any, int], int], size: int) -> None:
        self._function = function
        self._size = size
        self._value = 0

    def update(self, data: Any) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size)


ALGORITHMS: Mapping[str, Callable[[], Checksum]] = {
    "crc32": lambda: _Crc(binascii.crc32, 4),
    "crc32c": lambda: _Crc(checksums.crc32c, 4),
    "crc64nvme": lambda: _Crc(checksums.crc64nvme, 8),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
}


def header(algorithm: str) -> str:
    """The header that carries a checksum of this algorithm."""
    return _PREFIX + algorithm


def given(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """The algorithm and value of the checksum that headers hold. Raises S3Error."""
    found = [(name.removeprefix(_PREFIX), value) for name, value in headers.items() if name.startswith(_PREFIX)]
    values = [(name, value) for name, value in found if name not in ("algorithm", "mode", "type")]
    if not values:
        return None
    if len(values) > 1:
        raise S3Error(
            "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed."
        )
    check_algorithm(values[0][0])
    check_value(*values[0])
    return values[0]


def check_algorithm(name: str) -> str:
    """The name again. Raises S3Error for an algorithm that is not offered."""
    if name not in ALGORITHMS:
        raise S3Error("InvalidRequest", "The algorithm type you specified in x-amz-checksum- header is invalid.")
    return name


def check_value(algorithm: str, value: str) -> None:
    """Raises S3Error for what is no base64, or not as long as a digest of the algorithm."""
    if len(decoded(value)) != len(ALGORITHMS[algorithm]().digest()):
        raise S3Error("InvalidRequest", f"Value for x-amz-checksum-{algorithm} header is invalid.")


def decoded(value: str) -> bytes:
    """Strict base64. Raises S3Error (InvalidDigest)."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise S3Error("InvalidDigest") from None


def encoded(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
