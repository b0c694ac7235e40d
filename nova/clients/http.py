"""A request to another service of the cloud over HTTP: an answer, or a domain error in words fit for a user.

What went wrong in detail (addresses, exceptions) is for the log. A request that is made for a user
carries that user's token, so that the other service decides what the user may see.
"""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests
from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter

from nova import errors, neighbours
from nova.structs.context import Context

LOG = logging.getLogger(__name__)

# A host that is up accepts a connection at once; the rest of the time is for the answer.
_CONNECT_S = 5.0
# Statuses that say something of the request; any other above 400 says something of the service or of a proxy before it.
_REFUSALS = (400, 403, 404, 409, 412, 413, 415, 416)
_OF_PROXIES = (502, 503, 504)
IDENTITY = "The Identity service"
# A refusal of a request that tells of a host may tell of it, too, unless its type is one that is known here.
_OF_HOSTS = frozenset(("binding:host_id", "binding:profile", "connector", "host", "access_to"))

# How a service refuses: the error for the type of fault its body names, for (method, status), for a status, and with
# None for everything else. The first that is there counts, in this order.
Refusals = Mapping[str | int | tuple[str, int] | None, type[errors.DomainError]]


class ServiceFailed(errors.Unavailable):
    """The service is there, and has failed at this request. fault: the type it gives to what went wrong, or nothing."""

    fault = ""


class Service:
    """A service, how users know it ("The Image service"), and what its refusals mean here."""

    def __init__(
        self, name: str, adapter: Adapter, refusals: Refusals | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.adapter = adapter
        self._refusals = refusals or {}
        self._headers = headers or {}

    def ask(self, method: str, path: str, *, key: str, **options: Any) -> Any:
        """What the answer holds under key. options are those of answer(), and it raises the same."""
        return self.part(self.answer(method, path, **options), key)

    def answer(
        self, method: str, path: str, missing: errors.DomainError | None = None, **options: Any
    ) -> requests.Response:
        """The answer. missing: the error when the service does not know what is asked for.

        options are those of request(). Raises missing, what the table of refusals says, and what request() raises.
        """
        response = self.request(method, path, **options)
        if response.status_code >= 400:
            raise self._refusal(method, response, missing, tells_of_host=_tells_of_host(options.get("json")))
        return response

    def request(
        self, method: str, path: str, context: Context | None = None, at_least_s: float = 0, **options: Any
    ) -> requests.Response:
        """The answer, or a refusal that the caller has to tell from it. at_least_s: time that is granted in any case.

        Without a context, or for one that names no user, the request is made with this cloud's own credentials. Raises
        Unavailable, and Unauthorized for a user without a token, or whose token has become invalid.
        """
        if context is not None and context.user_id and not context.auth_token:
            # Whoever asks for a user must not get what the cloud itself may have.
            raise errors.Unauthorized()
        headers = {**self._headers, **options.pop("headers", {})}
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
            raise self.unreachable(error) from error
        if response.status_code == 401 and is_users:
            raise errors.Unauthorized()
        if response.status_code == 401:
            raise self.failed(response, "it does not accept the credentials of the Compute service")
        if response.status_code >= 400 and response.status_code not in _REFUSALS:
            raise self.failed(response)
        neighbours.answered(self.name)
        return response

    def document(self, response: requests.Response) -> dict[str, Any]:
        """The JSON object of an answer; empty for an empty answer. Raises Unavailable."""
        if not response.content:
            return {}
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self.not_understood(response)
        return document

    def part(self, response: requests.Response, key: str) -> Any:
        """What an answer holds under a key that has to be there. Raises Unavailable."""
        document = self.document(response)
        if key not in document:
            raise self.not_understood(response)
        return document[key]

    def not_understood(self, response: requests.Response) -> errors.Unavailable:
        """The error for an answer in an unknown form: something else listens at this address."""
        return self.failed(response, "its answer cannot be understood")

    def failed(self, response: requests.Response, reason: str | None = None) -> errors.Unavailable:
        """The error for an answer that is of no use."""
        request = response.request
        status = response.status_code
        # A proxy speaks for a service that is away.
        level = logging.DEBUG if status in _OF_PROXIES else logging.WARNING
        # It may repeat what a user has sent.
        LOG.log(level, "%s %s: %s %r", request.method, request.url, status, response.text[:300])
        if status in _OF_PROXIES:
            return self._away(f"it answers with status {status}")
        reason = reason or f"it answers with status {status}"
        if status != 500:
            return self.unavailable(reason)
        error = ServiceFailed(service=self.name, reason=reason)
        error.fault = _fault(response)[0]
        return error

    def unavailable(self, reason: str) -> errors.Unavailable:
        """reason is told to users: nothing of addresses or exceptions."""
        return errors.Unavailable(service=self.name, reason=reason)

    def unreachable(self, error: exceptions.ClientException) -> errors.Unavailable:
        """The error for a service that did not answer at all."""
        LOG.debug("%s is not available: %s", self.name, error)
        try:
            self.adapter.get_token()
        except exceptions.ClientException as other:
            # Nobody gets as far as the service while nobody can log in.
            return self._away(reason_of(other), IDENTITY)
        return self._away(reason_of(error))

    def _away(self, reason: str, who: str | None = None) -> errors.Unavailable:
        neighbours.lost(who or self.name, reason)
        error = errors.Unavailable(service=who or self.name, reason=reason)
        error.is_logged = True
        return error

    def _refusal(
        self, method: str, response: requests.Response, missing: errors.DomainError | None, tells_of_host: bool
    ) -> errors.DomainError:
        """Users are told the message of a fault; what else an answer holds, a page of a proxy, is not for them."""
        fault, message = _fault(response)
        status = response.status_code
        keys = (fault, (method, status), status, None)
        kind = next((self._refusals[key] for key in keys if key in self._refusals), errors.Invalid)
        if missing is not None and kind is errors.NotFound:
            return missing
        if message is None or (tells_of_host and fault not in self._refusals):
            return kind(f"{self.name} refused the request.", detail=message or response.text[:500])
        return kind(message)


def segment(text: str) -> str:
    """A text that comes from a user, quoted so that it is one segment of a path."""
    quoted = quote(text, safe="")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


def _fault(response: requests.Response) -> tuple[str, str | None]:
    """Type and message of a refusal, as services put them: {NAME: {"type", "message"}}; no message in another form."""
    try:
        fault = next(iter(response.json().values()))
        return str(fault.get("type", "")), str(fault["message"])
    except (ValueError, KeyError, TypeError, StopIteration, AttributeError):
        return "", None


def _tells_of_host(body: Any) -> bool:
    """Whether any member of a request's body is one that names a host."""
    if isinstance(body, dict):
        return not _OF_HOSTS.isdisjoint(body) or any(map(_tells_of_host, body.values()))
    return isinstance(body, list) and any(map(_tells_of_host, body))


def reason_of(error: exceptions.ClientException) -> str:
    """What users are told of a request that failed."""
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
