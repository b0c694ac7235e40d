"""The whole service as one WSGI callable: authentication around versions, policy and handlers."""

import logging
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg

from nova.errors import DomainError
from nova.http import body
from nova.http.auth import authenticate
from nova.http.body import JSON
from nova.http.browsers import open_to_browsers
from nova.http.front import Front
from nova.http.policy import Policy
from nova.http.wsgi import Environ, StartResponse
from nova.placement.api import (
    aggregates,
    allocations,
    candidates,
    classes,
    inventories,
    providers,
    reshaper,
    root,
    traits,
    usages,
)
from nova.placement.api.operations import Service, find
from nova.placement.api.schemas import Body
from nova.placement.api.wsgi import (
    Answer,
    HttpError,
    Request,
    accepts_json,
    fault,
    parse_version,
    respond,
    respond_error,
)
from nova.placement.errors import ConcurrentUpdate, PlacementError
from nova.placement.providers import get_provider
from nova.placement.store import Store
from nova.policies import placement as rules

LOG = logging.getLogger(__name__)

# The modules that declare operations: importing them fills the table.
HANDLERS = (
    aggregates,
    allocations,
    candidates,
    classes,
    inventories,
    providers,
    reshaper,
    root,
    traits,
    usages,
)

_OF_PROVIDER = "/resource_providers/"

# What clients send and read beyond what browsers let through by themselves.
_ASKED_WITH = ("X-Auth-Token", "OpenStack-API-Version", "X-Openstack-Request-Id")
_ANSWERED_WITH = ("Location", "OpenStack-API-Version", "X-Openstack-Request-Id")


def make_application(conf: cfg.ConfigOpts, store: Store) -> Front:
    """The service over this store. The version document at the root needs no token."""
    answer = _Answering(Service(conf, store, Policy(conf, rules.list_rules())))
    guarded = authenticate(answer, conf, fault)

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        # Catalogs often name this service by http://host/placement, whoever serves it.
        if path == "/placement" or path.startswith("/placement/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + "/placement"
            path = environ["PATH_INFO"] = path[len("/placement") :]
        return (answer if path in ("", "/") else guarded)(environ, start_response)

    return Front(open_to_browsers(application, conf, _ASKED_WITH, _ANSWERED_WITH), conf, fault)


class _Answering:
    """From an authenticated request to its answer."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._max_body_size: int = service.conf.api.max_body_size

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        minor: int | None = None
        try:
            minor = parse_version(environ)
            answer = self._answer(Request(environ, _path(environ), minor))
        except PlacementError as error:
            return respond_error(error, environ, minor, start_response)
        except DomainError as error:
            return respond_error(HttpError(error.status, error.message), environ, minor, start_response)
        except sa.exc.IntegrityError as error:
            # The database knew something the index could not: names it holds to be the same, say.
            LOG.info("conflict in the database: %s", error.orig)
            return respond_error(
                ConcurrentUpdate("The request conflicts with what is stored."), environ, minor, start_response
            )
        return respond(answer, environ, minor, start_response)

    def _answer(self, request: Request) -> Answer:
        operation = find(request)
        service = self._service
        if operation.checks_policy and operation.rule is not None:
            service.authorize(request, operation.rule)
        if operation.has_body and not accepts_json(request.environ.get("HTTP_ACCEPT")):
            raise HttpError(406, f"Only {JSON} is provided")
        if operation.body is None:
            return operation.handler(service, request, *request.names)
        content = self._read(operation.body, request)
        return operation.handler(service, request, content, *request.names)

    def _read(self, shape: Body, request: Request) -> Any:
        kind = body.content_type(request.environ)
        if not kind and request.environ.get("CONTENT_LENGTH") not in (None, "", "0"):
            raise HttpError(400, "content-type header required")
        if kind != JSON:
            raise HttpError(415, f"The media type {kind or None} is not supported, use {JSON}")
        self._check_provider(request)
        content = body.parse(body.read(request.environ, self._max_body_size), may_hold_nul=True)
        shape.check(content, request.minor)
        return content

    def _check_provider(self, request: Request) -> None:
        """Who names no provider learns this, whatever is wrong with the body. Raises NotFound."""
        if request.path.startswith(_OF_PROVIDER) and request.names:
            with self._service.store.read() as index:
                get_provider(index, request.names[0])


def _path(environ: Environ) -> str:
    path = environ.get("PATH_INFO", "") or "/"
    try:
        return path.encode("latin-1").decode()
    except UnicodeError as error:
        raise HttpError(404) from error
