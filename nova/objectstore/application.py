"""nova-objectstore's WSGI application: who asks, what for, and errors in S3's words."""

import errno
import logging
from collections.abc import Iterable
from pathlib import Path

from keystoneauth1.adapter import Adapter
from oslo_config import cfg

from nova import errors
from nova.clients.adapters import service_adapter
from nova.clients.s3_credentials import S3Credentials
from nova.http.access_log import AccessLog
from nova.http.front import Front
from nova.http.wsgi import ROUTE, BodyFailure, Environ, StartResponse, Wsgi, request_id, status_line
from nova.objectstore import multipart, objects
from nova.objectstore.authentication import Authentication
from nova.objectstore.buckets import Buckets, Handler
from nova.objectstore.documents import document
from nova.objectstore.errors import S3Error, code_of, not_implemented
from nova.objectstore.payload import Payload
from nova.objectstore.request import Answer, Request
from nova.objectstore.store import Store

LOG = logging.getLogger(__name__)

_MIB = 1024 * 1024
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Parts of S3 that a query asks for by name. What is not routed below is refused, not taken for something else.
_SUBRESOURCES = frozenset(
    (
        "accelerate",
        "acl",
        "analytics",
        "append",
        "attributes",
        "cors",
        "delete",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "location",
        "logging",
        "metadataConfiguration",
        "metadataTable",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "partNumber",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "renameObject",
        "replication",
        "requestPayment",
        "restore",
        "retention",
        "select",
        "session",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    )
)


# What requests are counted under, by what their path names.
_ROUTES = {"service": "/", "bucket": "/{bucket}", "object": "/{bucket}/{key}"}


def make_store(conf: cfg.ConfigOpts) -> Store:
    """The store of [DEFAULT] buckets_path; s3_bucket_quota_mb is in MiB, and none when it is negative."""
    quota_mb = conf.s3_bucket_quota_mb
    quota = None if quota_mb < 0 else quota_mb * _MIB
    return Store(Path(conf.buckets_path), quota, conf.s3_max_buckets)


def application(conf: cfg.ConfigOpts, store: Store, identity: Adapter | None = None) -> Front:
    """The S3 API over a store. identity replaces the way to the Identity service."""
    credentials = S3Credentials(identity or service_adapter(conf, "keystone"))
    return Front(ObjectStore(store, Authentication(credentials), conf.s3_region), conf, fault, AccessLog())


def fault(status: int, message: str) -> Wsgi:
    """A Fault in S3's words, for what is refused before S3 is spoken."""

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return _send(_error_answer(environ, code_of(status), status, message), environ, start_response)

    return answer


class ObjectStore:
    def __init__(self, store: Store, authentication: Authentication, region: str) -> None:
        self._store = store
        self._authentication = authentication
        self._routes = _routes(Buckets(region))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return _send(self._answer(environ), environ, start_response)

    def _answer(self, environ: Environ) -> Answer:
        try:
            return self._handle(Request(environ))
        except S3Error as error:
            answer = _error_answer(environ, error.code, error.status, error.message, error.fields)
            answer.headers.update(error.headers)
            return answer
        except BodyFailure as failure:
            code = "RequestTimeout" if failure.status == 408 else "IncompleteBody"
            return _error_answer(environ, code, 400, failure.message)
        except errors.Unavailable as unavailable:
            LOG.warning("%s %s", request_id(environ), unavailable)
            return fault_answer(environ, "ServiceUnavailable")
        except OSError as failure:
            if failure.errno not in _NO_SPACE:
                raise
            LOG.error("%s: %s", request_id(environ), failure)
            return fault_answer(environ, "InsufficientStorage")

    def _handle(self, request: Request) -> Answer:
        signed = self._authentication.identify(request)
        handler = self._handler(request)
        objects.refuse_promises(request)
        payload = Payload(request, signed, lambda: self._authentication.chunk_signer(request, signed))
        return handler(request, self._store.project(request.context.project_id), payload)

    def _handler(self, request: Request) -> Handler:
        level = "object" if request.key else "bucket" if request.bucket else "service"
        asked = _SUBRESOURCES & set(request.parameters)
        if level == "object" and "x-amz-copy-source" in request.headers:
            asked |= {"copy"}
        handler = self._routes.get((level, request.method, asked))
        if handler is not None:
            request.environ[ROUTE] = _ROUTES[level]
            return handler
        if asked - {"copy"}:
            raise not_implemented(f"{request.method} with {', '.join(sorted(asked))}")
        raise S3Error("MethodNotAllowed", Method=request.method)


def _routes(buckets: Buckets) -> dict[tuple[str, str, frozenset[str]], Handler]:
    """By what the path names, method, and what the query asks for by name."""
    declared: list[tuple[str, str, str, Handler]] = [
        ("service", "GET", "", buckets.list_buckets),
        ("bucket", "PUT", "", buckets.create),
        ("bucket", "HEAD", "", buckets.head),
        ("bucket", "DELETE", "", buckets.delete),
        ("bucket", "GET", "", buckets.list_objects),
        ("bucket", "GET", "location", buckets.location),
        ("bucket", "GET", "versioning", buckets.versioning),
        ("bucket", "GET", "policy", buckets.policy),
        ("bucket", "GET", "acl", buckets.access_control),
        ("bucket", "GET", "uploads", buckets.list_uploads),
        ("bucket", "POST", "delete", buckets.delete_objects),
        ("object", "PUT", "", objects.put),
        ("object", "PUT", "copy", objects.copy),
        ("object", "GET", "", objects.get),
        ("object", "HEAD", "", objects.get),
        ("object", "DELETE", "", objects.delete),
        ("object", "GET", "acl", buckets.access_control),
        ("object", "GET", "tagging", objects.tags),
        ("object", "POST", "uploads", multipart.create),
        ("object", "PUT", "partNumber uploadId", multipart.put_part),
        ("object", "PUT", "partNumber uploadId copy", multipart.copy_part),
        ("object", "GET", "uploadId", multipart.list_parts),
        ("object", "POST", "uploadId", multipart.complete),
        ("object", "DELETE", "uploadId", multipart.abort),
    ]
    return {(level, method, frozenset(asked.split())): handler for level, method, asked, handler in declared}


def fault_answer(environ: Environ, code: str) -> Answer:
    """For what goes wrong before there is a request: its status and words are those of S3's code."""
    error = S3Error(code)
    return _error_answer(environ, error.code, error.status, error.message)


def _error_answer(
    environ: Environ, code: str, status: int, message: str, fields: dict[str, str] | None = None
) -> Answer:
    content = {"Code": code, "Message": message, **(fields or {}), "Resource": environ.get("PATH_INFO", "")}
    content["RequestId"] = request_id(environ)
    return Answer(status, {"Content-Type": "application/xml"}, [document("Error", content, namespace=None)])


def _send(answer: Answer, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = answer.body
    headers = dict(answer.headers)
    if isinstance(body, list | tuple):
        body = list(body)
        if "Content-Length" not in headers:
            headers["Content-Length"] = str(sum(map(len, body)))
    headers["x-amz-request-id"] = headers["X-Openstack-Request-Id"] = request_id(environ)
    if answer.status == 304:
        headers.pop("Content-Length", None)
    start_response(status_line(answer.status), list(headers.items()))
    return body
