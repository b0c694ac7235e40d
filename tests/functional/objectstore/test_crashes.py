"""A daemon that is killed, a disk that is full: an object is the old one or the new one."""

import subprocess
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.functional.cloud import wait
from tests.functional.objectstore.raw import Signer, answer, connect
from tests.functional.objectstore.test_objects import refused

MIB = 1024 * 1024
WHERE = {"Bucket": "photos", "Key": "x"}
OLD, NEW = b"o" * (2 * MIB), b"n" * (3 * MIB)


@pytest.fixture
def killed(make_store, user):
    """A daemon that may be killed, and a client; photos/x is there."""
    daemon = make_store()
    client = user.client(daemon)
    client.create_bucket(Bucket="photos")
    client.put_object(**WHERE, Body=OLD)
    return daemon, client


def test_a_kill_while_a_body_comes_leaves_the_old_object(killed, user):
    daemon, client = killed
    with connect(daemon) as connection:
        request = Signer(user, daemon).request("PUT", "/photos/x", NEW, payload="UNSIGNED-PAYLOAD")
        connection.sendall(request[: 2 * MIB])
        wait(lambda: any(path.stat().st_size > MIB for path in daemon.buckets.glob("*/incoming/*")), "half is there")
        daemon.kill()
    daemon.start()

    assert client.get_object(**WHERE)["Body"].read() == OLD
    # Whoever looks a moment later cannot know that nobody writes it any more.
    assert len(list(daemon.buckets.glob("*/incoming/*"))) == 1
    client.put_object(**WHERE, Body=NEW)
    assert client.get_object(**WHERE)["Body"].read() == NEW


@pytest.mark.parametrize("after_ms", [0, 5, 20, 50, 120])
def test_a_kill_at_the_end_of_an_upload_leaves_a_whole_object(killed, user, after_ms):
    daemon, client = killed
    upload = {**WHERE, "UploadId": client.create_multipart_upload(**WHERE)["UploadId"]}
    bodies = (b"n" * (5 * MIB), b"end")
    etags = [client.upload_part(**upload, PartNumber=n, Body=body)["ETag"] for n, body in enumerate(bodies, 1)]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    outcomes = []

    def change(call, **options):
        try:
            call(**options)
            outcomes.append(call)
        except (BotoCoreError, ClientError):
            pass

    completing = client.complete_multipart_upload
    options = {**upload, "MultipartUpload": {"Parts": parts}}
    other = {"Bucket": "photos", "Key": "y", "Body": NEW}
    threads = [
        threading.Thread(target=change, args=(completing,), kwargs=options),
        threading.Thread(target=change, args=(client.put_object,), kwargs=other),
    ]
    for thread in threads:
        thread.start()
    time.sleep(after_ms / 1000)
    daemon.kill()
    for thread in threads:
        thread.join()
    daemon.start()

    content = client.get_object(**WHERE)["Body"].read()
    whole = b"".join(bodies)
    assert content in (OLD, whole)
    if completing in outcomes:
        assert content == whole
    if content == OLD:
        # It can be completed still.
        client.complete_multipart_upload(**options)
        assert client.get_object(**WHERE)["Body"].read() == whole
    there = [one["Key"] for one in client.list_objects_v2(Bucket="photos")["Contents"]]
    if "y" in there:
        assert client.get_object(Bucket="photos", Key="y")["Body"].read() == NEW
    else:
        assert client.put_object not in outcomes


def test_an_index_that_is_lost_is_not_begun_anew(killed, user):
    daemon, client = killed
    files = daemon.files()
    daemon.kill()
    for path in daemon.buckets.glob("*/index.sqlite*"):
        path.unlink()
    daemon.start()

    assert refused(client.create_bucket, Bucket="photos") == ("InternalError", 500)

    assert daemon.files() == files


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MiB where buckets lie."""
    path = tmp_path / "buckets"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", path], check=True)
    yield
    subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_refuses_and_keeps_what_there_is(small_disk, make_store, user):
    daemon = make_store()
    client = user.client(daemon)
    client.create_bucket(Bucket="photos")
    client.put_object(**WHERE, Body=OLD)

    assert refused(client.put_object, **WHERE, Body=bytes(7 * MIB)) == ("InsufficientStorage", 507)

    assert client.get_object(**WHERE)["Body"].read() == OLD
    assert list(daemon.buckets.glob("*/incoming/*")) == []
    client.put_object(**WHERE, Body=NEW)
    assert client.get_object(**WHERE)["Body"].read() == NEW
    with connect(daemon) as connection:
        connection.sendall(Signer(user, daemon).request("GET", "/photos/x"))
        assert answer(connection)[0] == 200


def test_an_object_is_read_to_its_end_while_it_is_replaced(killed):
    _, client = killed
    body = client.get_object(**WHERE)["Body"]
    begun = body.read(1000)

    client.put_object(**WHERE, Body=NEW)

    assert begun + body.read() == OLD
