"""What one worker of a daemon tells of itself to the daemon's health page, over a socket that their parent has made.

Whoever connects sends one letter, and reads the answer until its end. The socket outlives the worker: who takes a dead
worker's place takes its socket, too. It has no file, so that none is left.
"""

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec
from prometheus_client import REGISTRY

from nova import concurrency
from nova.http.health import Checks

LOG = logging.getLogger(__name__)

# Whether it is well, and that with all its metrics, which cost more to tell.
CONDITION, ALL = b"c", b"a"
# Whoever asks has to say so within that.
_PATIENCE_S = 1.0
# How long the page waits for all workers together: less than whoever asks the page.
_ANSWERS_WITHIN_S = 2.0
_WAITING = 64


class Sample(msgspec.Struct, array_like=True, frozen=True):
    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, array_like=True, frozen=True):
    """A metric with its samples. kind: counter, gauge, histogram, ..."""

    name: str
    meaning: str
    kind: str
    samples: list[Sample]


class WorkerState(msgspec.Struct, array_like=True, frozen=True):
    """checks: see Readiness.state()."""

    pid: int
    is_alive: bool
    checks: dict[str, str | None]
    families: list[Family] = []


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(WorkerState).decode


def make_socket() -> socket.socket:
    """A socket for one worker, under a name that the system has chosen, and no file."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind("")
    sock.listen(_WAITING)
    return sock


class Telling:
    """The worker's side. Once it has started, each asker gets the state of this process."""

    def __init__(self, sock: socket.socket, checks: Checks, is_alive: Callable[[], bool]) -> None:
        self._socket = sock
        self._checks = checks
        self._is_alive = is_alive

    def start(self) -> None:
        concurrency.spawn(self._run, name="tells of this worker")

    def stop(self) -> None:
        """It tells until the process ends."""

    def _run(self) -> None:
        while True:
            try:
                asker, _ = self._socket.accept()
            except OSError:
                LOG.exception("the health page cannot ask this worker")
                time.sleep(_PATIENCE_S)
                continue
            # An asker that went away has what it wanted, or did not want to wait.
            with asker, contextlib.suppress(OSError):
                asker.settimeout(_PATIENCE_S)
                letter = asker.recv(1)
                if letter:
                    asker.sendall(_encode(self._state(letter == ALL)))

    def _state(self, with_metrics: bool) -> WorkerState:
        return WorkerState(
            os.getpid(), self._is_alive(), self._checks(), metrics_of_this_process() if with_metrics else []
        )


def metrics_of_this_process() -> list[Family]:
    """Every metric of the registry with its samples."""
    return [
        Family(
            one.name,
            one.documentation,
            one.type,
            [Sample(sample.name, sample.labels, sample.value) for sample in one.samples],
        )
        for one in REGISTRY.collect()
    ]


def ask(names: Sequence[bytes], letter: bytes) -> list[WorkerState | None]:
    """What the workers with sockets of these names tell; None for one that does not answer in time."""
    deadline = time.monotonic() + _ANSWERS_WITHIN_S
    with contextlib.ExitStack() as stack:
        # All are asked before any is listened to: they work at the same time.
        asked = [_connect(stack, name, letter, deadline) for name in names]
        return [_listen(sock, deadline) if sock else None for sock in asked]


def _connect(stack: contextlib.ExitStack, name: bytes, letter: bytes, deadline: float) -> socket.socket | None:
    sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    with contextlib.suppress(OSError):
        sock.settimeout(_left(deadline))
        sock.connect(name)
        sock.sendall(letter)
        return sock
    return None


def _listen(sock: socket.socket, deadline: float) -> WorkerState | None:
    try:
        return _decode(b"".join(_pieces(sock, deadline)))
    except (OSError, msgspec.DecodeError):
        # Silent, or gone in the middle of its answer.
        return None


def _pieces(sock: socket.socket, deadline: float) -> Iterator[bytes]:
    while True:
        sock.settimeout(_left(deadline))
        piece = sock.recv(65536)
        if not piece:
            return
        yield piece


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())
