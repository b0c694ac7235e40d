"""What counts in a bucket's quota: everything that it makes the disk hold."""

import socket

import pytest
from botocore.exceptions import ClientError

from tests.functional.cloud import wait
from tests.functional.objectstore.raw import Signer, answer, connect
from tests.functional.objectstore.test_objects import refused

MOST = 1024 * 1024
LONG = {"Key": "k" * 1000, "ContentDisposition": "d" * 15000}
REFUSED = ("QuotaExceeded", 403)


@pytest.fixture
def small(make_store, user):
    """A daemon whose buckets hold 1 MiB, and a client that has such a bucket."""
    daemon = make_store("s3_bucket_quota_mb = 1")
    client = user.client(daemon)
    client.create_bucket(Bucket="small")
    return daemon, client


def is_taken(call, **arguments):
    """Whether there was room for it."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == REFUSED[0]
        return False
    return True


def taken_of(most, call):
    """How many calls, given a number each, there was room for; they do not reach most."""
    taken = next((number for number in range(most) if not is_taken(call, number=number)), None)
    assert taken is not None, f"{most} were taken"
    return taken


def test_empty_objects_count_with_their_keys_and_headers(small):
    _, client = small

    empty = taken_of(257, lambda number: client.put_object(Bucket="small", Key=f"{number}", Body=b""))
    for number in range(empty):
        client.delete_object(Bucket="small", Key=f"{number}")
    long = {**LONG, "Bucket": "small", "Body": b""}
    described = taken_of(60, lambda number: client.put_object(**{**long, "Key": f"{number}{LONG['Key']}"}))

    assert described < empty / 4


def test_open_uploads_count_until_they_end(small):
    _, client = small
    where = {**LONG, "Bucket": "small"}

    uploads = []

    taken_of(60, lambda number: uploads.append(client.create_multipart_upload(**where)["UploadId"]))

    assert refused(client.put_object, Bucket="small", Key="x", Body=bytes(100_000)) == REFUSED
    for upload in uploads:
        client.abort_multipart_upload(Bucket="small", Key=LONG["Key"], UploadId=upload)
    client.put_object(Bucket="small", Key="x", Body=bytes(1_000_000))


def test_a_finished_upload_counts_as_the_object_that_it_is(small):
    _, client = small
    where = {"Bucket": "small", "Key": "x"}

    for _ in range(40):
        upload = {**where, "UploadId": client.create_multipart_upload(**where)["UploadId"]}
        etag = client.upload_part(**upload, PartNumber=1, Body=bytes(300_000))["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        client.complete_multipart_upload(**upload, MultipartUpload=parts)

    client.put_object(Bucket="small", Key="y", Body=bytes(700_000))
    assert refused(client.put_object, Bucket="small", Key="z", Body=bytes(100_000)) == REFUSED


def test_a_body_on_its_way_holds_its_room(small, user):
    daemon, client = small
    body = bytes(700_000)
    where = {"Bucket": "small", "Key": "z"}
    part = {**where, "UploadId": client.create_multipart_upload(**where)["UploadId"]}

    with connect(daemon) as connection:
        request = Signer(user, daemon).request("PUT", "/small/x", body, payload="UNSIGNED-PAYLOAD")
        connection.sendall(request[:200_000])
        wait(lambda: list(daemon.buckets.glob("*/incoming/*")), "it has begun")

        assert refused(client.put_object, Bucket="small", Key="y", Body=bytes(400_000)) == REFUSED
        assert refused(client.upload_part, **part, PartNumber=1, Body=bytes(400_000)) == REFUSED
        client.put_object(Bucket="small", Key="y", Body=bytes(200_000))
        connection.sendall(request[200_000:])
        assert answer(connection)[0] == 200

    assert client.head_object(Bucket="small", Key="x")["ContentLength"] == len(body)


def test_a_body_that_broke_off_gives_its_room_back(small, user):
    daemon, client = small

    with connect(daemon) as connection:
        request = Signer(user, daemon).request("PUT", "/small/x", bytes(700_000), payload="UNSIGNED-PAYLOAD")
        connection.sendall(request[:200_000])
        wait(lambda: list(daemon.buckets.glob("*/incoming/*")), "it has begun")
        assert refused(client.put_object, Bucket="small", Key="y", Body=bytes(400_000)) == REFUSED

    wait(lambda: is_taken(client.put_object, Bucket="small", Key="y", Body=bytes(400_000)), "there is room again")


def test_an_object_that_is_deleted_while_somebody_reads_it_slowly_counts_until_the_reader_ends(make_store, user):
    daemon = make_store("s3_bucket_quota_mb = 24")
    client, body = user.client(daemon), bytes(20 * MOST)
    client.create_bucket(Bucket="small")
    client.put_object(Bucket="small", Key="x", Body=body)

    with socket.socket() as slow:
        # Less than what the object has beyond all that is on the way.
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", daemon.port))
        slow.sendall(Signer(user, daemon).request("GET", "/small/x"))
        assert slow.recv(12) == b"HTTP/1.1 200"
        client.delete_object(Bucket="small", Key="x")

        assert refused(client.put_object, Bucket="small", Key="y", Body=body) == REFUSED

    wait(lambda: is_taken(client.put_object, Bucket="small", Key="y", Body=body), "there is room again")
