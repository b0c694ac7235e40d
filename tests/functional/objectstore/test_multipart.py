"""Uploads in parts, with the transfer manager of boto3 and by hand."""

import hashlib
import io
import os

import pytest
from boto3.s3.transfer import TransferConfig

from tests.functional.objectstore.test_objects import refused

MIB = 1024 * 1024
WHERE = {"Bucket": "photos", "Key": "big"}


@pytest.fixture
def upload(s3):
    return {**WHERE, "UploadId": s3.create_multipart_upload(**WHERE, Metadata={"a": "1"})["UploadId"]}


def put_parts(s3, upload, *bodies):
    """Parts numbered from 1, as CompleteMultipartUpload names them."""
    return [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate(bodies, 1)
    ]


def test_the_transfer_manager_sends_and_gets_a_large_object(s3):
    content = os.urandom(14 * MIB + 17)
    parts = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=6 * MIB)

    s3.upload_fileobj(io.BytesIO(content), "photos", "big", Config=parts)
    got = io.BytesIO()
    s3.download_fileobj("photos", "big", got, Config=parts)

    assert got.getvalue() == content
    head = s3.head_object(**WHERE, ChecksumMode="ENABLED")
    assert (head["ContentLength"], head["ETag"].endswith('-3"')) == (len(content), True)
    assert head["ChecksumCRC32"].endswith("-3")
    across = s3.get_object(**WHERE, Range=f"bytes={6 * MIB - 5}-{12 * MIB + 4}")["Body"].read()
    assert across == content[6 * MIB - 5 : 12 * MIB + 5]


def test_parts_become_an_object_when_it_is_completed(store, s3, upload):
    s3.put_object(**WHERE, Body=b"old")
    files = len(store.files())
    parts = put_parts(s3, upload, bytes(5 * MIB), b"replaced", b"unused")
    parts[1]["ETag"] = s3.upload_part(**upload, PartNumber=2, Body=b"end")["ETag"]
    assert [part["Size"] for part in s3.list_parts(**upload)["Parts"]] == [5 * MIB, 3, 6]
    assert [one["UploadId"] for one in s3.list_multipart_uploads(Bucket="photos")["Uploads"]] == [upload["UploadId"]]
    assert s3.get_object(**WHERE)["Body"].read() == b"old"

    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts[:2]})

    digests = hashlib.md5(bytes(5 * MIB)).digest() + hashlib.md5(b"end").digest()
    got = s3.get_object(**WHERE)
    assert got["Body"].read() == bytes(5 * MIB) + b"end"
    assert got["ETag"] == done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    assert got["Metadata"] == {"a": "1"}
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="photos")
    # Neither the old object nor the part that nobody named is kept.
    assert len(store.files()) == files + 1
    assert refused(s3.list_parts, **upload) == ("NoSuchUpload", 404)


def test_wrong_lists_of_parts_change_nothing(s3, upload):
    parts = put_parts(s3, upload, b"small", b"end")

    def complete(chosen):
        return refused(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": chosen})

    assert complete(parts) == ("EntityTooSmall", 400)
    assert complete(parts[::-1]) == ("InvalidPartOrder", 400)
    assert complete([{**parts[0], "ETag": '"0"'}]) == ("InvalidPart", 400)
    assert complete([{**parts[0], "PartNumber": 9}]) == ("InvalidPart", 400)
    assert complete([]) == ("MalformedXML", 400)
    assert refused(s3.upload_part, **upload, PartNumber=0, Body=b"") == ("InvalidArgument", 400)
    assert refused(s3.upload_part, **upload, PartNumber=10001, Body=b"") == ("InvalidArgument", 400)
    assert refused(s3.get_object, **WHERE) == ("NoSuchKey", 404)
    assert len(s3.list_parts(**upload)["Parts"]) == 2


def test_an_upload_that_is_aborted_leaves_nothing(store, s3, upload):
    files = len(store.files())
    put_parts(s3, upload, b"1", b"2")

    s3.abort_multipart_upload(**upload)

    assert len(store.files()) == files
    assert refused(s3.abort_multipart_upload, **upload) == ("NoSuchUpload", 404)
    assert refused(s3.upload_part, **upload, PartNumber=1, Body=b"") == ("NoSuchUpload", 404)


def test_a_bucket_goes_with_its_unfinished_uploads(store, s3, upload):
    files = len(store.files())
    put_parts(s3, upload, b"1")

    s3.delete_bucket(Bucket="photos")

    assert len(store.files()) == files


def test_parts_are_copied_from_objects(s3, upload):
    s3.put_object(Bucket="photos", Key="source", Body=bytes(5 * MIB) + b"0123456789")
    source = {"CopySource": {"Bucket": "photos", "Key": "source"}}
    outside = f"bytes=0-{5 * MIB + 10}"
    assert refused(s3.upload_part_copy, **upload, **source, PartNumber=1, CopySourceRange=outside)[1] == 400

    ranges = (f"bytes=0-{5 * MIB - 1}", f"bytes={5 * MIB + 2}-{5 * MIB + 4}")
    copied = [
        s3.upload_part_copy(**upload, **source, PartNumber=number, CopySourceRange=span)["CopyPartResult"]["ETag"]
        for number, span in enumerate(ranges, 1)
    ]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(copied, 1)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    assert s3.get_object(**WHERE)["Body"].read() == bytes(5 * MIB) + b"234"
