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
    left_open = [http.client.HTTPConnection("127.0.0.1", http_port, timeout=60) for _ in range(12)]

    assert [ask(connection) for connection in left_open] == [b"ok"] * 12


def test_a_connection_serves_one_request_after_another(http_port):
    with closing(http.client.HTTPConnection("127.0.0.1", http_port, timeout=60)) as connection:
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


BOUNDED = """
import sys
from nova import backend
backend.choose(sys.argv[1])
import ctypes, os, threading, time
from nova import concurrency, errors

# Blocks in C until the other end is written to, as a call to a daemon that does not answer.
here, there = os.pipe()
read = ctypes.CDLL(None).read
def hang():
    buffer = ctypes.create_string_buffer(1)
    return read(here, buffer, 1)

turns, is_over = [], threading.Event()
def take_turns():
    while not is_over.is_set():
        turns.append(1)
        time.sleep(0.01)
ticker = threading.Thread(target=take_turns)
ticker.start()

calls = concurrency.BoundedCalls("the daemon", most_abandoned=2)
said = []
def ask(name, function):
    try:
        return calls.run(0.5, name, function)
    except errors.Unavailable as error:
        said.append(error.message)

ask("one", hang)
assert ask("other", lambda: "answer") == "answer"
ask("one", hang)
ask("two", hang)
ask("three", lambda: "never begun")
ctypes.CDLL(None).write(there, b"ab", 2)
assert concurrency.wait_for(lambda: not calls.hanging(), 90)
assert ask("one", lambda: "again") == "again"
is_over.set()
ticker.join()
print(len(turns) > 20)
print("; ".join(said))
"""


@pytest.mark.parametrize("backend", ["eventlet", "threading"])
def test_calls_that_hang_are_given_up_counted_and_forgotten_when_they_end(backend):
    done = subprocess.run([sys.executable, "-c", BOUNDED, backend], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    went_on, said = done.stdout.splitlines()
    assert went_on == "True"
    gave_up, again, second, refused = said.split("; ")
    assert gave_up == second == "the daemon is not available: it has not answered within 0 s. Try again later."
    assert again.startswith("the daemon is not available: it has not answered for")
    assert "2 calls hang in it" in refused


SHARED = """
import sys
from nova import backend
backend.choose(sys.argv[1])
import ctypes, os, time
from nova import concurrency

here, there = os.pipe()
began = []
def hang():
    began.append(1)
    ctypes.CDLL(None).read(here, ctypes.create_string_buffer(1), 1)

shared = concurrency.SharedCall(hang)
for _ in range(3):
    try:
        shared.run(0.2)
    except TimeoutError as error:
        print(str(error).startswith("for "))
def answer():
    time.sleep(0.5)
    ctypes.CDLL(None).write(there, b"a", 1)
concurrency.spawn(answer)
# It joins the call under way: one that is over would be made once more.
shared.run(20)
print(len(began))
"""


@pytest.mark.parametrize("backend", ["eventlet", "threading"])
def test_call_that_many_wait_for_is_made_once(backend):
    done = subprocess.run([sys.executable, "-c", SHARED, backend], capture_output=True, text=True, timeout=60)

    assert done.stdout.split() == ["True", "True", "True", "1"], done.stderr
