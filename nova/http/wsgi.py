"""The types of WSGI, and what a request's environ says of it beside WSGI: its id and its caller."""

import uuid
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]
# How an API words an error: status and message to an application that answers it.
Fault = Callable[[int, str], Wsgi]

# The key of the caller's nova.structs.context.Context.
CONTEXT = "nova.context"
# The key of the template that the request's path fits: what it is counted under.
ROUTE = "nova.route"
# The key of the Client that waits for the answer; servers that are not ours know none.
CLIENT = "nova.client"
# The key of the RawRequest; servers that are not ours know none.
RAW = "nova.request"
UNAUTHORIZED = "The request you have made requires authentication."
INTERNAL = "An unexpected error has occurred. Its cause is in the log, under this request's id."


class RawRequest(NamedTuple):
    """What a signature covers: the path as it was sent, still quoted, and every header, in its order."""

    path: bytes
    headers: list[tuple[bytes, bytes]]


class BodyFailure(Exception):
    """A streamed body cannot be read on: 400 when it is broken or its client has gone, 408 when it is too slow."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Client(Protocol):
    """Who waits for an answer that is sent piece by piece."""

    def wait(self, fd: int, timeout_s: float) -> bool:
        """Wait until fd can be read or the time is over; whether the client is still there."""


def request_id(environ: Environ) -> str:
    """This request's id, made on first use; oslo.middleware's environ key holds it."""
    return str(environ.setdefault("openstack.request_id", f"req-{uuid.uuid4()}"))


def plain_fault(status: int, message: str) -> Wsgi:
    """A Fault in plain text, for what has no format of its own."""

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = f"{message}\n".encode()
        headers = [("Content-Type", "text/plain; charset=UTF-8"), ("Content-Length", str(len(body)))]
        start_response(status_line(status), [*headers, ("X-Openstack-Request-Id", request_id(environ))])
        return [body]

    return answer


def status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
