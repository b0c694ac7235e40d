"""nova-xvpvncproxy: a native client asks over HTTP once, and speaks RFB from then on."""

import socket
import ssl
import subprocess

import pytest

from tests.functional.console.consoles import BANNER, Screen

OPTIONS = "[vnc]\nxvpvncproxy_port = 0\nxvpvncproxy_base_url = http://proxy.example:6081/console\n"
ANSWER = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture(params=["threading", "eventlet"])
def consoles(request, make_consoles):
    return make_consoles(OPTIONS, request.param)


def receive(connection, size):
    received = b""
    while len(received) < size and (data := connection.recv(65536)):
        received += data
    return received


def ask(consoles, target, method="GET"):
    connection = socket.create_connection(("127.0.0.1", consoles.port["xvp_vnc"]), timeout=60)
    connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: proxy.example\r\n\r\n".encode())
    return connection


def status(connection):
    """The status of an answer that ends the connection."""
    with connection:
        received = b""
        while data := connection.recv(65536):
            received += data
    assert BANNER not in received
    return int(received.split()[1])


def test_the_address_of_a_console_opens_it(consoles, screen):
    server = consoles.boot(screen=screen)
    url = consoles.console_url(server, "vnc", "xvpvnc")
    assert url.startswith("http://proxy.example:6081/console?token=")

    with ask(consoles, url.removeprefix("http://proxy.example:6081")) as client:
        assert receive(client, len(ANSWER + BANNER)) == ANSWER + BANNER
        keys = bytes(range(256)) * 4
        client.sendall(keys)
        assert receive(client, len(keys)) == keys
        client.sendall(b"power off")
        assert client.recv(100) == b""


def test_without_a_token_it_is_400_and_with_a_wrong_one_401(consoles, screen):
    server = consoles.boot(screen=screen)

    assert status(ask(consoles, "/console")) == 400
    assert status(ask(consoles, "/console?token=")) == 400
    assert status(ask(consoles, "/console?token=guessed")) == 401
    # A token is good for one kind of console.
    assert status(ask(consoles, f"/console?token={consoles.token(server)}")) == 401
    token = consoles.token(server, "vnc", "xvpvnc")
    assert status(ask(consoles, f"/console?token={token}", method="POST")) == 405
    consoles.hosts.end(server.uuid)
    assert status(ask(consoles, f"/console?token={token}")) == 401
    assert screen.heard == []


def test_a_guest_whose_screen_does_not_answer_is_503(consoles):
    screen = Screen()
    token = consoles.token(consoles.boot(screen=screen), "vnc", "xvpvnc")
    screen.close()

    assert status(ask(consoles, f"/console?token={token}")) == 503


def test_what_is_no_request_is_refused_in_time(make_consoles):
    consoles = make_consoles(f"{OPTIONS}[wsgi]\nclient_header_timeout = 1\n")
    with socket.create_connection(("127.0.0.1", consoles.port["xvp_vnc"]), timeout=60) as client:
        client.sendall(b"RFB 003.008\n")
        assert receive(client, 12)[:12] == b"HTTP/1.1 400"
    with socket.create_connection(("127.0.0.1", consoles.port["xvp_vnc"]), timeout=60) as client:
        client.sendall(b"GET /console?tok")
        assert receive(client, 12)[:12] == b"HTTP/1.1 408"


def test_it_speaks_tls_where_the_proxies_do(make_consoles, screen, tmp_path):
    cert = tmp_path / "both.pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    make = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names)
    subprocess.run([*make, "-out", cert, "-keyout", tmp_path / "key.pem"], check=True, capture_output=True)
    consoles = make_consoles(f"{OPTIONS}[DEFAULT]\ncert = {cert}\nkey = {tmp_path}/key.pem\n")
    token = consoles.token(consoles.boot(screen=screen), "vnc", "xvpvnc")
    tls = ssl.create_default_context(cafile=str(cert))

    plain = socket.create_connection(("127.0.0.1", consoles.port["xvp_vnc"]), timeout=60)
    with plain, tls.wrap_socket(plain, server_hostname="127.0.0.1") as client:
        client.sendall(f"GET /console?token={token} HTTP/1.1\r\n\r\n".encode())
        assert receive(client, len(ANSWER + BANNER)) == ANSWER + BANNER
        keys = bytes(100_000)
        client.sendall(keys)
        assert receive(client, len(keys)) == keys


def test_a_console_ends_with_its_proxy(consoles, screen):
    server = consoles.boot(screen=screen)
    with ask(consoles, f"/console?token={consoles.token(server, 'vnc', 'xvpvnc')}") as client:
        assert receive(client, len(ANSWER + BANNER)) == ANSWER + BANNER
        consoles.stop()
        assert client.recv(100) == b""
