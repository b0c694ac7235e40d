"""Uploads in parts. Parts are files; the object that they become is the list of them, so completing copies nothing."""

import hashlib
import re
import time
import uuid
from typing import Any
from xml.etree.ElementTree import Element

from nova.objectstore import checksums, conditions
from nova.objectstore.documents import parse, timestamp
from nova.objectstore.errors import S3Error, not_implemented
from nova.objectstore.index import Entry, Upload
from nova.objectstore.objects import checksum_fields, checksum_headers, checksum_of, metadata, receive
from nova.objectstore.payload import LARGEST, Payload
from nova.objectstore.request import Answer, Request, bucket_and_key
from nova.objectstore.store import Project

_MOST_PARTS = 10000
_SMALLEST_PART = 5 * 1024 * 1024
_LARGEST_OBJECT = 5 * 1024**4
_NUMBER = re.compile(r"\d{1,5}", re.ASCII)
# Whose checksum of the whole can only be made of the whole.
_WHOLE_ONLY = "crc64nvme"


def create(request: Request, project: Project, payload: Payload) -> Answer:
    """POST /BUCKET/KEY?uploads. Settles the object's metadata and the algorithm of its checksum.

    Raises S3Error for a checksum of the whole object: parts have one each, and the object one over theirs (COMPOSITE).
    """
    payload.document()
    algorithm = request.headers.get("x-amz-checksum-algorithm", "").lower() or None
    if algorithm is not None:
        checksums.check_algorithm(algorithm)
    if algorithm == _WHOLE_ONLY or request.headers.get("x-amz-checksum-type", "COMPOSITE") != "COMPOSITE":
        raise not_implemented("A checksum of the whole object (FULL_OBJECT) of an upload in parts")
    upload = Upload(uuid.uuid4().hex, request.bucket, request.key, time.time(), metadata(request.headers), algorithm)
    project.add_upload(upload)
    headers = {"x-amz-checksum-algorithm": algorithm.upper(), "x-amz-checksum-type": "COMPOSITE"} if algorithm else {}
    content = {"Bucket": upload.bucket, "Key": upload.key, "UploadId": upload.id}
    return Answer.document("InitiateMultipartUploadResult", content, headers)


def put_part(request: Request, project: Project, payload: Payload) -> Answer:
    """A part sent again replaces the one before. Raises S3Error, also when the upload ended while the part was sent."""
    upload, number = _upload(request, project), _part_number(request)
    with receive(request, project, payload) as (segment, room):
        entry = Entry(segment[1], payload.md5, time.time(), checksum_of(payload), (segment,))
        project.put_part(upload, number, entry, room)
    headers = {"ETag": f'"{entry.etag}"', **checksum_headers(entry)}
    headers.pop("x-amz-checksum-type", None)
    return Answer(headers=headers)


def copy_part(request: Request, project: Project, payload: Payload) -> Answer:
    """A part that is a piece of an object: its bytes are copied, for a segment is used whole."""
    upload, number = _upload(request, project), _part_number(request)
    bucket, key = bucket_and_key(request.headers["x-amz-copy-source"])
    source = project.object(bucket, key)
    conditions.check_copy(request.headers, source)
    begin, end = 0, source.size
    if (span := request.headers.get("x-amz-copy-source-range")) is not None:
        begin, end = conditions.copy_span(span, source)
    if end - begin > LARGEST:
        raise S3Error("EntityTooLarge")
    digest = hashlib.md5(usedforsecurity=False)
    total = checksums.ALGORITHMS[upload.algorithm]() if upload.algorithm else None

    def pieces() -> Any:
        for piece in project.read(source, begin, end):
            digest.update(piece)
            if total is not None:
                total.update(piece)
            yield piece

    with project.room(upload.bucket, end - begin) as room:
        try:
            segment = project.files.write(pieces(), room.name)
        except FileNotFoundError:
            # The source was replaced or deleted meanwhile.
            raise S3Error("NoSuchKey", Key=key) from None
        checksum = (upload.algorithm, checksums.encoded(total.digest())) if upload.algorithm and total else ()
        entry = Entry(segment[1], digest.hexdigest(), time.time(), checksum, (segment,))
        project.put_part(upload, number, entry, room)
    result = {"ETag": f'"{entry.etag}"', "LastModified": timestamp(entry.modified), **_part_checksum(entry)}
    return Answer.document("CopyPartResult", result)


def complete(request: Request, project: Project, payload: Payload) -> Answer:
    """The object is there, whole, when this answers; parts that the client's list leaves out are deleted."""
    root = parse(payload.document(), "CompleteMultipartUpload")
    condition = conditions.for_write(request.headers)
    wanted = [_wanted(element) for element in root.iter("Part")]
    upload = _upload(request, project)
    entry = project.complete(upload, lambda parts: _assemble(upload, wanted, parts), condition)
    content = {
        "Location": f"/{upload.bucket}/{upload.key}",
        "Bucket": upload.bucket,
        "Key": upload.key,
        "ETag": f'"{entry.etag}"',
        **checksum_fields(entry),
    }
    return Answer.document("CompleteMultipartUploadResult", content)


def abort(request: Request, project: Project, payload: Payload) -> Answer:
    """The parts that were sent go. Raises S3Error for an upload that has ended."""
    project.abort(_upload(request, project))
    return Answer(204)


def list_parts(request: Request, project: Project, payload: Payload) -> Answer:
    """By number, behind part-number-marker; at most 1000."""
    upload = _upload(request, project)
    marker, limit = request.number("part-number-marker", 0, _MOST_PARTS), request.number("max-parts", 1000, 1000)
    with project.reading(request.bucket) as transaction:
        parts = [(number, part) for number, part in transaction.parts(upload.id).items() if number > marker]
    shown = parts[:limit]
    owner = {"ID": request.context.project_id, "DisplayName": request.context.project_id}
    content = {
        "Bucket": upload.bucket,
        "Key": upload.key,
        "UploadId": upload.id,
        "Initiator": owner,
        "Owner": owner,
        "StorageClass": "STANDARD",
        "PartNumberMarker": marker,
        "NextPartNumberMarker": shown[-1][0] if shown else 0,
        "MaxParts": limit,
        "IsTruncated": len(parts) > len(shown),
        "ChecksumAlgorithm": upload.algorithm.upper() if upload.algorithm else None,
        "Part": [
            {
                "PartNumber": number,
                "LastModified": timestamp(part.modified),
                "ETag": f'"{part.etag}"',
                "Size": part.size,
                **_part_checksum(part),
            }
            for number, part in shown
        ],
    }
    return Answer.document("ListPartsResult", content)


def _assemble(upload: Upload, wanted: list[tuple[int, str, dict[str, str]]], parts: dict[int, Entry]) -> Entry:
    """The object of the wanted parts. Raises S3Error."""
    numbers = [number for number, _, _ in wanted]
    if not numbers:
        raise S3Error("MalformedXML")
    if numbers != sorted(set(numbers)):
        raise S3Error("InvalidPartOrder")
    chosen = []
    for number, etag, values in wanted:
        part = parts.get(number)
        if part is None or part.etag != etag or any(values[name] != values_of(part).get(name) for name in values):
            raise S3Error("InvalidPart", UploadId=upload.id, PartNumber=str(number))
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size < _SMALLEST_PART:
            raise S3Error("EntityTooSmall", ProposedSize=str(part.size), MinSizeAllowed=str(_SMALLEST_PART))
    size = sum(part.size for part in chosen)
    if size > _LARGEST_OBJECT:
        raise S3Error("EntityTooLarge")
    digests = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in chosen), usedforsecurity=False)
    segments = tuple(segment for part in chosen for segment in part.segments)
    etag = f"{digests.hexdigest()}-{len(chosen)}"
    return Entry(size, etag, time.time(), _composite(upload, chosen), segments, upload.headers)


def _composite(upload: Upload, parts: list[Entry]) -> tuple[str, ...]:
    """The checksum of the parts' checksums, where every part has one."""
    algorithm = upload.algorithm
    if algorithm is None or any(part.checksum[:1] != (algorithm,) for part in parts):
        return ()
    total = checksums.ALGORITHMS[algorithm]()
    for part in parts:
        total.update(checksums.decoded(part.checksum[1]))
    return algorithm, f"{checksums.encoded(total.digest())}-{len(parts)}"


def values_of(part: Entry) -> dict[str, str]:
    """The part's checksum by its algorithm; empty when it has none."""
    return {part.checksum[0]: part.checksum[1]} if part.checksum else {}


def _part_checksum(part: Entry) -> dict[str, str]:
    return {f"Checksum{name.upper()}": value for name, value in values_of(part).items()}


def _wanted(element: Element) -> tuple[int, str, dict[str, str]]:
    number, etag = element.findtext("PartNumber") or "", (element.findtext("ETag") or "").strip().strip('"')
    if not _NUMBER.fullmatch(number):
        raise S3Error("MalformedXML")
    given = {
        child.tag.removeprefix("Checksum").lower(): child.text or "" for child in element if "Checksum" in child.tag
    }
    return int(number), etag, given


def _upload(request: Request, project: Project) -> Upload:
    upload_id = request.parameters["uploadId"]
    with project.reading(request.bucket) as transaction:
        upload = transaction.upload(upload_id)
    if upload is None or (upload.bucket, upload.key) != (request.bucket, request.key):
        raise S3Error("NoSuchUpload", UploadId=upload_id)
    return upload


def _part_number(request: Request) -> int:
    text = request.parameters.get("partNumber", "")
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= _MOST_PARTS:
        raise S3Error("InvalidArgument", f"Part number must be an integer between 1 and {_MOST_PARTS}, inclusive")
    return int(text)
