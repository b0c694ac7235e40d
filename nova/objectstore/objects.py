"""What is done with objects: put, get, copy, delete."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nova.objectstore import checksums, conditions
from nova.objectstore.documents import timestamp
from nova.objectstore.errors import S3Error, not_implemented
from nova.objectstore.files import Segment
from nova.objectstore.index import Entry
from nova.objectstore.payload import LARGEST, Payload
from nova.objectstore.request import Answer, Request, bucket_and_key
from nova.objectstore.store import Project, Room

_KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")
_OWN = "x-amz-meta-"
_MOST_METADATA = 2048
_TRIES = 5
_OVERRIDES = {f"response-{name}": name for name in _KEPT}
_DEFAULT_TYPE = "binary/octet-stream"
# Words that promise what is not here, but for the value that says just what is.
_PROMISES = {"x-amz-acl": "private", "x-amz-storage-class": "STANDARD", "x-amz-object-ownership": "BucketOwnerEnforced"}
_NOT_HERE = (
    "x-amz-server-side-encryption",
    "x-amz-object-lock-",
    "x-amz-bucket-object-lock-",
    "x-amz-tagging",
    "x-amz-grant-",
    "x-amz-website-redirect-location",
    "x-amz-copy-source-server-side-encryption",
    "x-amz-write-offset-bytes",
)


def refuse_promises(request: Request) -> None:
    """Refuse headers that ask for what nobody would do. Raises S3Error."""
    for name, value in request.headers.items():
        if name.startswith(_NOT_HERE) or (name in _PROMISES and value != _PROMISES[name]):
            raise not_implemented(name)


def put(request: Request, project: Project, payload: Payload) -> Answer:
    """Replaces the object of this key once the whole body has come and is as promised. Raises S3Error."""
    condition = conditions.for_write(request.headers)
    headers = metadata(request.headers)
    with receive(request, project, payload) as (segment, room):
        entry = Entry(segment[1], payload.md5, time.time(), checksum_of(payload), (segment,), headers)
        project.put(request.bucket, request.key, entry, condition, room)
    return Answer(headers={"ETag": f'"{entry.etag}"', **checksum_headers(entry)})


@contextmanager
def receive(request: Request, project: Project, payload: Payload) -> Iterator[tuple[Segment, Room]]:
    """Keep a request's body as a file, with room held for it until the block ends.

    Raises S3Error before anything of it is read where it cannot be kept.
    """
    if payload.length is None:
        raise S3Error("MissingContentLength")
    if payload.length > LARGEST:
        raise S3Error("EntityTooLarge", ProposedSize=str(payload.length), MaxSizeAllowed=str(LARGEST))
    with project.room(request.bucket, payload.length) as room:
        yield project.files.write(payload.pieces(), room.name), room


def get(request: Request, project: Project, payload: Payload) -> Answer:
    """Raises S3Error; ServiceUnavailable for an object that is replaced again and again while it is looked for."""
    for _ in range(_TRIES):
        try:
            return _get(request, project, project.object(request.bucket, request.key))
        except FileNotFoundError:
            # It was replaced or deleted between index and file: look again.
            continue
    raise S3Error("ServiceUnavailable")


def _get(request: Request, project: Project, entry: Entry) -> Answer:
    headers = _headers(request, entry)
    try:
        conditions.check_read(request.headers, entry)
    except conditions.NotModified:
        return Answer(304, {name: headers[name] for name in ("ETag", "Last-Modified")})
    span = conditions.span(request.headers, entry)
    begin, end = span or (0, entry.size)
    if span is not None:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{entry.size}"
    elif request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers.update(checksum_headers(entry))
    headers["Content-Length"] = str(end - begin)
    body: Iterator[bytes] | tuple[()] = ()
    if request.method == "GET":
        body = _begun(project.read(entry, begin, end))
    return Answer(200 if span is None else 206, headers, body)


def tags(request: Request, project: Project, payload: Payload) -> Answer:
    """None: clients ask before they copy."""
    project.object(request.bucket, request.key)
    return Answer.document("Tagging", {"TagSet": {}})


def delete(request: Request, project: Project, payload: Payload) -> Answer:
    """Fine without such an object, unless a condition asks for one."""
    condition = conditions.for_write(request.headers)
    project.delete(request.bucket, [request.key], condition)
    return Answer(204)


def copy(request: Request, project: Project, payload: Payload) -> Answer:
    """Within the project; nothing is copied but links to files. Raises S3Error."""
    bucket, key = bucket_and_key(request.headers["x-amz-copy-source"])
    condition = conditions.for_write(request.headers)
    source = project.object(bucket, key)
    conditions.check_copy(request.headers, source)
    headers = _copied_metadata(request, source, is_same=(bucket, key) == (request.bucket, request.key))
    segments = tuple(_linked(project, key, source))
    entry = Entry(source.size, source.etag, time.time(), source.checksum, segments, headers)
    project.put(request.bucket, request.key, entry, condition)
    result = {"ETag": f'"{entry.etag}"', "LastModified": timestamp(entry.modified), **checksum_fields(entry)}
    return Answer.document("CopyObjectResult", result)


def metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that are kept with an object. Raises S3Error."""
    kept = {name: value for name, value in headers.items() if name in _KEPT or name.startswith(_OWN)}
    if sum(len(name) + len(value) for name, value in kept.items() if name.startswith(_OWN)) > _MOST_METADATA:
        raise S3Error("MetadataTooLarge", MaxSizeAllowed=str(_MOST_METADATA))
    encodings = [word.strip() for word in kept.pop("content-encoding", "").split(",")]
    # How the body came, not what it is.
    if encoding := ",".join(word for word in encodings if word and word != "aws-chunked"):
        kept["content-encoding"] = encoding
    return kept


def checksum_of(payload: Payload) -> tuple[str, ...]:
    """Of a body that was read to its end: algorithm and value in base64; empty when the client asked for none."""
    return (payload.algorithm, payload.checksum) if payload.algorithm and payload.checksum else ()


def checksum_headers(entry: Entry) -> dict[str, str]:
    if not entry.checksum:
        return {}
    return {checksums.header(entry.checksum[0]): entry.checksum[1], "x-amz-checksum-type": _checksum_type(entry)}


def checksum_fields(entry: Entry) -> dict[str, str]:
    """A checksum as documents hold it."""
    if not entry.checksum:
        return {}
    return {f"Checksum{entry.checksum[0].upper()}": entry.checksum[1], "ChecksumType": _checksum_type(entry)}


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, of which the first is here: a file that is open can be removed and read to its end."""
    first = next(pieces, b"")

    def all_pieces() -> Iterator[bytes]:
        yield first
        yield from pieces

    return all_pieces()


def _checksum_type(entry: Entry) -> str:
    return "COMPOSITE" if "-" in entry.checksum[1] else "FULL_OBJECT"


def _headers(request: Request, entry: Entry) -> dict[str, str]:
    headers = {"content-type": _DEFAULT_TYPE, **entry.headers}
    for parameter, name in _OVERRIDES.items():
        if parameter in request.parameters:
            headers[name] = _header_value(request.parameters[parameter])
    return {
        **{name.title() if name in _KEPT else name: value for name, value in headers.items()},
        "ETag": f'"{entry.etag}"',
        "Last-Modified": conditions.http_date(entry.modified),
        "Accept-Ranges": "bytes",
    }


def _header_value(text: str) -> str:
    if not text.isprintable() or not text.isascii():
        raise S3Error("InvalidArgument", "A header of the answer cannot hold this.")
    return text


def _copied_metadata(request: Request, source: Entry, is_same: bool) -> dict[str, str]:
    match request.headers.get("x-amz-metadata-directive", "COPY"):
        case "REPLACE":
            return metadata(request.headers)
        case "COPY" if is_same:
            raise S3Error("InvalidRequest", "An object can be copied to itself only with other metadata.")
        case "COPY":
            return source.headers
    raise S3Error("InvalidArgument", "Unknown metadata directive.", ArgumentName="x-amz-metadata-directive")


def _linked(project: Project, key: str, source: Entry) -> list[tuple[str, int]]:
    try:
        return project.files.copy(source.segments)
    except FileNotFoundError:
        # It was replaced or deleted a moment ago.
        raise S3Error("NoSuchKey", Key=key) from None
