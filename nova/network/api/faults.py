"""Errors in the Networking API's words: {"NeutronError": {"type", "message", "detail"}}.

Clients tell errors apart by status and type. Source: Networking API v2.0 reference, "Faults".
"""

from collections.abc import Iterable
from typing import Any

import orjson
from webob import Response

from nova.errors import DomainError, Unavailable
from nova.http.wsgi import Environ, StartResponse, Wsgi, request_id

_NAMES = {
    "network": "Network",
    "subnet": "Subnet",
    "port": "Port",
    "security_group": "SecurityGroup",
    "security_group_rule": "SecurityGroupRule",
    "router": "Router",
    "floatingip": "FloatingIP",
    "tag": "TagResource",
}
_TYPES = {
    "Invalid": "InvalidInput",
    "PolicyDenied": "PolicyNotAuthorized",
    "NotFound": "HTTPNotFound",
    "MethodNotAllowed": "HTTPMethodNotAllowed",
    "RevisionMismatch": "RevisionNumberConstraintFailed",
    "CannotRemoveDefault": "SecurityGroupCannotRemoveDefault",
    "DomainError": "HTTPInternalServerError",
}
# Errors that have a status alone: what refuses a request before this API has seen it knows no more.
_BY_STATUS = {400: "InvalidInput", 413: "TooLarge", 500: "HTTPInternalServerError", 503: "HTTPServiceUnavailable"}
_SUFFIXES = {"NetworkingNotFound": "NotFound", "NetworkingInUse": "InUse", "NetworkingExists": "Exists"}


def body(error: DomainError, is_admin: bool) -> dict[str, Any]:
    """The error as an administrator, or any other user, is told it."""
    return _body(_type_of(error), error.told(is_admin))


def fault(status: int, message: str) -> Wsgi:
    """An error of this API, for what refuses a request before the API has seen it."""
    told = _body(_BY_STATUS.get(status, "HTTPClientError"), message)
    if status == 401:
        told = {"error": {"code": 401, "title": "Unauthorized", "message": message}}

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        response = json(status, told)
        response.headers["X-Openstack-Request-Id"] = request_id(environ)
        return response(environ, start_response)

    return answer


def json(status: int, content: Any) -> Response:
    """Without content the answer has neither body nor type."""
    if content is None:
        return Response(status=status, content_type=None)
    return Response(status=status, body=orjson.dumps(content), content_type="application/json", charset="UTF-8")


def _body(kind: str, message: str) -> dict[str, Any]:
    return {"NeutronError": {"type": kind, "message": message, "detail": ""}}


def _type_of(error: DomainError) -> str:
    name = type(error).__name__
    suffix = _SUFFIXES.get(name)
    if suffix:
        noun = _NAMES.get(error.details.get("noun", ""))
        return f"{noun}{suffix}" if noun else "Conflict" if error.status == 409 else "HTTPNotFound"
    return "HTTPServiceUnavailable" if isinstance(error, Unavailable) else _TYPES.get(name, name)
