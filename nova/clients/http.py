"""Another service of the cloud, asked over HTTP: an answer, or errors.Unavailable in words fit for a user.

What went wrong in detail (addresses, exceptions) is for the log. A request that is made for a user
carries that user's token, so that the other service decides what the user may see.
"""

import logging
from typing import Any
from urllib.parse import quote

import requests
from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.structs.context import Context

LOG = logging.getLogger(__name__)

# A host that is there takes a connection at once; the rest of the time is for the answer.
_CONNECT_S = 5.0
# What says something of the request; anything else above 400 says something of the service, or of a balancer before it.
_REFUSALS = (400, 403, 404, 409, 412, 413, 415, 416)


class Service:
    """A service and how users know it: "The Image service"."""

    def __init__(self, name: str, adapter: Adapter) -> None:
        self.name = name
        self.adapter = adapter

    def ask(
        self, method: str, path: str, context: Context | None = None, at_least_s: float = 0, **options: Any
    ) -> requests.Response:
        """The answer, if it is one: below 400, or a refusal. at_least_s: what takes long even when all is well.

        Without a token in the context the request is made with this cloud's own credentials. Raises
        Unavailable, and Unauthorized for a user's token that is not good any more.
        """
        headers = dict(options.pop("headers", {}))
        is_users = context is not None and bool(context.auth_token)
        if context is not None and is_users:
            headers["X-Auth-Token"] = context.auth_token
            options["authenticated"] = False
        if context is not None and context.request_id:
            headers["X-OpenStack-Request-ID"] = context.request_id
        answer_s = max(self.adapter.session.timeout or 0, at_least_s)
        if answer_s:
            options["timeout"] = (min(_CONNECT_S, answer_s), answer_s)
        try:
            response = self.adapter.request(path, method, headers=headers, raise_exc=False, **options)
        except exceptions.ClientException as error:
            raise self.silent(error) from error
        if response.status_code == 401 and is_users:
            raise errors.Unauthorized()
        if response.status_code == 401:
            raise self.failed(response, "it does not accept the credentials of the Compute service")
        if response.status_code >= 400 and response.status_code not in _REFUSALS:
            raise self.failed(response)
        return response

    def document(self, response: requests.Response) -> dict[str, Any]:
        """The JSON object an answer is; empty for an empty answer. Raises Unavailable."""
        if not response.content:
            return {}
        try:
            found = response.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self.not_understood(response)
        return found

    def part(self, response: requests.Response, key: str) -> Any:
        """What an answer holds under a key that has to be there. Raises Unavailable."""
        document = self.document(response)
        if key not in document:
            raise self.not_understood(response)
        return document[key]

    def not_understood(self, response: requests.Response) -> errors.Unavailable:
        """The error for an answer that is not what this service answers: something else stands in its place."""
        return self.failed(response, "its answer cannot be understood")

    def failed(self, response: requests.Response, reason: str | None = None) -> errors.Unavailable:
        """The error for an answer that is no use."""
        request = response.request
        LOG.warning("%s %s: %s %.300s", request.method, request.url, response.status_code, response.text)
        return self.unavailable(reason or f"it answers with status {response.status_code}")

    def unavailable(self, reason: str) -> errors.Unavailable:
        return errors.Unavailable(service=self.name, reason=reason)

    def silent(self, error: exceptions.ClientException) -> errors.Unavailable:
        """The error for a service that did not answer at all."""
        LOG.warning("%s is not available: %s", self.name, error)
        try:
            self.adapter.get_token()
        except exceptions.ClientException as other:
            # Nobody gets as far as the service while nobody can log in.
            return errors.Unavailable(service="The Identity service", reason=_reason(other))
        return self.unavailable(_reason(error))


def segment(text: str) -> str:
    """A text that comes from a user, as a part of a path: nothing but one segment comes of it."""
    quoted = quote(text, safe="")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


def _reason(error: exceptions.ClientException) -> str:
    match error:
        case exceptions.ConnectTimeout() | exceptions.RequestTimeout():
            return "it did not answer in time"
        case exceptions.ConnectFailure() | exceptions.ConnectionError():
            return "it cannot be reached"
        case exceptions.Unauthorized():
            return "it does not accept the credentials of the Compute service"
        case exceptions.EndpointNotFound() | exceptions.CatalogException():
            return "the catalog does not say where it is"
        case exceptions.HttpError():
            return f"it answers with status {error.http_status}"
        case _:
            return "its answer cannot be understood"
