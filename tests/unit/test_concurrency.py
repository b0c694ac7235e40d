"""What nova.concurrency promises on green and on native threads alike."""

import http.client
import os
import subprocess
import sys
from contextlib import closing

import pytest

SERVER = """
import sys
from nova import backend
backend.choose(sys.argv[1])
from nova import concurrency
from nova.http.limits import Limits
from nova.http.server import HttpServer
from nova.http.service import listen

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

sock = listen("127.0.0.1", 0)
HttpServer(sock, app, Limits(requests=4)).start()
print(sock.getsockname()[1], flush=True)
concurrency.run_blocking(sys.stdin.read)
"""


@pytest.fixture(params=["eventlet", "threading"])
def http_port(request):
    """The port of an HTTP server with four threads."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, request.param], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield int(process.stdout.readline())
    process.kill()
    process.communicate()


def ask(connection):
    connection.request("GET", "/")
    return connection.getresponse().read()


def test_connections_left_open_keep_nobody_out(http_port):
    left_open = [http.client.HTTPConnection("127.0.0.1", http_port, timeout=5) for _ in range(12)]

    assert [ask(connection) for connection in left_open] == [b"ok"] * 12


def test_a_connection_serves_one_request_after_another(http_port):
    with closing(http.client.HTTPConnection("127.0.0.1", http_port, timeout=5)) as connection:
        ask(connection)
        sock = connection.sock
        ask(connection)

        assert connection.sock is sock


@pytest.mark.parametrize("early", ["concurrent.futures", "nova.errors"])
def test_eventlet_is_refused_once_somebody_may_have_made_a_lock(early):
    code = f"import {early}; from nova import backend; backend.choose('eventlet')"

    refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert refused.returncode == 1
    assert early in refused.stderr.splitlines()[-1]


def test_the_daemons_are_imported_after_the_choice_of_eventlet():
    code = "import nova.cmd.all; from nova import concurrency; raise SystemExit(not concurrency.is_green())"

    started = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "NOVA_CONCURRENCY_BACKEND": "eventlet"},
    )

    assert started.returncode == 0, started.stderr
    assert "not greened" not in started.stderr
