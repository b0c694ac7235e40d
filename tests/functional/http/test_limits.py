"""No client takes more than its share: of connections, of time, of a connection's life."""

import contextlib
import json
import threading

import pytest

from tests.functional.http.conftest import parse, read_all, read_answer, request

IMPATIENT = """
[wsgi]
client_header_timeout = 1
client_body_timeout = 1
keep_alive_timeout = 1
keep_alive_requests = 3
"""


def trickle(connection, data, stopped):
    """Send a byte every tenth of a second, as somebody does who wants to hold a thread."""
    with contextlib.suppress(OSError):
        for byte in data:
            if stopped.wait(0.1):
                return
            connection.sendall(bytes([byte]))


@contextlib.contextmanager
def trickling(connection, data):
    stopped = threading.Event()
    thread = threading.Thread(target=trickle, args=(connection, data, stopped))
    thread.start()
    yield
    stopped.set()
    thread.join()


def test_a_header_that_comes_byte_by_byte_is_cut_off(serve):
    service = serve(IMPATIENT)

    with service.connect() as connection, trickling(connection, request(headers=["X-Filler: " + "x" * 600])):
        status, headers, body = parse(read_all(connection))

    assert status == 408
    assert headers["connection"] == "close"
    assert body == b"The request's header did not come in time.\n"


def test_a_body_that_comes_byte_by_byte_is_cut_off(serve):
    service = serve(IMPATIENT)

    with service.connect() as connection:
        connection.sendall(request(method="POST", headers=["Content-Length: 600"]))
        with trickling(connection, b"x" * 600):
            status, _, body = parse(read_all(connection))

    assert (status, body) == (408, b"The request's body did not come in time.\n")


def test_slow_clients_keep_nobody_out(serve):
    service = serve()
    slow = [service.connect() for _ in range(20)]
    for number, connection in enumerate(slow):
        connection.sendall(b"GET / HT" if number % 2 else request(method="POST", headers=["Content-Length: 9"]))

    # It works on two requests at once.
    assert [service.ask()[0] for _ in range(3)] == [200, 200, 200]
    for connection in slow:
        connection.close()


def test_a_source_with_too_many_connections_is_told_so_and_others_are_not(serve):
    service = serve("[wsgi]\nmax_connections_per_source = 3\n")
    held = [service.connect() for _ in range(3)]

    # The ones before may not have been accepted yet, but will be before this one.
    status, headers, body = service.ask()

    assert status == 503
    assert int(headers["retry-after"]) > 0
    assert headers["x-openstack-request-id"].startswith("req-")
    assert body == b"Too many connections are open from your address. Try again later.\n"
    assert service.ask(source="127.0.0.2")[0] == 200
    assert service.lines("WARNING", "refuses 127.0.0.1")
    for connection in held:
        connection.close()


def test_a_source_that_has_let_go_is_served_again(serve):
    service = serve("[wsgi]\nmax_connections_per_source = 2\n")
    held = [service.connect() for _ in range(2)]
    assert service.ask()[0] == 503

    for connection in held:
        connection.shutdown(1)
        assert connection.recv(1) == b""

    assert service.ask()[0] == 200


def test_users_behind_a_trusted_proxy_are_not_one_source(serve):
    service = serve("[wsgi]\nmax_connections_per_source = 3\ntrusted_proxies = 10.0.0.0/8,127.0.0.2\n")
    held = [service.connect(source="127.0.0.2") for _ in range(8)]

    assert service.ask(source="127.0.0.2")[0] == 200
    for connection in held:
        connection.close()


def test_there_is_an_end_to_connections_in_all(serve):
    service = serve("[wsgi]\nmax_connections = 4\nmax_connections_per_source = 2\n")
    held = [service.connect(source=f"127.0.0.{number}") for number in (2, 2, 3, 3)]

    status, headers, body = service.ask(source="127.0.0.4")

    assert (status, body) == (503, b"Too many connections are open here. Try again later.\n")
    assert "retry-after" in headers
    for connection in held:
        connection.close()


def test_health_answers_while_the_api_is_full(serve):
    service = serve("[wsgi]\nmax_connections = 2\n")
    held = [service.connect() for _ in range(2)]
    assert service.ask()[0] == 503

    status, _, body = service.ask("/healthz", port=service.health_port)

    assert status == 200
    assert json.loads(body)["healthy"] is True
    for connection in held:
        connection.close()


def test_a_connection_serves_so_many_requests(serve):
    service = serve(IMPATIENT)

    with service.connect() as connection:
        told = []
        for _ in range(3):
            connection.sendall(request())
            told.append(read_answer(connection)[1].get("connection"))

        assert told == [None, None, "close"]
        assert connection.recv(1) == b""


def test_a_connection_without_a_further_request_is_closed(serve):
    service = serve(IMPATIENT)

    with service.connect() as connection:
        connection.sendall(request())
        assert read_answer(connection)[0] == 200

        assert connection.recv(1) == b""


def test_keep_alive_may_be_switched_off(serve):
    service = serve("[wsgi]\nkeep_alive = false\n")

    with service.connect() as connection:
        connection.sendall(request())

        assert parse(read_all(connection))[1]["connection"] == "close"


@pytest.mark.parametrize(
    "sent, status",
    [
        (request(headers=["X-Long: " + "x" * 17000]), 431),
        (request(headers=[f"X-{number}: x" for number in range(200)]), 431),
        (request("/" + "x" * 17000), 414),
        (request(method="POST", headers=["Content-Length: 999999999"]), 413),
        (request(method="POST", headers=["Transfer-Encoding: chunked"]) + b"fffff\r\n" + b"x" * 200000, 413),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400),
        (request(method="POST", headers=["Content-Length: 5", "Transfer-Encoding: chunked"]) + b"0\r\n\r\n", 400),
        (request("http://[/"), 400),
    ],
)
def test_what_is_too_large_or_no_http_is_refused(serve, sent, status):
    service = serve("[api]\nmax_body_size = 100000\n")

    with service.connect() as connection:
        connection.sendall(sent)

        assert parse(read_all(connection))[0] == status
    assert service.ask()[0] == 200
