"""What a request's signature, AWS version 4, covers and when it was made; Keystone says whether it is right.

S3's canonical request takes the path as it is: quoted once, nothing resolved.
Source: Amazon S3 API reference, "Authenticating requests (AWS Signature Version 4)".
"""

import datetime
import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from nova.clock import utcnow
from nova.http import signature_v4
from nova.http.signature_v4 import ALGORITHM, LONGEST_LIFE_S
from nova.objectstore.errors import S3Error
from nova.objectstore.request import Request

UNSIGNED = "UNSIGNED-PAYLOAD"
_WINDOW = datetime.timedelta(minutes=15)
_SCOPE = re.compile(r"(?P<access>[^/]+)/(?P<scope>(?P<day>\d{8})/[\w-]+/s3/aws4_request)", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SAFE = "-_.~"


@dataclass(frozen=True)
class Signed:
    """A request's signature, and what it was made of. payload is x-amz-content-sha256's value."""

    access: str
    scope: str
    time: str
    string_to_sign: str
    signature: str
    payload: str


def read(request: Request) -> Signed:
    """The signature of a request, in its header or its query. Raises S3Error where there is none in time."""
    authorization = request.headers.get("authorization")
    if "X-Amz-Algorithm" in request.parameters:
        if authorization is not None:
            raise S3Error("InvalidArgument", "Only one auth mechanism allowed.")
        return _presigned(request)
    if authorization is None:
        if "Signature" in request.parameters or "AWSAccessKeyId" in request.parameters:
            raise _only_version_4()
        raise S3Error("AccessDenied")
    if not authorization.startswith(ALGORITHM):
        raise _only_version_4()
    return _in_header(request, authorization)


def _in_header(request: Request, authorization: str) -> Signed:
    parts = signature_v4.fields(authorization)
    payload = request.headers.get("x-amz-content-sha256")
    if payload is None:
        raise S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    time = request.headers.get("x-amz-date", "")
    made = _made(time)
    if abs(utcnow() - made) > _WINDOW:
        raise S3Error("RequestTimeTooSkewed", RequestTime=time)
    fields = (parts.get("Credential", ""), parts.get("SignedHeaders", ""), parts.get("Signature", ""))
    return _signed(request, *fields, time=time, payload=payload, query=request.query)


def _presigned(request: Request) -> Signed:
    given = request.parameters
    if given["X-Amz-Algorithm"] != ALGORITHM:
        raise _only_version_4()
    time, expires = given.get("X-Amz-Date", ""), given.get("X-Amz-Expires", "")
    made = _made(time)
    if not re.fullmatch(r"\d{1,6}", expires, re.ASCII) or not 0 < int(expires) <= LONGEST_LIFE_S:
        raise S3Error("InvalidArgument", f"X-Amz-Expires must be between 1 and {LONGEST_LIFE_S} seconds.")
    if made - _WINDOW > utcnow():
        raise S3Error("RequestTimeTooSkewed", RequestTime=time)
    if made + datetime.timedelta(seconds=int(expires)) < utcnow():
        raise S3Error("AccessDenied", "Request has expired")
    fields = (given.get("X-Amz-Credential", ""), given.get("X-Amz-SignedHeaders", ""), given.get("X-Amz-Signature", ""))
    query = [pair for pair in request.query if pair[0] != "X-Amz-Signature"]
    payload = request.headers.get("x-amz-content-sha256", UNSIGNED)
    return _signed(request, *fields, time=time, payload=payload, query=query)


def _signed(
    request: Request,
    credential: str,
    names: str,
    signature: str,
    *,
    time: str,
    payload: str,
    query: list[tuple[str, str]],
) -> Signed:
    match = _SCOPE.fullmatch(credential)
    if match is None or match["day"] != time[:8] or not _SIGNATURE.fullmatch(signature):
        raise S3Error("InvalidArgument", "The authorization of the request is malformed.")
    if "x-amz-security-token" in request.headers or "X-Amz-Security-Token" in request.parameters:
        raise S3Error("InvalidToken", "Session tokens are not issued here.")
    canonical = _canonical_request(request, names.split(";"), payload, query)
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    string_to_sign = "\n".join((ALGORITHM, time, match["scope"], digest))
    return Signed(match["access"], match["scope"], time, string_to_sign, signature, payload)


def _canonical_request(request: Request, names: list[str], payload: str, query: list[tuple[str, str]]) -> str:
    headers = request.headers
    # What is not signed could have been added on the way.
    unsigned = {name for name in headers if name == "host" or name.startswith("x-amz-")} - set(names)
    if unsigned or "host" not in names or names != sorted(set(names)) or not set(names) <= set(headers):
        raise S3Error(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(sorted(unsigned)),
        )
    return "\n".join(
        (
            request.method,
            quote(unquote_to_bytes(request.path), safe=f"/{_SAFE}"),
            "&".join(
                f"{name}={value}" for name, value in sorted((_quoted(name), _quoted(value)) for name, value in query)
            ),
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            ";".join(names),
            payload,
        )
    )


def _made(time: str) -> datetime.datetime:
    try:
        return signature_v4.time(time)
    except ValueError:
        raise S3Error("AccessDenied", "The request names no valid time in X-Amz-Date.") from None


def _quoted(text: str) -> str:
    return quote(text, safe=_SAFE)


def _only_version_4() -> S3Error:
    return S3Error(
        "InvalidRequest", f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}."
    )


def is_sha256(payload: str) -> bool:
    """Whether x-amz-content-sha256 is a digest rather than a word."""
    return _SHA256.fullmatch(payload) is not None


class ChunkSigner:
    """Signatures of a body's chunks, each of which covers the one before."""

    def __init__(self, secret: str, signed: Signed) -> None:
        key = f"AWS4{secret}".encode()
        for part in signed.scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._key = key
        self._head = f"{signed.time}\n{signed.scope}"
        self._previous = signed.signature

    def check(self, kind: str, digests: tuple[str, ...], signature: str) -> None:
        """kind is PAYLOAD or TRAILER. Raises S3Error."""
        text = "\n".join((f"{ALGORITHM}-{kind}", self._head, self._previous, *digests))
        expected = hmac.digest(self._key, text.encode(), "sha256").hex()
        if not hmac.compare_digest(expected, signature):
            raise S3Error("SignatureDoesNotMatch", "The signature of a chunk is wrong.")
        self._previous = expected
