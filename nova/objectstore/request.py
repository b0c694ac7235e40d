"""A request and an answer in S3's terms."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from nova.http.wsgi import CONTEXT, RAW, Environ, request_id
from nova.objectstore.documents import document, is_speakable
from nova.objectstore.errors import S3Error
from nova.structs.context import Context

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_LONGEST_KEY = 1024
_DIGITS = re.compile(r"\d{1,19}", re.ASCII)


class Request:
    """One request; bucket and key are empty where its path names none. Raises S3Error for what can be no name."""

    def __init__(self, environ: Environ) -> None:
        raw = environ[RAW]
        self.environ = environ
        self.id = request_id(environ)
        self.method: str = environ["REQUEST_METHOD"]
        self.path: bytes = raw.path
        self.headers = _headers(raw.headers)
        self.query = _query(environ.get("QUERY_STRING", ""))
        self.parameters = dict(self.query)
        bucket, _, key = self.path.removeprefix(b"/").partition(b"/")
        self.bucket, self.key = _text(bucket), _text(key)
        if self.bucket:
            check_bucket(self.bucket)
        elif self.key:
            raise S3Error("InvalidURI")
        if self.key:
            check_key(self.key)

    @property
    def context(self) -> Context:
        context: Context = self.environ[CONTEXT]
        return context

    @property
    def length(self) -> int | None:
        """How long the body is said to be."""
        length = self.environ.get("CONTENT_LENGTH") or ""
        return int(length) if length else None

    def number(self, name: str, default: int, most: int) -> int:
        """A parameter that counts; most where it is more."""
        text = self.parameters.get(name)
        if text is None or text == "":
            return default
        if not _DIGITS.fullmatch(text):
            raise S3Error("InvalidArgument", f"{name} is not an integer of 0 or more.", ArgumentName=name)
        return min(int(text), most)


@dataclass
class Answer:
    """status, headers and body of an answer; a document's type is XML."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()

    @classmethod
    def document(cls, name: str, content: dict[str, Any], headers: dict[str, str] | None = None) -> "Answer":
        return cls(200, {"Content-Type": "application/xml", **(headers or {})}, [document(name, content)])


def check_bucket(name: str) -> None:
    """Source: Amazon S3 user guide, "Bucket naming rules"."""
    if not _BUCKET.fullmatch(name) or ".." in name or _ADDRESS.fullmatch(name):
        raise S3Error("InvalidBucketName", BucketName=name)


def check_key(key: str) -> None:
    """Raises S3Error for a key of more than 1024 bytes of UTF-8, or one with control characters."""
    if len(key.encode()) > _LONGEST_KEY:
        raise S3Error("KeyTooLongError", Size=str(len(key.encode())), MaxSizeAllowed=str(_LONGEST_KEY))
    if not key or not is_speakable(key):
        raise S3Error("InvalidURI", "A key may hold no control characters.")


def bucket_and_key(source: str) -> tuple[str, str]:
    """What x-amz-copy-source names: [/]BUCKET/KEY, quoted."""
    path, _, query = source.partition("?")
    if query:
        raise S3Error("NotImplemented", "Versions are not implemented here.")
    bucket, _, key = _text(path.encode("latin-1", "replace")).removeprefix("/").partition("/")
    check_bucket(bucket)
    check_key(key)
    return bucket, key


def _text(quoted: bytes) -> str:
    try:
        return unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError:
        raise S3Error("InvalidURI", "A name must be UTF-8.") from None


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _query(query: str) -> list[tuple[str, str]]:
    """Names and values. A plus sign is a plus sign."""
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return [(_text(name.encode("latin-1")), _text(value.encode("latin-1"))) for name, _, value in pairs]
