"""What a client gets and what an operator reads: answers, the access log, the guard, TLS."""

import http.client
import json
import ssl
import subprocess

import pytest

from nova.conf import BadConfiguration, load
from nova.http import tls
from tests.functional.http.conftest import parse, read_all, read_answer, request, trusting


def test_a_request_arrives_as_it_was_sent(serve):
    service = serve()

    _, _, body = service.ask("/a%2Fb%C3%A9?x=1&y=%20", "POST", ["X_User_Id: root"], b"content")

    told = json.loads(body)
    assert told == {
        "method": "POST",
        "path": "/a/b\u00c3\u00a9",
        "query": "x=1&y=%20",
        "body": "content",
        "scheme": "http",
        # A header with an underscore must not pass for the one with a hyphen.
        "user": None,
    }


def test_a_body_in_chunks_is_put_together(serve):
    service = serve()

    sent = request(method="PUT", headers=["Transfer-Encoding: chunked", "Connection: close"])
    with service.connect() as connection:
        connection.sendall(sent + b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        _, _, body = parse(read_all(connection))

    assert json.loads(body)["body"] == "abcdefg"


def test_a_trailer_is_no_header(serve):
    """What a proxy sets, strips or checks in the header would come behind it unseen. Source: RFC 9110, 6.5.1."""
    service = serve()

    sent = request(method="PUT", headers=["Transfer-Encoding: chunked", "Trailer: X-User-Id", "Connection: close"])
    with service.connect() as connection:
        connection.sendall(sent + b"3\r\nabc\r\n0\r\nX-User-Id: mallory\r\n\r\n")
        _, _, body = parse(read_all(connection))

    told = json.loads(body)
    assert (told["body"], told["user"]) == ("abc", None)


def test_a_client_that_asks_first_is_told_to_go_on(serve):
    service = serve()

    with service.connect() as connection:
        connection.sendall(request(method="POST", headers=["Content-Length: 2", "Expect: 100-continue"]))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")

        assert json.loads(read_answer(connection)[2])["body"] == "ok"


def test_requests_sent_ahead_are_answered_in_their_order(serve):
    service = serve()

    with service.connect() as connection:
        connection.sendall(request("/1") + request("/2") + request("/3", headers=["Connection: close"]))
        received = read_all(connection)

    assert [received.index(b'"path": "/%d"' % number) for number in (1, 2, 3)] == sorted(
        received.index(b'"path": "/%d"' % number) for number in (1, 2, 3)
    )


def test_an_answer_in_pieces_comes_in_chunks_or_until_the_end(serve):
    service = serve()

    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    connection.request("GET", "/stream")
    answer = connection.getresponse()
    assert (answer.getheader("Transfer-Encoding"), answer.read()) == ("chunked", b"first,second")
    connection.close()
    with service.connect() as old:
        old.sendall(b"GET /stream HTTP/1.0\r\n\r\n")
        assert parse(read_all(old))[2] == b"first,second"


def test_head_has_the_length_and_no_body(serve):
    service = serve()

    status, headers, body = service.ask(method="HEAD")

    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


def test_each_request_is_a_line_of_the_log(serve):
    service = serve()

    _, _, body = service.ask("/v2.1/servers?limit=2", "POST", body=b"{}")

    [line] = service.lines('"POST /v2.1/servers?limit=2"')
    assert " INFO " in line
    assert f'127.0.0.1 "POST /v2.1/servers?limit=2" status: 200 len: {len(body)} time: 0.' in line
    assert "id: req-" in line
    assert "project: demo user: alice" in line


@pytest.mark.parametrize(
    "target, shown",
    [
        ("/vnc_auto.html?token=s3cret&title=a", "/vnc_auto.html?token=***&title=a"),
        ("/vnc_auto.html?path=%3Ftoken%3Ds3cret", "/vnc_auto.html?path=***"),
        ("/x?%74oken=s3cret", "/x?%74oken=***"),
        ("/x?X-Amz-Signature=s3cret&Expires=5", "/x?X-Amz-Signature=***&Expires=5"),
        ("/x?a=%22&b=1%0a", "/x?a=%22&b=1%0a"),
        ("/x%0a127.0.0.1%20forged%22", "/x%0A127.0.0.1%20forged%22"),
    ],
)
def test_the_log_holds_no_secret_and_no_forged_line(serve, target, shown):
    service = serve()

    service.ask(target, headers=["X-Auth-Token: s3cret", "Authorization: s3cret"])

    assert service.lines(f'"GET {shown}"')
    assert "s3cret" not in service.log.read_text()


def test_the_access_log_may_be_switched_off(serve):
    service = serve("[wsgi]\naccess_log = false\n")

    service.ask("/fails")

    assert service.lines("ERROR", "GET /fails failed")
    assert "status:" not in service.log.read_text()


def test_pages_of_health_are_not_logged(serve):
    service = serve("debug = false\n")

    service.ask("/healthz", port=service.health_port)
    _, _, metrics = service.ask("/metrics", port=service.health_port)
    service.ask("/last")

    assert b"nova_http_requests_total{" not in metrics
    assert service.lines('"GET /last"')
    assert "/healthz" not in service.log.read_text()


def test_a_defect_is_answered_and_logged_with_its_trace_and_id(serve):
    service = serve()

    status, headers, body = service.ask("/fails")

    assert status == 500
    assert body.startswith(b"An unexpected error has occurred.")
    [line] = service.lines("GET /fails failed")
    assert headers["x-openstack-request-id"] in line
    assert service.lines("ModuleNotFoundError: No module named 'memcache'")
    assert service.lines('"GET /fails"', "status: 500")


def test_a_proxy_that_ends_tls_says_so(serve):
    service = serve("[wsgi]\nsecure_proxy_ssl_header = HTTP_X_FORWARDED_PROTO\n")

    schemes = [
        json.loads(service.ask(headers=headers)[2])["scheme"]
        for headers in (["X-Forwarded-Proto: https"], [], ["X-Forwarded-Proto: gopher"])
    ]

    assert schemes == ["https", "http", "http"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that has signed itself, and its key."""
    directory = tmp_path_factory.mktemp("tls")
    cert, key = directory / "cert.pem", directory / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=api -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def settings(certificate, more=""):
    cert, key = certificate
    return f"enabled_ssl_apis = osapi_compute\n[wsgi]\nssl_cert_file = {cert}\nssl_key_file = {key}\n{more}"


def test_an_api_speaks_tls(serve, certificate):
    service = serve(settings(certificate))

    connection = http.client.HTTPSConnection("127.0.0.1", service.port, timeout=20, context=trusting(certificate[0]))
    told = []
    for _ in range(2):
        connection.request("POST", "/", body=b"x" * 100000)
        told.append(json.loads(connection.getresponse().read()))
    connection.close()

    assert [one["scheme"] for one in told] == ["https", "https"]
    assert len(told[1]["body"]) == 100000


def test_a_handshake_that_never_comes_is_cut_off(serve, certificate):
    service = serve(settings(certificate, "client_header_timeout = 1\n"))

    with service.connect() as connection:
        assert connection.recv(1) == b""


def test_clients_without_a_certificate_are_refused_where_one_is_wanted(serve, certificate):
    service = serve(settings(certificate, f"ssl_ca_file = {certificate[0]}\n"))

    anonymous, known = trusting(certificate[0]), trusting(certificate[0])
    known.load_cert_chain(*certificate)
    with pytest.raises(OSError):
        _ask_over(anonymous, service)
    assert _ask_over(known, service) == 200


def _ask_over(context: ssl.SSLContext, service) -> int:
    connection = http.client.HTTPSConnection("127.0.0.1", service.port, timeout=20, context=context)
    connection.request("GET", "/")
    return connection.getresponse().status


@pytest.mark.parametrize(
    "wsgi, told",
    [
        ("", "ssl_cert_file is not set"),
        ("ssl_cert_file = /nowhere.pem", "/nowhere.pem"),
        ("ssl_cert_file = {cert}", "{cert} cannot be used"),
        ("ssl_cert_file = {cert}\nssl_key_file = {key}\nssl_ca_file = /nowhere.pem", "ssl_ca_file: /nowhere.pem"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_one_line(tmp_path, certificate, wsgi, told):
    cert, key = certificate
    path = tmp_path / "nova.conf"
    path.write_text(f"[DEFAULT]\nenabled_ssl_apis = metadata\n[wsgi]\n{wsgi.format(cert=cert, key=key)}\n")

    with pytest.raises(BadConfiguration) as error:
        tls.context(load(files=[str(path)]), "metadata")

    assert told.format(cert=cert) in str(error.value)
    assert "\n" not in str(error.value)
