"""Error bodies as the Compute API has them. Source: API guide, "Faults"."""

from collections.abc import Iterable
from typing import Any

import orjson
import webob

from nova.http.wsgi import Environ, StartResponse, Wsgi, request_id

_KEYS = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented",
    503: "serviceUnavailable",
}  # fmt: skip

_LONGEST = 1000


def key(status: int) -> str:
    """The key under which an error of this status stands."""
    return _KEYS.get(status, "computeFault")


def response(status: int, message: str, name: str | None = None) -> webob.Response:
    """An error answer; name is its only key, that of the status unless given."""
    if len(message) > _LONGEST:
        # It quotes what was asked, or what another service said.
        message = f"{message[:_LONGEST]}..."
    fault: dict[str, Any] = {"code": status, "message": message}
    answer = webob.Response(status=status, content_type="application/json", charset="UTF-8")
    if status in (413, 429):
        fault["retryAfter"] = "0"
        answer.headers["Retry-After"] = "0"
    answer.body = orjson.dumps({name or key(status): fault})
    return answer


def fault(status: int, message: str) -> Wsgi:
    """An error of this API, for what refuses a request before the API has seen it."""

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        told = response(status, message)
        if status == 401:
            told.headers["WWW-Authenticate"] = "Keystone uri"
        name_request(told, environ)
        return told(environ, start_response)

    return answer


def name_request(answer: webob.Response, environ: Environ) -> None:
    """Say the request's id in the headers in which clients look for it."""
    answer.headers["x-openstack-request-id"] = answer.headers["x-compute-request-id"] = request_id(environ)
