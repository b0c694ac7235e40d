"""Requests and answers: from a WSGI call to a handler and back.

Handlers are reached only by a request that is routed, of a version that has the operation, allowed
by policy and of the right media type. They raise PlacementError and catch nothing.
"""

import email.utils
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote

import orjson

from nova.http.body import JSON
from nova.http.wsgi import CONTEXT, UNAUTHORIZED, Environ, StartResponse, Wsgi, request_id, status_line
from nova.placement.errors import BadRequest, PlacementError
from nova.structs.context import Context

MAX_MINOR = 39
LATEST = f"1.{MAX_MINOR}"
# Since when answers say how old they are: 1.15.
_CACHE_HEADERS = 15
# Since when error bodies carry a code: 1.23.
_ERROR_CODES = 23

# The words every error of a status begins with.
_EXPLANATIONS = {
    400: "The server could not comply with the request since it is either malformed or otherwise incorrect.",
    401: "This server could not verify that you are authorized to access the document you requested.",
    403: "Access was denied to this resource.",
    404: "The resource could not be found.",
    406: "The resource could not be generated that was acceptable to your browser.",
    409: "There was a conflict when trying to complete your request.",
    413: "The body of your request was too large for this server.",
    415: "The request media type is not supported by this server.",
    500: "The server has either erred or is incapable of performing the requested operation.",
    503: "The server is currently unavailable. Please try again at a later time.",
}


class HttpError(PlacementError):
    """An error of HTTP itself, with headers of its own."""

    def __init__(self, status: int, detail: str = "", headers: Iterable[tuple[str, str]] = (), **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = list(headers)
        self.extra = extra


class Request:
    """One request: what handlers may ask of it. minor is the N of version 1.N."""

    __slots__ = ("_query", "environ", "method", "minor", "names", "path")

    def __init__(self, environ: Environ, path: str, minor: int) -> None:
        self.environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.path = path
        self.minor = minor
        self.names: tuple[str, ...] = ()
        self._query: list[tuple[str, str]] | None = None

    @property
    def context(self) -> Context:
        context: Context = self.environ[CONTEXT]
        return context

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query string's pairs in order, empty values kept."""
        if self._query is None:
            raw = self.environ.get("QUERY_STRING", "")
            try:
                self._query = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=1000)
            except ValueError as error:
                raise BadRequest(f"Invalid query string: {error}") from error
            for key, value in self._query:
                if "\0" in key or "\0" in value:
                    raise BadRequest(f"Invalid query string parameters: null character in {key!r}")
        return self._query

    def url(self, path: str) -> str:
        """The absolute URL of a path of this service."""
        environ = self.environ
        host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        return f"{environ.get('wsgi.url_scheme', 'http')}://{host}{self.link(path)}"

    def link(self, path: str) -> str:
        """A path of this service as a client sees it."""
        return quote(self.environ.get("SCRIPT_NAME", "") + path)


class Answer:
    """What a handler answers. body is an object for JSON, or None; changed_at in seconds since the epoch.

    Answers with changed_at say how old they are: "now" stands for what is worked out on the spot.
    """

    __slots__ = ("body", "changed_at", "headers", "status")

    def __init__(
        self,
        status: int,
        body: Any = None,
        changed_at: int | float | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.status = status
        self.body = body
        self.changed_at = changed_at
        self.headers = list(headers)


def parse_version(environ: Environ) -> int:
    """The N of the asked version 1.N: 400 for what is no version, 406 for one that is not served."""
    asked = "1.0"
    for part in environ.get("HTTP_OPENSTACK_API_VERSION", "").split(","):
        words = part.split()
        if len(words) >= 2 and words[0].lower() == "placement":
            asked = " ".join(words[1:])
        elif len(words) == 1 and words[0].lower() == "placement":
            raise HttpError(400, "invalid version string: ")
    if asked.lower() == "latest":
        return MAX_MINOR
    major, dot, minor = asked.partition(".")
    if not (dot and _is_number(major) and _is_number(minor)):
        raise HttpError(400, f"invalid version string: {asked[:100]}")
    if major != "1" or int(minor) > MAX_MINOR:
        raise HttpError(406, f"Unacceptable version header: {asked}", (), min_version="1.0", max_version=LATEST)
    return int(minor)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 6 and (text == "0" or text[0] != "0")


def accepts_json(accept: str | None) -> bool:
    """Whether a client that sends this Accept header can be given JSON."""
    if not accept:
        return True
    for part in accept.split(","):
        kind, _, parameters = part.partition(";")
        if kind.strip().lower() in (JSON, "application/*", "*/*") and "q=0" not in parameters.replace(" ", "").split(
            ";"
        ):
            return True
    return False


def http_date(when: int | float | None = None) -> str:
    """Unix seconds as RFC 9110 writes them; None: now."""
    return email.utils.formatdate(when, usegmt=True)


def respond(answer: Answer, environ: Environ, minor: int | None, start_response: StartResponse) -> Iterable[bytes]:
    """minor: the version the answer is of; None when the request was refused before it was known."""
    headers = answer.headers
    _add_common_headers(headers, environ, minor)
    if answer.changed_at is not None and minor is not None and minor >= _CACHE_HEADERS:
        headers.append(("Last-Modified", http_date(answer.changed_at)))
        headers.append(("Cache-Control", "no-cache"))
    raw = b""
    if answer.body is not None:
        raw = orjson.dumps(answer.body)
        headers.append(("Content-Type", JSON))
    if answer.status != 204:
        headers.append(("Content-Length", str(len(raw))))
    start_response(status_line(answer.status), headers)
    return [raw]


def respond_error(
    error: PlacementError, environ: Environ, minor: int | None, start_response: StartResponse
) -> Iterable[bytes]:
    """Tell the client what went wrong, in JSON or, to one that does not take it, in plain words."""
    status = error.status
    explanation = _EXPLANATIONS.get(status, HTTPStatus(status).phrase)
    if status == 405:
        explanation = f"The method {environ['REQUEST_METHOD'][:20]} is not allowed for this resource."
    detail = f"{explanation}\n\n{error.detail}" if error.detail else explanation
    headers = list(getattr(error, "headers", ()))
    _add_common_headers(headers, environ, minor)
    accept = environ.get("HTTP_ACCEPT")
    if accepts_json(accept):
        headers.append(("Content-Type", JSON))
        raw = orjson.dumps({"errors": [_error_body(error, detail, environ, minor)]})
    elif "text/html" in (accept or ""):
        headers.append(("Content-Type", "text/html; charset=UTF-8"))
        raw = f"<html><body><pre>{_escape(detail)}</pre></body></html>".encode()
    else:
        headers.append(("Content-Type", "text/plain; charset=UTF-8"))
        raw = detail.encode()
    headers.append(("Content-Length", str(len(raw))))
    start_response(status_line(status), headers)
    return [raw]


def fault(status: int, message: str) -> Wsgi:
    """An error of this API, for what refuses a request before the API has seen it."""
    error = HttpError(status, "Authentication required" if message == UNAUTHORIZED else message)
    return lambda environ, start_response: respond_error(error, environ, None, start_response)


def _error_body(error: PlacementError, detail: str, environ: Environ, minor: int | None) -> dict[str, Any]:
    body = {
        "status": error.status,
        "title": HTTPStatus(error.status).phrase,
        "detail": detail,
        "request_id": request_id(environ),
    }
    if minor is not None and minor >= _ERROR_CODES:
        body["code"] = error.code
    body.update(getattr(error, "extra", {}))
    return body


def _add_common_headers(headers: list[tuple[str, str]], environ: Environ, minor: int | None) -> None:
    if minor is not None:
        headers.append(("OpenStack-API-Version", f"placement 1.{minor}"))
    headers.append(("Vary", "openstack-api-version"))
    headers.append(("x-openstack-request-id", request_id(environ)))


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def now() -> float:
    return time.time()
