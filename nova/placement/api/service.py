"""The whole service as one WSGI callable: authentication around versions, policy and handlers."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from oslo_middleware import cors
from oslo_policy import policy as oslo_policy

from nova.http.auth import UNAVAILABLE, authenticate
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
from nova.placement.api.routing import Endpoint, find
from nova.placement.api.wsgi import (
    JSON,
    Answer,
    HttpError,
    Request,
    accepts_json,
    parse_version,
    respond,
    respond_error,
)
from nova.placement.errors import ConcurrentUpdate, Forbidden, PlacementError
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
# A change of the policy file is seen this soon; until then decisions are remembered.
_POLICY_MEMORY_S = 1.0


class Application:
    """What handlers are given: the store, the configuration, and the say of policy."""

    def __init__(self, conf: cfg.ConfigOpts, store: Store) -> None:
        self.conf = conf
        self.store = store
        self.max_body_size: int = conf.api.max_body_size
        self._enforcer = oslo_policy.Enforcer(conf)
        self._enforcer.suppress_deprecation_warnings = True
        self._enforcer.suppress_default_change_warnings = True
        self._enforcer.register_defaults(rules.list_rules())
        self._decisions: dict[tuple, bool] = {}
        self._decided_until = 0.0

    def authorize(self, request: Request, rule: str, project_id: str | None = None) -> None:
        """Forbidden unless policy lets the caller do this (to what belongs to project_id)."""
        context = request.context
        target = context.project_id if project_id is None else project_id
        now = time.monotonic()
        if now > self._decided_until or len(self._decisions) > 10000:
            self._decisions.clear()
            self._decided_until = now + _POLICY_MEMORY_S
        key = (
            rule,
            context.roles,
            context.system_scope,
            context.domain_id,
            context.project_id,
            context.user_id,
            target,
        )
        allowed = self._decisions.get(key)
        if allowed is None:
            allowed = self._decisions[key] = self._decide(context, rule, target)
        if not allowed:
            raise Forbidden(f"{rule} is not allowed.")

    def _decide(self, context: Any, rule: str, target: str) -> bool:
        try:
            return bool(
                self._enforcer.authorize(
                    rule, {"project_id": target, "user_id": context.user_id}, context.policy_credentials()
                )
            )
        except oslo_policy.InvalidScope:
            return False


def make_application(conf: cfg.ConfigOpts, store: Store) -> Callable[..., Iterable[bytes]]:
    """The service over this store. The version document at the root needs no token."""
    answer = _Front(Application(conf, store))
    guarded = authenticate(answer, conf, _unauthorized, _unavailable)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        # Catalogs often name this service by http://host/placement, whoever serves it.
        if path == "/placement" or path.startswith("/placement/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + "/placement"
            path = environ["PATH_INFO"] = path[len("/placement") :]
        return (answer if path in ("", "/") else guarded)(environ, start_response)

    if conf.cors.allowed_origin:
        return cors.CORS(application, conf)
    return application


def _unauthorized(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    return respond_error(HttpError(401, "Authentication required"), environ, None, start_response)


def _unavailable(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    return respond_error(HttpError(503, UNAVAILABLE), environ, None, start_response)


class _Front:
    """From an authenticated request to its answer."""

    def __init__(self, service: Application) -> None:
        self._service = service

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        minor: int | None = None
        try:
            minor = parse_version(environ)
            answer = self._answer(Request(environ, _path(environ), minor))
        except PlacementError as error:
            return respond_error(error, environ, minor, start_response)
        except sa.exc.IntegrityError as error:
            # The database knew something the index could not: names it holds to be the same, say.
            LOG.info("conflict in the database: %s", error.orig)
            return respond_error(
                ConcurrentUpdate("The request conflicts with what is stored."), environ, minor, start_response
            )
        except Exception:
            LOG.exception("%s %s failed", environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"))
            return respond_error(HttpError(500), environ, minor, start_response)
        return respond(answer, environ, minor, start_response)

    def _answer(self, request: Request) -> Answer:
        operation = find(request)
        service = self._service
        if operation.checks_policy and operation.rule is not None:
            service.authorize(request, operation.rule)
        if operation.has_body and not accepts_json(request.environ.get("HTTP_ACCEPT")):
            raise HttpError(406, f"Only {JSON} is provided")
        _check_length(request.environ)
        if operation.body is None:
            return operation.handler(service, request, *request.names)
        body = self._read(operation, request)
        return operation.handler(service, request, body, *request.names)

    def _read(self, operation: Endpoint, request: Request) -> Any:
        kind = (request.environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
        if not kind and request.environ.get("CONTENT_LENGTH") not in (None, "", "0"):
            raise HttpError(400, "content-type header required")
        if kind != JSON:
            raise HttpError(415, f"The media type {kind or None} is not supported, use {JSON}")
        body = request.read_json(self._service.max_body_size)
        assert operation.body is not None
        operation.body.check(body, request.minor)
        return body


def _check_length(environ: dict[str, Any]) -> None:
    length = environ.get("CONTENT_LENGTH")
    if length and not (length.isascii() and length.isdigit()):
        raise HttpError(400, "content-length header must be an integer")


def _path(environ: dict[str, Any]) -> str:
    path = environ.get("PATH_INFO", "") or "/"
    try:
        return path.encode("latin-1").decode()
    except UnicodeError as error:
        raise HttpError(404) from error
