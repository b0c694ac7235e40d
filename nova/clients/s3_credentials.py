"""Whose an S3 signature is: the Identity service knows the secrets (OS-EC2 credentials) and checks it."""

import base64
import logging
from typing import Any

import requests
from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Service, segment
from nova.structs.context import Context

LOG = logging.getLogger(__name__)


class AccessKeyUnknown(errors.Forbidden):
    text = "The access key is not known."


class SignatureWrong(errors.Forbidden):
    text = "The signature is not that of the access key."


class S3Credentials:
    """The Identity service's /v3/s3tokens, asked with this cloud's own credentials."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._service = Service("The Identity service", adapter)

    def check(self, access: str, string_to_sign: str, signature: str, request_id: str) -> Context:
        """Who signed. Raises AccessKeyUnknown, SignatureWrong, Unavailable."""
        token = base64.urlsafe_b64encode(string_to_sign.encode()).decode()
        credentials = {"access": access, "token": token, "signature": signature}
        response = self._ask("POST", "/s3tokens", request_id, json={"credentials": credentials})
        match response.status_code:
            case 200:
                return self._context(response, request_id)
            case 401:
                # An unusable user or project is told apart from a wrong signature by the Identity service's log alone.
                raise SignatureWrong()
            case 400 | 404:
                raise AccessKeyUnknown()
        raise self._service.failed(response)

    def secret(self, user_id: str, access: str, request_id: str) -> str:
        """The secret of an access key. Raises Unavailable: also where this cloud's user may not read it."""
        path = f"/users/{segment(user_id)}/credentials/OS-EC2/{segment(access)}"
        response = self._ask("GET", path, request_id)
        if response.status_code != 200:
            # Nothing of the answer: it may hold the secret.
            raise self._service.unavailable(f"it answers with status {response.status_code}")
        credential = self._service.part(response, "credential")
        return str(credential["secret"])

    def _ask(self, method: str, path: str, request_id: str, **options: Any) -> requests.Response:
        try:
            return self._adapter.request(
                path, method, headers={"X-OpenStack-Request-ID": request_id}, raise_exc=False, **options
            )
        except exceptions.ClientException as error:
            raise self._service.unreachable(error) from error

    def _context(self, response: requests.Response, request_id: str) -> Context:
        token = self._service.part(response, "token")
        try:
            return Context(
                user_id=token["user"]["id"],
                project_id=token["project"]["id"],
                roles=tuple(role["name"].lower() for role in token["roles"]),
                request_id=request_id,
            )
        except (KeyError, TypeError, AttributeError):
            raise self._service.not_understood(response) from None
