"""Signatures of requests, version 2 and 4, taken apart for the Identity service, which knows the secret keys.

Only what is signed is read: parameters stand in the body of a POST or in the query of a GET, never in both, for a
signature covers one of them. Source: "Signature Version 4 signing process" and "Signature Version 2".
"""

import datetime
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from nova.api.ec2 import errors
from nova.clock import utcnow
from nova.http import signature_v4
from nova.http.signature_v4 import ALGORITHM, LONGEST_LIFE_S
from nova.http.wsgi import Environ

# Parameters that are the signature's, not the action's.
_OF_SIGNATURES = frozenset(
    (
        *(
            "AWSAccessKeyId",
            "Expires",
            "SecurityToken",
            "Signature",
            "SignatureMethod",
            "SignatureVersion",
            "Timestamp",
        ),
        *("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token"),
        *("X-Amz-Signature", "X-Amz-SignedHeaders"),
    )
)

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Signed:
    """credentials: what the Identity service checks. The signature counts until expires_at, in UTC."""

    credentials: dict[str, Any]
    expires_at: datetime.datetime

    @property
    def key(self) -> str:
        """What tells this very request from any other."""
        return hashlib.sha256(json.dumps(self.credentials, sort_keys=True).encode()).hexdigest()


def read(environ: Environ, pairs: Pairs, body: bytes, window_s: int) -> Signed:
    """The signature of a request with these parameters. Raises BadSignature, BadRequest (RequestExpired)."""
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise errors.malformed("A parameter is there twice.")
    if "SecurityToken" in parameters or "X-Amz-Security-Token" in parameters or "HTTP_X_AMZ_SECURITY_TOKEN" in environ:
        raise errors.BadSignature("Temporary security tokens are not known here.", "InvalidClientTokenId")
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    in_header, in_query = authorization.startswith(ALGORITHM), "X-Amz-Algorithm" in parameters
    is_second = "SignatureVersion" in parameters
    if in_header + in_query + is_second != 1:
        raise errors.BadSignature("A request has one signature, of version 2 or 4.", "MissingAuthenticationToken")
    if is_second:
        return _second(environ, parameters, window_s)
    if in_query:
        return _in_query(environ, parameters, body, window_s)
    return _in_header(environ, authorization, parameters, body, window_s)


def without_signature(pairs: Pairs) -> Pairs:
    """The parameters of the action."""
    return [(name, value) for name, value in pairs if name not in _OF_SIGNATURES]


def _second(environ: Environ, parameters: dict[str, str], window_s: int) -> Signed:
    if parameters["SignatureVersion"] != "2" or parameters.get("SignatureMethod") != "HmacSHA256":
        raise errors.BadSignature("Signatures are of version 2 with HmacSHA256, or of version 4.")
    for name in ("AWSAccessKeyId", "Signature"):
        if name not in parameters:
            raise errors.missing_parameter(name)
    if "Expires" in parameters and "Timestamp" not in parameters:
        expires_at = _time(parameters["Expires"], "Expires")
        if not utcnow() <= expires_at <= utcnow() + datetime.timedelta(seconds=LONGEST_LIFE_S):
            raise _expired()
    else:
        expires_at = _within(_time(parameters.get("Timestamp", ""), "Timestamp"), window_s)
    signed = {name: value for name, value in parameters.items() if name != "Signature"}
    facts = {"access": parameters["AWSAccessKeyId"], "signature": parameters["Signature"], "params": signed}
    return Signed(_credentials(environ, b"", **facts), expires_at)


def _in_header(environ: Environ, authorization: str, parameters: dict[str, str], body: bytes, window_s: int) -> Signed:
    parts = signature_v4.fields(authorization)
    sent_at = environ.get("HTTP_X_AMZ_DATE", "")
    scope = _scope(parts.get("Credential", ""), sent_at)
    names = parts.get("SignedHeaders", "").split(";")
    if "host" not in names:
        raise errors.BadSignature("The signature does not cover the header Host.", "IncompleteSignature")
    stated = environ.get("HTTP_X_AMZ_CONTENT_SHA256")
    if stated not in (None, "UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
        raise errors.BadSignature("The body is not the one whose digest the request states.")
    headers = {"Authorization": authorization, "X-Amz-Date": sent_at}
    headers |= {name: value for name in names if name != "x-amz-date" and (value := _header(environ, name)) is not None}
    if any(name != "x-amz-date" and name not in headers for name in names):
        raise errors.BadSignature("A signed header is not there.", "IncompleteSignature")
    # The body of a POST is signed by its digest.
    params = {} if environ["REQUEST_METHOD"] == "POST" else parameters
    facts = {"access": scope[0], "signature": parts.get("Signature", ""), "params": params, "headers": headers}
    return Signed(_credentials(environ, body, **facts), _within(_v4_time(sent_at), window_s))


def _in_query(environ: Environ, parameters: dict[str, str], body: bytes, window_s: int) -> Signed:
    if environ["REQUEST_METHOD"] != "GET" or parameters["X-Amz-Algorithm"] != ALGORITHM:
        raise errors.BadSignature("A signature in the query is for a GET, and of version 4.")
    sent_at = parameters.get("X-Amz-Date", "")
    scope = _scope(parameters.get("X-Amz-Credential", ""), sent_at)
    if parameters.get("X-Amz-SignedHeaders") != "host":
        raise errors.BadSignature("A signature in the query covers the header Host.", "IncompleteSignature")
    lifetime = parameters.get("X-Amz-Expires", str(window_s))
    if not (lifetime.isascii() and lifetime.isdigit() and len(lifetime) < 8 and int(lifetime) <= LONGEST_LIFE_S):
        raise errors.bad_value("X-Amz-Expires", lifetime)
    expires_at = _within(_v4_time(sent_at), window_s, int(lifetime))
    params = {name: value for name, value in parameters.items() if name != "X-Amz-Signature"}
    headers = {"host": environ.get("HTTP_HOST", "")}
    facts = {"access": scope[0], "signature": parameters.get("X-Amz-Signature", ""), "params": params}
    return Signed(_credentials(environ, body, headers=headers, **facts), expires_at)


def _credentials(environ: Environ, body: bytes, **facts: Any) -> dict[str, Any]:
    if not facts["access"] or not facts["signature"]:
        raise errors.BadSignature("The signature is not complete.", "IncompleteSignature")
    return {
        "host": environ.get("HTTP_HOST", ""),
        "verb": environ["REQUEST_METHOD"],
        "path": environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
        "headers": {},
        "body_hash": hashlib.sha256(body).hexdigest(),
        **facts,
    }


def _scope(credential: str, sent_at: str) -> list[str]:
    """KEY/DATE/REGION/SERVICE/aws4_request. Raises BadSignature for one of another day than the request."""
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or parts[1] != sent_at[:8]:
        raise errors.BadSignature("The signature's scope is not valid.", "IncompleteSignature")
    return parts


def _header(environ: Environ, name: str) -> str | None:
    key = name.upper().replace("-", "_")
    value = environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")
    return None if value is None else " ".join(value.split())


def _time(text: str, name: str) -> datetime.datetime:
    try:
        when = datetime.datetime.fromisoformat(text)
        return when if when.tzinfo is None else when.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise errors.bad_value(name, text) from error


def _v4_time(text: str) -> datetime.datetime:
    try:
        return signature_v4.time(text)
    except ValueError as error:
        raise errors.bad_value("X-Amz-Date", text) from error


def _within(made_at: datetime.datetime, window_s: int, lifetime_s: int | None = None) -> datetime.datetime:
    """When a signature made then ends. Raises BadRequest for one that has ended, or is from the future."""
    early = datetime.timedelta(seconds=window_s)
    late = datetime.timedelta(seconds=window_s if lifetime_s is None else lifetime_s)
    now = utcnow()
    if not now - late <= made_at <= now + early:
        raise _expired()
    return made_at + late


def _expired() -> errors.BadRequest:
    return errors.BadRequest("Request has expired.", "RequestExpired")
