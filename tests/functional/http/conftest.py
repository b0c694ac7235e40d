"""A service with settings of its own, on each concurrency backend."""

import json
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

SERVING = Path(__file__).parent / "serving.py"


class Service:
    """The service as a client and its operator meet it."""

    def __init__(self, backend, directory, settings):
        self.log = directory / "log"
        configuration = directory / "nova.conf"
        configuration.write_text(f"[DEFAULT]\nlog_file = {self.log}\n{settings}")
        command = [sys.executable, str(SERVING), backend, str(configuration)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port, self.health_port = json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()

    def connect(self, source="127.0.0.1", port=None):
        connection = socket.create_connection(("127.0.0.1", port or self.port), timeout=20, source_address=(source, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def ask(self, target="/", method="GET", headers=(), body=b"", **where):
        """One request on a connection of its own; status, headers and body."""
        with self.connect(**where) as connection:
            connection.sendall(request(target, method, [*headers, "Connection: close"], body))
            return parse(read_all(connection))

    def lines(self, *words):
        """The lines of the log that hold all of these words, once there is one."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            lines = self.log.read_text().splitlines() if self.log.exists() else []
            matching = [line for line in lines if all(word in line for word in words)]
            if matching:
                return matching
            time.sleep(0.05)
        raise AssertionError(f"no line of the log holds {words}:\n" + "\n".join(lines))


def request(target="/", method="GET", headers=(), body=b""):
    length = [f"Content-Length: {len(body)}"] if body else []
    lines = [f"{method} {target} HTTP/1.1", "Host: api.example", *length, *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def read_all(connection):
    """Everything until the server ends the connection."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def read_answer(connection):
    """One answer with a Content-Length on a connection that stays open."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65536)
        assert chunk, f"closed after {received!r}"
        received += chunk
    status, headers, body = parse(received)
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return status, headers, body


def parse(received):
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


def trusting(certificate):
    return ssl.create_default_context(cafile=str(certificate))


@pytest.fixture(scope="module", params=["eventlet", "threading"])
def serve(request, tmp_path_factory):
    """The service of a module with these settings; starting one takes seconds."""
    services = {}

    def start(settings=""):
        if settings not in services:
            services[settings] = Service(request.param, tmp_path_factory.mktemp("service"), settings)
        return services[settings]

    yield start
    for service in services.values():
        service.stop()
