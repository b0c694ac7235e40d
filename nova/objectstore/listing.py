"""Pages of keys: prefix, delimiter, where to go on. Source: Amazon S3 API reference, ListObjects, ListObjectsV2."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from nova.objectstore.documents import timestamp
from nova.objectstore.errors import S3Error
from nova.objectstore.index import Entry, Transaction
from nova.objectstore.request import Answer, Request

MOST = 1000


@dataclass
class Page:
    """What fits into one answer. last: the last key or common prefix of a page that is not the last."""

    objects: list[tuple[str, Entry]] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str | None = None


def objects(
    transaction: Transaction, bucket: str, *, prefix: str = "", delimiter: str = "", after: str = "", limit: int = MOST
) -> Page:
    """The keys behind after. A common prefix counts as one key, and is passed over at once however many it stands for."""
    page, wanted = Page(), prefix.encode()
    since, last = max(wanted, _behind(after, prefix, delimiter)), None
    while True:
        # One more than fits says whether this page is the last.
        rows = transaction.objects(bucket, since, limit + 1)
        for raw, entry in rows:
            if not raw.startswith(wanted):
                return page
            if len(page.objects) + len(page.prefixes) >= limit:
                page.last = last
                return page
            key = raw.decode()
            if group := _group(key, prefix, delimiter):
                page.prefixes.append(group)
                last, since = group, _successor(group.encode())
                break
            page.objects.append((key, entry))
            last, since = key, raw + b"\0"
        else:
            if len(rows) <= limit:
                return page


def _group(key: str, prefix: str, delimiter: str) -> str | None:
    end = key.find(delimiter, len(prefix)) if delimiter else -1
    return key[: end + len(delimiter)] if end >= 0 else None


def _behind(after: str, prefix: str, delimiter: str) -> bytes:
    if not after:
        return b""
    group = _group(after, prefix, delimiter) if after.startswith(prefix) else None
    return _successor(after.encode()) if group == after else after.encode() + b"\0"


def _successor(raw: bytes) -> bytes:
    """The first key that does not begin so. No key has a byte of 255."""
    return raw[:-1] + bytes([raw[-1] + 1])


def list_objects(request: Request, transaction: Transaction) -> Answer:
    """GET /BUCKET, in both versions."""
    given = request.parameters
    is_second = given.get("list-type") == "2"
    after, marker = (_start(given), None) if is_second else (given.get("marker", ""), given.get("marker", ""))
    limit = request.number("max-keys", MOST, MOST)
    prefix, delimiter = given.get("prefix", ""), given.get("delimiter", "")
    shown = shown_as(request)
    page = Page()
    if limit:
        page = objects(transaction, request.bucket, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
    content: dict[str, Any] = {
        "Name": request.bucket,
        "Prefix": shown(prefix),
        "Delimiter": shown(delimiter) if delimiter else None,
        "MaxKeys": limit,
        "EncodingType": given.get("encoding-type"),
        "IsTruncated": page.last is not None,
        "Contents": [_content(shown(key), entry) for key, entry in page.objects],
        "CommonPrefixes": [{"Prefix": shown(group)} for group in page.prefixes],
    }
    if is_second:
        content["KeyCount"] = len(page.objects) + len(page.prefixes)
        content["ContinuationToken"] = given.get("continuation-token")
        content["StartAfter"] = shown(given["start-after"]) if "start-after" in given else None
        content["NextContinuationToken"] = _token(page.last) if page.last is not None else None
    else:
        content["Marker"] = shown(marker or "")
        content["NextMarker"] = shown(page.last) if page.last is not None else None
    return Answer.document("ListBucketResult", content)


def shown_as(request: Request) -> Callable[[str], str]:
    """How keys are written. Raises S3Error."""
    match request.parameters.get("encoding-type"):
        case None:
            return lambda text: text
        case "url":
            return lambda text: quote(text, safe="/-_.~*")
    raise S3Error("InvalidArgument", "Invalid Encoding Method specified in Request", ArgumentName="encoding-type")


def _content(key: str, entry: Entry) -> dict[str, Any]:
    return {
        "Key": key,
        "LastModified": timestamp(entry.modified),
        "ETag": f'"{entry.etag}"',
        "ChecksumAlgorithm": entry.checksum[0].upper() if entry.checksum else None,
        "Size": entry.size,
        "StorageClass": "STANDARD",
    }


def _start(given: dict[str, str]) -> str:
    token = given.get("continuation-token")
    if token is None:
        return given.get("start-after", "")
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise S3Error("InvalidArgument", "The continuation token provided is incorrect") from None


def _token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()
