"""What clients never send: names that would escape, lengths that lie, broken chunks, documents that explode."""

import datetime
import hashlib
import threading

import pytest

from tests.functional.objectstore.raw import Signer, answer, ask, connect


@pytest.fixture
def signer(store, user, s3):
    return Signer(user, store)


def keys(s3):
    return [content["Key"] for content in s3.list_objects_v2(Bucket="photos").get("Contents", [])]


@pytest.mark.parametrize(
    "key", ["../../escape", "..", "a/../../../b", "/etc/passwd", "a//b", "%", "a\\b", ".", "x" * 1024]
)
def test_a_key_is_a_name_and_never_a_path(store, signer, s3, key):
    quoted = "".join(f"%{byte:02X}" for byte in key.encode())

    assert ask(store, signer.request("PUT", f"/photos/{quoted}", b"inside"))[0] == 200

    assert ask(store, signer.request("GET", f"/photos/{quoted}")) == (200, "inside")
    assert keys(s3) == [key]
    around = {path.name for path in store.directory.iterdir()}
    assert around <= {"buckets", "log", "nova.conf"}
    assert all(len(path.name) == 64 for path in store.buckets.iterdir())


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/photos/a%00b", "InvalidURI"),
        ("/photos/%FF%FE", "InvalidURI"),
        ("/photos/" + "x" * 1025, "KeyTooLongError"),
        ("/%2e%2e/x", "InvalidBucketName"),
        ("/photos%2f..%2fother/x", "InvalidBucketName"),
        ("/PHOTOS/x", "InvalidBucketName"),
        ("//x", "InvalidURI"),
        ("/192.168.5.4/x", "InvalidBucketName"),
        ("/a%00b", "InvalidBucketName"),
    ],
)
def test_what_can_be_no_name_is_refused(store, signer, s3, path, code):
    status, body = ask(store, signer.request("PUT", path, b"x"))

    assert (status, f"<Code>{code}</Code>" in body) == (400, True), body
    assert keys(s3) == []


def test_a_header_that_is_not_signed_is_not_believed(store, signer, s3):
    request = signer.request("PUT", "/photos/x", b"x").replace(b"\r\nhost", b"\r\nx-amz-acl: private\r\nhost", 1)

    status, body = ask(store, request)

    assert (status, "not signed" in body) == (403, True)


def test_another_body_than_the_signed_one_is_not_kept(store, signer, s3):
    files = len(store.files())
    for payload, code in (
        (hashlib.sha256(b"x").hexdigest(), "XAmzContentSHA256Mismatch"),
        ("nonsense", "InvalidArgument"),
    ):
        status, body = ask(store, signer.request("PUT", "/photos/x", b"y", payload=payload))
        assert (status, f"<Code>{code}</Code>" in body) == (400, True)
    for value, code in (("AAAA", "InvalidDigest"), ("1B2M2Y8AsgTpgAmY7PhCfg==", "BadDigest")):
        status, body = ask(store, signer.request("PUT", "/photos/x", b"y", headers={"content-md5": value}.items()))
        assert (status, f"<Code>{code}</Code>" in body) == (400, True)

    assert (keys(s3), len(store.files())) == ([], files)


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_signature_from_another_time_is_refused(store, user, s3, minutes):
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)

    status, body = ask(store, Signer(user, store, at).request("GET", "/photos"))

    assert (status, "<Code>RequestTimeTooSkewed</Code>" in body) == (403, True)


def test_an_upload_that_ends_early_leaves_nothing(store, signer, s3):
    files = len(store.files())
    with connect(store) as connection:
        connection.sendall(signer.request("PUT", "/photos/x", b"begun", payload="UNSIGNED-PAYLOAD", length=100))
        connection.shutdown(1)
        status, body = answer(connection)

    assert (status, "<Code>IncompleteBody</Code>" in body) == (400, True)
    assert (keys(s3), len(store.files())) == ([], files)
    assert list(store.buckets.glob("*/incoming/*")) == []


def test_a_length_is_needed_and_no_lie(store, signer, s3):
    head, _ = signer.head("PUT", "/photos/x", "UNSIGNED-PAYLOAD")
    assert ask(store, head + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")[0] == 411
    assert ask(store, signer.request("PUT", "/photos/x", b"", payload="UNSIGNED-PAYLOAD", length=6 * 1024**3))[0] == 400
    assert ask(store, head + b"Content-Length: -1\r\n\r\n")[0] == 400
    assert keys(s3) == []


def test_a_client_that_asks_first_hears_a_refusal_before_it_sends(store, signer, s3):
    asks = [("expect", "100-continue")]
    with connect(store) as connection:
        connection.sendall(signer.request("PUT", "/nobody/x", length=10**9, payload="UNSIGNED-PAYLOAD", headers=asks))
        assert answer(connection)[0] == 404
    with connect(store) as connection:
        connection.sendall(signer.request("PUT", "/photos/x", length=2, payload="UNSIGNED-PAYLOAD", headers=asks))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert answer(connection)[0] == 200
    assert s3.get_object(Bucket="photos", Key="x")["Body"].read() == b"ok"


def chunked(signer, chunks, trailer=b"", kind="STREAMING-UNSIGNED-PAYLOAD-TRAILER", length=None, headers=()):
    """A request with a body in chunks that are given as they go over the wire."""
    body = b"".join(chunks) + trailer
    size = str(length if length is not None else 5)
    extra = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": size, **dict(headers)}
    return signer.request("PUT", "/photos/x", body, payload=kind, headers=extra.items())


@pytest.mark.parametrize(
    ("chunks", "trailer", "code"),
    [
        ([b"zz\r\n"], b"", "IncompleteBody"),
        ([b"5\r\nhelloX\r\n0\r\n"], b"\r\n", "IncompleteBody"),
        ([b"5\r\nhel"], b"", "IncompleteBody"),
        ([b"5\r\nhello\r\n"], b"", "IncompleteBody"),
        ([b"4\r\nhell\r\n0\r\n"], b"\r\n", "IncompleteBody"),
        ([b"6\r\nhello!\r\n0\r\n"], b"\r\n", "IncompleteBody"),
        ([b"5" + b";" * 9000 + b"\r\n"], b"", "IncompleteBody"),
        ([b"5\r\nhello\r\n0\r\n"], b"no header\r\n\r\n", "IncompleteBody"),
        ([b"5\r\nhello\r\n0\r\n"], b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n", "BadDigest"),
        ([b"5\r\nhello\r\n0\r\n"], b"\r\n", "InvalidRequest"),
        ([b"5;chunk-signature=" + b"0" * 64 + b"\r\nhello\r\n0\r\n"], b"\r\n", "SignatureDoesNotMatch"),
    ],
)
def test_broken_chunks_are_refused(store, signer, s3, chunks, trailer, code):
    announced = {"x-amz-trailer": "x-amz-checksum-crc32"}.items()

    status, body = ask(store, chunked(signer, chunks, trailer, headers=announced))

    assert (status in (400, 403), f"<Code>{code}</Code>" in body) == (True, True), body
    assert keys(s3) == []


def signed_chunks(signer, seed, pieces, trailer=None):
    """Chunks that sign each other, as SDKs over plain HTTP send them."""
    previous, sent = seed, b""
    for piece in [*pieces, b""]:
        digests = f"{hashlib.sha256(b'').hexdigest()}\n{hashlib.sha256(piece).hexdigest()}"
        previous = signer.sign(f"AWS4-HMAC-SHA256-PAYLOAD\n{signer.time}\n{signer.scope}\n{previous}\n{digests}")
        sent += f"{len(piece):x};chunk-signature={previous}\r\n".encode() + piece + (b"\r\n" if piece else b"")
    if trailer is not None:
        digest = hashlib.sha256(trailer + b"\n").hexdigest()
        text = f"AWS4-HMAC-SHA256-TRAILER\n{signer.time}\n{signer.scope}\n{previous}\n{digest}"
        sent += trailer + b"\r\nx-amz-trailer-signature:" + signer.sign(text).encode() + b"\r\n"
    return sent + b"\r\n"


@pytest.mark.parametrize("trailer", [None, b"x-amz-checksum-crc32:NhCmhg=="])
def test_chunks_with_signatures_are_checked_one_by_one(store, signer, s3, trailer):
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
    extra = {"x-amz-decoded-content-length": "5", **({"x-amz-trailer": "x-amz-checksum-crc32"} if trailer else {})}

    def send(change):
        head, seed = signer.head("PUT", "/photos/x", kind, extra.items())
        body = change(signed_chunks(signer, seed, [b"hel", b"lo"], trailer))
        return ask(store, head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    status, body = send(lambda sent: sent.replace(b"hel", b"HEL"))
    assert (status, "<Code>SignatureDoesNotMatch</Code>" in body) == (403, True), body
    assert keys(s3) == []
    assert send(lambda sent: sent)[0] == 200
    assert s3.get_object(Bucket="photos", Key="x")["Body"].read() == b"hello"


BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbb">]><Delete><Object><Key>&b;</Key></Object></Delete>'


@pytest.mark.parametrize(
    "document",
    [b"", b"<", b"<Delete/>", b"<Other/>", BOMB, b"<Delete>" + b"<Object/>" * 1001 + b"</Delete>", b"x" * 3_000_000],
)
def test_documents_that_are_none_are_refused(store, signer, s3, document):
    s3.put_object(Bucket="photos", Key="bbbb", Body=b"")

    status, body = ask(store, signer.request("POST", "/photos", document, query="delete="))

    assert (status, "<Code>MalformedXML</Code>" in body) == (400, True), body
    assert keys(s3) == ["bbbb"]


@pytest.mark.parametrize(
    "query",
    ["max-keys=x", "max-keys=-1", "encoding-type=x", "continuation-token=%21&list-type=2", "list-type=2&prefix=%FF"],
)
def test_wrong_parameters_of_lists_are_refused(store, signer, s3, query):
    canonical = "&".join(sorted(query.split("&")))

    assert ask(store, signer.request("GET", "/photos", query=canonical))[0] == 400


def test_of_two_that_write_only_if_there_is_none_one_wins(store, user, s3):
    outcomes = []

    def write(number):
        client = user.client(store)
        try:
            client.put_object(Bucket="photos", Key="x", Body=str(number).encode(), IfNoneMatch="*")
            outcomes.append(number)
        except client.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    [winner] = outcomes
    assert s3.get_object(Bucket="photos", Key="x")["Body"].read() == str(winner).encode()
