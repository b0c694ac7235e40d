"""How fast nova-objectstore moves an object, and how much memory that takes: one worker, one client, one connection.

    tools/bench.py objectstore [--size 1024] [--directory /var/tmp]

Signatures are taken for right, so that no Keystone is needed; digests and checksums are computed as ever. The client computes
nothing while it is measured. Writing ends with fsync: --directory says which disk that is.
"""

import argparse
import hashlib
import http.client
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import requests

from nova.clock import utcnow
from nova.conf import load
from nova.http.service import StreamingService
from nova.objectstore.application import application, make_store

_MIB = 1024 * 1024
_PIECE = bytes(range(256)) * 4096
_TOKEN = {"token": {"user": {"id": "bench"}, "project": {"id": "bench"}, "roles": [{"name": "member"}]}}


class _Identity:
    """Believes every signature."""

    def request(self, *_: Any, **__: Any) -> requests.Response:
        response = requests.Response()
        response.status_code = 200
        response._content = json.dumps(_TOKEN).encode()
        return response


def _serve(directory: str, ready: Connection) -> None:
    file = Path(directory, "nova.conf")
    file.write_text(f"[DEFAULT]\nbuckets_path = {directory}/buckets\n")
    conf = load(files=[str(file)])
    identity: Any = _Identity()
    service = StreamingService(conf, "s3", application(conf, make_store(conf), identity), "127.0.0.1", 0)
    service.start()
    ready.send(service.port)
    ready.recv()


def _ask(port: int, method: str, path: str, digest: str = "UNSIGNED-PAYLOAD", pieces: int = 0) -> float:
    """Seconds that a request took, its answer's body read."""
    now = utcnow().strftime("%Y%m%dT%H%M%SZ")
    credential = f"bench/{now[:8]}/RegionOne/s3/aws4_request"
    names = "host;x-amz-content-sha256;x-amz-date"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={'0' * 64}",
        "x-amz-content-sha256": digest,
        "x-amz-date": now,
        "Content-Length": str(pieces * len(_PIECE)),
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    began = time.perf_counter()
    connection.request(method, path, _body(pieces) if pieces else None, headers)
    answer = connection.getresponse()
    buffer = bytearray(_MIB)
    while answer.readinto(buffer):
        pass
    seconds = time.perf_counter() - began
    if answer.status >= 300:
        raise SystemExit(f"{method} {path}: {answer.status}")
    connection.close()
    return seconds


def _body(pieces: int) -> Iterator[bytes]:
    for _ in range(pieces):
        yield _PIECE


def _memory_mib(pid: int) -> float:
    """The most that a process has had in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def _processor_s(pid: int) -> float:
    """What a process has computed: on a busy machine this says more than the clock."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the object")
    parser.add_argument("--directory", help="where buckets lie; the system's directory for temporary files")
    arguments = parser.parse_args()
    size = arguments.size
    whole = hashlib.sha256()
    for _ in range(size):
        whole.update(_PIECE)
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        mine, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=_serve, args=(directory, theirs), daemon=True)
        server.start()
        port = mine.recv()
        _ask(port, "PUT", "/bench")
        idle = _memory_mib(server.pid or 0)
        for name, method, digest, pieces in (
            ("PUT, body signed", "PUT", whole.hexdigest(), size),
            ("PUT, body not signed", "PUT", "UNSIGNED-PAYLOAD", size),
            ("GET", "GET", "UNSIGNED-PAYLOAD", 0),
        ):
            used, amount = _processor_s(server.pid or 0), size * len(_PIECE) / 1e6
            seconds = _ask(port, method, "/bench/x", digest, pieces)
            used = _processor_s(server.pid or 0) - used
            print(f"{name:<44} {amount / seconds:>10.1f} {'MB/s':<11} 300", flush=True)
            print(f"{'  in a second of its processor time':<44} {amount / used:>10.1f} MB/s", flush=True)
        print(f"{'memory taken for them':<44} {_memory_mib(server.pid or 0) - idle:>10.1f} {'MiB':<11} 50")
        mine.send(None)
        server.join(20)
    return 0
