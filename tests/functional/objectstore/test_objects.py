"""Buckets and objects as boto3 uses them."""

import datetime
import hashlib

import pytest
import requests
from botocore.exceptions import ClientError

from tests.functional.objectstore.stores import User


def refused(call, *args, **kwargs):
    """The code and status of a refusal."""
    with pytest.raises(ClientError) as raised:
        call(*args, **kwargs)
    answer = raised.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_what_is_put_is_got(s3):
    put = s3.put_object(
        Bucket="photos", Key="a/b c+é&<.txt", Body=b"hello", ContentType="text/plain", Metadata={"my_key": "v"}
    )

    got = s3.get_object(Bucket="photos", Key="a/b c+é&<.txt")
    assert got["Body"].read() == b"hello"
    assert got["ETag"] == put["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert (got["ContentType"], got["Metadata"], got["ContentLength"]) == ("text/plain", {"my_key": "v"}, 5)
    head = s3.head_object(Bucket="photos", Key="a/b c+é&<.txt", ChecksumMode="ENABLED")
    assert head["ContentLength"] == 5
    assert head["ChecksumCRC32"] == put["ChecksumCRC32"] == "NhCmhg=="
    assert datetime.datetime.now(datetime.UTC) - head["LastModified"] < datetime.timedelta(minutes=1)


def test_an_object_that_is_put_again_is_the_new_one_and_leaves_no_file(store, s3):
    before = len(store.files())
    for body in (b"old", b"new and longer", b""):
        s3.put_object(Bucket="photos", Key="x", Body=body)

    assert s3.get_object(Bucket="photos", Key="x")["Body"].read() == b""
    assert len(store.files()) == before + 1
    s3.delete_object(Bucket="photos", Key="x")
    assert len(store.files()) == before
    assert refused(s3.get_object, Bucket="photos", Key="x") == ("NoSuchKey", 404)
    s3.delete_object(Bucket="photos", Key="x")


def test_buckets_come_and_go(s3):
    s3.head_bucket(Bucket="photos")
    assert refused(s3.create_bucket, Bucket="photos") == ("BucketAlreadyOwnedByYou", 409)
    s3.create_bucket(Bucket="more", CreateBucketConfiguration={"LocationConstraint": "RegionOne"})
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["more", "photos"]
    assert s3.get_bucket_location(Bucket="more")["LocationConstraint"] == "RegionOne"

    s3.put_object(Bucket="more", Key="x", Body=b"")
    assert refused(s3.delete_bucket, Bucket="more") == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket="more", Key="x")
    s3.delete_bucket(Bucket="more")

    assert refused(s3.list_objects_v2, Bucket="more") == ("NoSuchBucket", 404)
    assert refused(s3.put_object, Bucket="more", Key="x", Body=b"1") == ("NoSuchBucket", 404)


def test_a_project_sees_nothing_of_another(store, real_keystone, s3):
    s3.put_object(Bucket="photos", Key="x", Body=b"mine")
    stranger = User(real_keystone).client(store)

    assert stranger.list_buckets()["Buckets"] == []
    assert refused(stranger.get_object, Bucket="photos", Key="x") == ("NoSuchBucket", 404)
    # Names are a project's own: that this one is taken elsewhere cannot be learned.
    stranger.create_bucket(Bucket="photos")
    assert refused(stranger.get_object, Bucket="photos", Key="x") == ("NoSuchKey", 404)
    stranger.put_object(Bucket="photos", Key="x", Body=b"theirs")
    copy = {"Bucket": "photos", "Key": "x"}
    stranger.copy_object(Bucket="photos", Key="y", CopySource=copy)

    assert stranger.get_object(Bucket="photos", Key="y")["Body"].read() == b"theirs"
    assert s3.get_object(Bucket="photos", Key="x")["Body"].read() == b"mine"


def test_members_of_a_project_share_it_and_readers_only_read(store, real_keystone, user, s3):
    s3.put_object(Bucket="photos", Key="x", Body=b"ours")
    reader = User(real_keystone, role="reader", project_id=user.project_id).client(store)

    assert reader.get_object(Bucket="photos", Key="x")["Body"].read() == b"ours"
    assert refused(reader.put_object, Bucket="photos", Key="x", Body=b"") == ("AccessDenied", 403)
    assert refused(reader.delete_object, Bucket="photos", Key="x") == ("AccessDenied", 403)


def test_wrong_keys_open_nothing(store, user):
    assert refused(user.client(store, secret="guessed").list_buckets) == ("SignatureDoesNotMatch", 403)
    user.access = "0" * 32
    assert refused(user.client(store).list_buckets) == ("InvalidAccessKeyId", 403)
    answer = requests.get(f"{store.url}/photos", timeout=60)
    assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)


def test_listing_goes_by_prefix_delimiter_and_page(s3):
    keys = sorted(["a.txt", "b/1", "b/2", "b/c/1", "b\x7f", "bé", "z"] + [f"n/{number:03}" for number in range(9)])
    for key in keys:
        s3.put_object(Bucket="photos", Key=key, Body=b"")

    def pages(operation, **options):
        found, prefixes = [], []
        for page in s3.get_paginator(operation).paginate(Bucket="photos", **options):
            found += [content["Key"] for content in page.get("Contents", [])]
            prefixes += [prefix["Prefix"] for prefix in page.get("CommonPrefixes", [])]
        return found, prefixes

    by_bytes = sorted(keys, key=str.encode)
    for operation in ("list_objects", "list_objects_v2"):
        assert pages(operation) == (by_bytes, [])
        for size in (1, 3, 1000):
            page = {"PageSize": size}
            expected = (["a.txt", "b\x7f", "bé", "z"], ["b/", "n/"])
            assert pages(operation, Delimiter="/", PaginationConfig=page) == expected
            assert pages(operation, Prefix="b/", Delimiter="/", PaginationConfig=page) == (["b/1", "b/2"], ["b/c/"])
            assert pages(operation, Prefix="n/", PaginationConfig=page)[0] == [key for key in keys if key[:2] == "n/"]
    assert pages("list_objects_v2", StartAfter="n/007") == ([key for key in by_bytes if key > "n/007"], [])
    assert s3.list_objects_v2(Bucket="photos", MaxKeys=0)["KeyCount"] == 0


def test_ranges(s3):
    s3.put_object(Bucket="photos", Key="x", Body=b"0123456789")

    def part(value):
        got = s3.get_object(Bucket="photos", Key="x", Range=value)
        return got["ResponseMetadata"]["HTTPStatusCode"], got.get("ContentRange"), got["Body"].read()

    assert part("bytes=2-4") == (206, "bytes 2-4/10", b"234")
    assert part("bytes=7-") == (206, "bytes 7-9/10", b"789")
    assert part("bytes=-3") == (206, "bytes 7-9/10", b"789")
    assert part("bytes=8-99") == (206, "bytes 8-9/10", b"89")
    assert part("bytes=4-2") == (200, None, b"0123456789")
    for beyond in ("bytes=10-", "bytes=-0"):
        assert refused(s3.get_object, Bucket="photos", Key="x", Range=beyond) == ("InvalidRange", 416)


def test_conditions(s3):
    etag = s3.put_object(Bucket="photos", Key="x", Body=b"1")["ETag"]
    long_ago = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
    get = {"Bucket": "photos", "Key": "x"}

    assert s3.get_object(**get, IfMatch=etag)["Body"].read() == b"1"
    assert refused(s3.get_object, **get, IfMatch='"other"') == ("PreconditionFailed", 412)
    assert refused(s3.get_object, **get, IfNoneMatch=etag) == ("304", 304)
    assert refused(s3.get_object, **get, IfUnmodifiedSince=long_ago) == ("PreconditionFailed", 412)
    assert refused(s3.put_object, **get, Body=b"2", IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refused(s3.put_object, **get, Body=b"2", IfMatch='"other"') == ("PreconditionFailed", 412)
    assert s3.get_object(**get)["Body"].read() == b"1"
    s3.put_object(**get, Body=b"2", IfMatch=etag)
    s3.put_object(Bucket="photos", Key="new", Body=b"", IfNoneMatch="*")

    assert s3.get_object(**get)["Body"].read() == b"2"


def test_copies_are_objects_of_their_own(s3):
    s3.put_object(Bucket="photos", Key="x", Body=b"1", ContentType="text/plain", Metadata={"a": "1"})
    s3.create_bucket(Bucket="copies")
    source = {"Bucket": "photos", "Key": "x"}
    s3.copy_object(Bucket="copies", Key="y/é", CopySource=source)
    s3.copy_object(Bucket="copies", Key="z", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"})
    s3.delete_object(**source)

    same, other = (s3.get_object(Bucket="copies", Key=key) for key in ("y/é", "z"))
    assert (same["Body"].read(), same["Metadata"], same["ContentType"]) == (b"1", {"a": "1"}, "text/plain")
    assert (other["Body"].read(), other["Metadata"]) == (b"1", {"b": "2"})
    assert refused(s3.copy_object, Bucket="copies", Key="a", CopySource=source) == ("NoSuchKey", 404)


def test_many_objects_are_deleted_at_once(s3):
    for key in ("a", "b", "c"):
        s3.put_object(Bucket="photos", Key=key, Body=b"")

    keys = [{"Key": key} for key in ("a", "c", "unknown")]
    deleted = s3.delete_objects(Bucket="photos", Delete={"Objects": keys})["Deleted"]

    assert [one["Key"] for one in deleted] == ["a", "c", "unknown"]
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="photos")["Contents"]] == ["b"]


def test_a_presigned_address_opens_one_thing_for_a_while(store, user, s3):
    s3.put_object(Bucket="photos", Key="x y", Body=b"shared")
    target = {"Bucket": "photos", "Key": "x y"}

    url = s3.generate_presigned_url("get_object", Params=target, ExpiresIn=60)
    assert "X-Amz-Signature" in url
    assert requests.get(url, timeout=60).content == b"shared"
    assert requests.get(url.replace("x%20y", "z"), timeout=60).status_code == 403
    assert requests.delete(url, timeout=60).status_code == 403
    assert requests.get(url.replace("Expires=60", "Expires=6000"), timeout=60).status_code == 403
    # What the log says of it must not open anything.
    secrets = url.partition("X-Amz-Signature=")[2].partition("&")[0]
    assert secrets not in store.log.read_text()
    put = s3.generate_presigned_url("put_object", Params=target, ExpiresIn=60)
    assert requests.put(put, data=b"changed", timeout=60).status_code == 200
    assert s3.get_object(**target)["Body"].read() == b"changed"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_are_kept_and_checked(s3, algorithm):
    put = s3.put_object(Bucket="photos", Key="x", Body=b"hello", ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket="photos", Key="x", ChecksumMode="ENABLED")
    name = f"Checksum{algorithm}"
    wrong = {name: "A" + put[name][1:] if put[name][0] != "A" else "B" + put[name][1:]}

    assert put[name] == head[name]
    assert refused(s3.put_object, Bucket="photos", Key="y", Body=b"hello", **wrong) == ("BadDigest", 400)
    assert refused(s3.head_object, Bucket="photos", Key="y") == ("404", 404)


def test_over_tls_bodies_are_chunked_with_trailers(make_store, certificate, user):
    cert, key = certificate
    store = make_store(f"enabled_ssl_apis = s3\n[wsgi]\nssl_cert_file = {cert}\nssl_key_file = {key}\n")
    client = user.client(store, verify=str(cert))
    sent = []
    client.meta.events.register("before-send.s3.PutObject", lambda request, **_: sent.append(str(request.headers)))
    client.create_bucket(Bucket="photos")
    body = bytes(range(256)) * 10000

    client.put_object(Bucket="photos", Key="x", Body=body)

    assert "STREAMING-UNSIGNED-PAYLOAD-TRAILER" in sent[0]
    got = client.get_object(Bucket="photos", Key="x")
    assert got["Body"].read() == body
    assert got.get("ContentEncoding") is None
    assert "ChecksumCRC32" in got


def test_what_is_not_here_is_refused(s3):
    where = {"Bucket": "photos", "Key": "x"}

    assert refused(s3.put_object, **where, Body=b"", ACL="public-read") == ("NotImplemented", 501)
    assert refused(s3.put_object, **where, Body=b"", ServerSideEncryption="AES256") == ("NotImplemented", 501)
    assert refused(s3.put_object, **where, Body=b"", Tagging="a=b") == ("NotImplemented", 501)
    assert refused(s3.get_bucket_lifecycle_configuration, Bucket="photos") == ("NotImplemented", 501)
    assert refused(s3.get_object, **where, VersionId="1") == ("NotImplemented", 501)
    assert refused(s3.head_object, **where) == ("404", 404)


def test_quota_counts_everything_in_a_bucket(make_store, user):
    client = user.client(make_store("s3_bucket_quota_mb = 1\ns3_max_buckets = 1"))
    client.create_bucket(Bucket="small")
    assert refused(client.create_bucket, Bucket="second") == ("TooManyBuckets", 400)
    where = {"Bucket": "small", "Key": "x"}
    client.put_object(**where, Body=bytes(700_000))

    assert refused(client.put_object, Bucket="small", Key="y", Body=bytes(400_000)) == ("QuotaExceeded", 403)
    upload = client.create_multipart_upload(Bucket="small", Key="y")["UploadId"]
    part = {"Bucket": "small", "Key": "y", "UploadId": upload, "PartNumber": 1}
    assert refused(client.upload_part, **part, Body=bytes(400_000)) == ("QuotaExceeded", 403)
    client.upload_part(**part, Body=bytes(300_000))
    assert refused(client.copy_object, Bucket="small", Key="z", CopySource=where) == ("QuotaExceeded", 403)
    client.abort_multipart_upload(Bucket="small", Key="y", UploadId=upload)
    client.delete_object(**where)

    client.put_object(Bucket="small", Key="y", Body=bytes(1_000_000))


def test_green_threads_serve_it_too(make_store, user):
    client = user.client(make_store("concurrency_backend = eventlet"))
    client.create_bucket(Bucket="photos")
    body = bytes(range(256)) * 20000

    for number in range(2):
        client.put_object(Bucket="photos", Key=f"x{number}", Body=body)

    assert client.get_object(Bucket="photos", Key="x1")["Body"].read() == body
