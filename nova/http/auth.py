"""Puts an identity on every HTTP request: keystonemiddleware, or noauth2 for tests.

Both end in environ["nova.context"], a nova.structs.context.Context. No identity, no request: the
answer is 401 before anything else is looked at.
"""

import datetime
import logging
import re
from collections.abc import Iterable
from typing import Any

import webob
from keystoneauth1.exceptions import ClientException
from keystonemiddleware import auth_token
from oslo_config import cfg
from webob.exc import HTTPServiceUnavailable, HTTPUnauthorized

from nova import errors
from nova.http.wsgi import CONTEXT, UNAUTHORIZED, Environ, Fault, StartResponse, Wsgi, request_id
from nova.structs.context import Context

LOG = logging.getLogger(__name__)

_GLOBAL_REQUEST_ID = re.compile(r"req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)


# What an API says in its own words where nobody can tell who asks.
UNAVAILABLE = errors.Unavailable(service="The Identity service", reason="nobody can check tokens").message


def authenticate(app: Wsgi, conf: cfg.ConfigOpts, fault: Fault) -> Wsgi:
    """Wrap app so that it only sees requests with an identity.

    fault answers the others: keystonemiddleware's own answers carry no body of the API it guards.
    """
    unauthorized = fault(401, UNAUTHORIZED)
    if conf.api.auth_strategy == "noauth2":
        return _NoAuth(app, unauthorized)
    return _Keystone(_FromKeystoneHeaders(app, unauthorized), conf, unauthorized, fault(503, UNAVAILABLE))


class _Keystone(auth_token.AuthProtocol):
    """keystonemiddleware with the answers of the API it guards.

    The decision is not delayed: a middleware that delays takes a token it cannot check for one that is wrong, and
    a client that gets a 401 throws away a good token.
    """

    def __init__(self, app: Wsgi, conf: cfg.ConfigOpts, unauthorized: Wsgi, unavailable: Wsgi) -> None:
        super().__init__(app, {"oslo_config_config": conf, "log_name": "keystonemiddleware"})
        self._answer_unauthorized = unauthorized
        self._answer_unavailable = unavailable

    def process_request(self, request: webob.Request) -> webob.Response | None:
        # The library takes a token from there, too; everything here knows users by X-Auth-Token.
        request.headers.pop("X-Storage-Token", None)
        try:
            refused: webob.Response | None = super().process_request(request)
            return refused
        except HTTPUnauthorized:
            answer: webob.Response = self.process_response(request.get_response(self._answer_unauthorized))
            return answer
        except (HTTPServiceUnavailable, ClientException) as error:
            LOG.error("nobody can check tokens: %s", error)
            return request.get_response(self._answer_unavailable)


class _FromKeystoneHeaders:
    """Reads the headers keystonemiddleware leaves behind for a valid token."""

    def __init__(self, app: Wsgi, unauthorized: Wsgi) -> None:
        self._app = app
        self._unauthorized = unauthorized

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        token = environ.get("HTTP_X_AUTH_TOKEN")
        if not token or environ.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
            return self._unauthorized(environ, start_response)
        roles = _words(environ.get("HTTP_X_ROLES"))
        environ[CONTEXT] = Context(
            # A token may be of no project; None would mean every project.
            user_id=environ.get("HTTP_X_USER_ID") or "",
            project_id=environ.get("HTTP_X_PROJECT_ID") or "",
            roles=roles,
            is_admin="admin" in roles,
            system_scope=environ.get("HTTP_OPENSTACK_SYSTEM_SCOPE"),
            domain_id=environ.get("HTTP_X_DOMAIN_ID"),
            user_domain_id=environ.get("HTTP_X_USER_DOMAIN_ID"),
            project_domain_id=environ.get("HTTP_X_PROJECT_DOMAIN_ID"),
            service_roles=_words(environ.get("HTTP_X_SERVICE_ROLES")),
            auth_token=token,
            token_expires_at=_expiry(environ),
            **_of_request(environ),
        )
        return self._app(environ, start_response)


class _NoAuth:
    """Believes a token USER:PROJECT (or USER); the user "admin" is an administrator.

    X-Roles names other roles, X-Project-Id another project. For tests alone.
    """

    def __init__(self, app: Wsgi, unauthorized: Wsgi) -> None:
        self._app = app
        self._unauthorized = unauthorized

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        token = environ.get("HTTP_X_AUTH_TOKEN")
        if not token:
            return self._unauthorized(environ, start_response)
        user, _, project = token.partition(":")
        given = environ.get("HTTP_X_ROLES")
        roles = _words(given) if given is not None else ("admin",) if user == "admin" else ("member", "reader")
        environ[CONTEXT] = Context(
            user_id=user,
            project_id=environ.get("HTTP_X_PROJECT_ID") or project or user,
            roles=roles,
            is_admin="admin" in roles,
            system_scope=environ.get("HTTP_OPENSTACK_SYSTEM_SCOPE"),
            service_roles=_words(environ.get("HTTP_X_SERVICE_ROLES")),
            auth_token=token,
            **_of_request(environ),
        )
        return self._app(environ, start_response)


def _of_request(environ: Environ) -> dict[str, Any]:
    given = environ.get("HTTP_X_OPENSTACK_REQUEST_ID", "")
    return {
        "request_id": request_id(environ),
        "global_request_id": given if _GLOBAL_REQUEST_ID.fullmatch(given) else None,
        "remote_address": environ.get("REMOTE_ADDR"),
    }


def _expiry(environ: Environ) -> datetime.datetime | None:
    """When the token ends, in UTC; None where the Identity service does not say."""
    try:
        return datetime.datetime.fromisoformat(environ["keystone.token_info"]["token"]["expires_at"]).astimezone(
            datetime.UTC
        )
    except (KeyError, TypeError, ValueError):
        return None


def _words(header: str | None) -> tuple[str, ...]:
    return tuple(word.strip().lower() for word in (header or "").split(",") if word.strip())
