"""Errors in the Networking API's words: {"NeutronError": {"type", "message", "detail"}}.

Clients tell errors apart by status and type. Source: Networking API v2.0 reference, "Faults".
"""

from typing import Any

from nova.errors import DomainError

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
    "Unavailable": "HTTPServiceUnavailable",
    "BusFailure": "HTTPServiceUnavailable",
}
_SUFFIXES = {"NetworkingNotFound": "NotFound", "NetworkingInUse": "InUse", "NetworkingExists": "Exists"}


def body(error: DomainError) -> dict[str, Any]:
    return {"NeutronError": {"type": _type_of(error), "message": error.message, "detail": ""}}


def _type_of(error: DomainError) -> str:
    name = type(error).__name__
    suffix = _SUFFIXES.get(name)
    if suffix:
        noun = _NAMES.get(error.details.get("noun", ""))
        return f"{noun}{suffix}" if noun else "Conflict" if error.status == 409 else "HTTPNotFound"
    return _TYPES.get(name, name)
