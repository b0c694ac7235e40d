"""Error bodies as the Compute API has them. Source: API guide, "Faults"."""

from typing import Any

import orjson
import webob

_KEYS = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented",
    503: "serviceUnavailable",
}  # fmt: skip

_LONGEST = 1000


def response(status: int, message: str, key: str | None = None) -> webob.Response:
    """An error answer; key is the one of the status unless given."""
    if len(message) > _LONGEST:
        # It quotes what was asked, or what another service said.
        message = f"{message[:_LONGEST]}..."
    name = key or _KEYS.get(status, "computeFault")
    fault: dict[str, Any] = {"code": status, "message": message}
    answer = webob.Response(status=status, content_type="application/json", charset="UTF-8")
    if status in (413, 429):
        fault["retryAfter"] = "0"
        answer.headers["Retry-After"] = "0"
    answer.body = orjson.dumps({name: fault})
    return answer
