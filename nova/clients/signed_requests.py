"""Who has signed a request of another protocol: the Identity service knows the secrets (OS-EC2 credentials) and checks."""

import time
from typing import Any

import requests
from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Service
from nova.clock import parse_utc
from nova.structs.context import Context

# A refusal of a signature and one of our own token look alike. So often, at most, a new token of our own is tried.
_LOGIN_EVERY_S = 30


class SignatureInvalid(errors.Unauthorized):
    text = "The Identity service does not accept the signature."


class AccessKeyUnknown(SignatureInvalid):
    text = "The access key is not known."


class SignedRequests:
    """path: where the Identity service checks this kind of signature. url: the same, when the catalog is not to say it.

    gives_token: whether an answer there brings a token, with which other services are asked in the signer's name.
    """

    def __init__(self, adapter: Adapter, path: str, url: str | None = None, gives_token: bool = True) -> None:
        self._service = Service("The Identity service", adapter)
        self._path = url or path
        self._gives_token = gives_token
        self._logged_in_at = 0.0

    def signer(self, credentials: dict[str, Any], request_id: str) -> Context:
        """The user who has signed, and the project. Raises SignatureInvalid, Unavailable.

        An unusable user or project is told apart from a wrong signature by the Identity service's log alone.
        """
        response = self._check(credentials, request_id, may_log_in=False)
        if response.status_code == 401 and time.monotonic() >= self._logged_in_at + _LOGIN_EVERY_S:
            self._logged_in_at = time.monotonic()
            response = self._check(credentials, request_id, may_log_in=True)
        if response.status_code == 404:
            raise AccessKeyUnknown()
        if response.status_code in (400, 401):
            raise SignatureInvalid()
        if response.status_code != 200:
            raise self._service.failed(response)
        return self._context(response, request_id)

    def _check(self, credentials: dict[str, Any], request_id: str, may_log_in: bool) -> requests.Response:
        try:
            return self._service.adapter.post(
                self._path,
                json={"credentials": credentials},
                headers={"X-OpenStack-Request-ID": request_id},
                raise_exc=False,
                allow_reauth=may_log_in,
                log=False,
            )
        except exceptions.ClientException as error:
            raise self._service.unreachable(error) from error

    def _context(self, response: requests.Response, request_id: str) -> Context:
        token = self._service.part(response, "token")
        try:
            roles = tuple(role["name"].lower() for role in token["roles"])
            return Context(
                user_id=token["user"]["id"],
                project_id=token["project"]["id"],
                roles=roles,
                is_admin="admin" in roles,
                user_domain_id=token["user"]["domain"]["id"],
                project_domain_id=token["project"]["domain"]["id"],
                # Without one, other services would be asked with this cloud's own rights.
                auth_token=response.headers["X-Subject-Token"] if self._gives_token else None,
                token_expires_at=parse_utc(token["expires_at"]),
                request_id=request_id,
            )
        except (KeyError, TypeError, AttributeError, ValueError):
            raise self._service.not_understood(response) from None
