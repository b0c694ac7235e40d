"""Small machines for tests: network namespaces joined by cables, with what runs in them."""

import contextlib
import ctypes
import http.client
import os
import subprocess
import sys
import uuid
from pathlib import Path

from nova.concurrency import wait_for

CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)

# Answers any request over HTTP with the address it came from.
WHO_ASKS = """
import sys
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())
    def log_message(self, *ignored):
        pass
# http.server's own server looks its name up, which takes long where nobody knows names.
ThreadingTCPServer.allow_reuse_address = True
ThreadingTCPServer((sys.argv[1], int(sys.argv[2])), Answer).serve_forever()
"""

# A metadata API behind a proxy: answers with the server's id when that is signed with the secret.
METADATA = """
import hashlib, hmac, sys
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        servers = self.headers.get_all("X-Instance-ID", [])
        signature = self.headers.get("X-Instance-ID-Signature", "")
        ok = len(servers) == 1 and hmac.new(sys.argv[3].encode(), servers[0].encode(), hashlib.sha256).hexdigest() == signature
        self.send_response(200 if ok else 403)
        self.end_headers()
        self.wfile.write(servers[0].encode() if ok else b"forbidden")
    def log_message(self, *ignored):
        pass
ThreadingTCPServer.allow_reuse_address = True
ThreadingTCPServer((sys.argv[1], int(sys.argv[2])), Answer).serve_forever()
"""

UDHCPC = """#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr replace "$ip/$mask" dev "$interface"
env >"$LEASE"
set -- $staticroutes
if [ $# = 0 ]; then
    for gateway in $router; do ip route replace default via "$gateway"; done
fi
while [ $# -gt 1 ]; do ip route replace "$1" via "$2"; shift 2; done
"""


class Machine:
    """A network namespace."""

    def __init__(self, directory):
        self.name = f"nt{uuid.uuid4().hex[:8]}"
        self.directory = Path(directory) / self.name
        self.directory.mkdir(parents=True)
        self.processes = []
        _run("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command, check=True, **environment):
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, *command],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            timeout=30,
        )
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.stderr}{done.stdout}")
        return done.stdout

    def succeeds(self, *command):
        done = subprocess.run(["ip", "netns", "exec", self.name, *command], capture_output=True, text=True, timeout=30)
        return done.returncode == 0

    def start(self, *command):
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def serve_who_asks(self, address, port):
        """An HTTP server that answers with the address of whoever asks."""
        self.start(sys.executable, "-c", WHO_ASKS, address, str(port))
        here = "127.0.0.1" if address == "0.0.0.0" else address
        assert wait_for(lambda: self.ask(f"http://{here}:{port}/"), timeout_s=60)

    def serve_metadata(self, address, port, secret):
        """A metadata API that believes a proxy."""
        self.start(sys.executable, "-c", METADATA, address, str(port), secret)
        assert wait_for(lambda: self.ask(f"http://{address}:{port}/"), timeout_s=60)

    def ask(self, url, **headers):
        """The answer of an HTTP server; None when there is none."""
        answer = self.request(url, **headers)
        return answer and answer[1]

    def request(self, url, **headers):
        """Status and content of an HTTP server's answer; None when there is none."""
        address, _, path = url.removeprefix("http://").partition("/")
        with self.inside(), contextlib.suppress(OSError):
            connection = http.client.HTTPConnection(address, timeout=2)
            connection.request(
                "GET", f"/{path}", headers={name.replace("_", "-"): value for name, value in headers.items()}
            )
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        return None

    def reaches(self, address):
        return self.succeeds("busybox", "ping", "-c", "1", "-W", "1", address)

    def owns(self, address):
        """Whether the machine has an address, and has made sure that nobody else has."""
        shown = self.run("ip", "-o", "addr", "show", "to", address)
        return bool(shown) and "tentative" not in shown

    def take_address(self, address):
        """Use this address and no other."""
        self.run("ip", "addr", "flush", "dev", "eth0")
        self.run("ip", "addr", "add", address, "dev", "eth0")

    @contextlib.contextmanager
    def inside(self):
        """The calling thread, and what it starts, is in this machine's network."""
        with open("/proc/thread-self/ns/net") as outside, open(f"/run/netns/{self.name}") as here:
            assert _LIBC.setns(here.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert _LIBC.setns(outside.fileno(), CLONE_NEWNET) == 0

    def close(self):
        for process in self.processes:
            process.terminate()
            process.wait()
        _run("ip", "netns", "del", self.name)


def connect(one, its_device, other, its_device_there, mac=None):
    """A cable between two machines."""
    address = ["address", mac] if mac else []
    _run(
        *("ip", "link", "add", its_device, "netns", one.name, "type", "veth"),
        *("peer", "name", its_device_there, "netns", other.name, *address),
    )
    one.run("ip", "link", "set", its_device, "up")
    other.run("ip", "link", "set", its_device_there, "up")


def get_address(guest):
    """What a DHCP client in the guest was given, by the names of busybox's udhcpc; None without an answer."""
    script, lease = guest.directory / "udhcpc", guest.directory / "lease"
    script.write_text(UDHCPC)
    script.chmod(0o755)
    command = ("busybox", "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-t", "5", "-T", "1", "-s", str(script))
    options = ("-O", "mtu", "-O", "staticroutes")
    guest.run(*command, *options, check=False, LEASE=str(lease))
    if not lease.exists():
        return None
    return dict(line.split("=", 1) for line in lease.read_text().splitlines() if "=" in line)


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
