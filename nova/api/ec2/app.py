"""From an HTTP request to an action's answer: the same few checks for every action, in one order.

    path -> parameters -> signature -> identity -> action -> parameters' names and types -> rule -> DryRun -> handler

Nothing is asked of another daemon, but who signs, before the request is known to be one that can be done.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from nova import log_context
from nova.api.compute.request import Request, Services
from nova.api.compute.versions import MAXIMUM
from nova.api.ec2 import errors, listing, protocol, signature
from nova.api.ec2.call import Call
from nova.api.ec2.declaration import Action
from nova.api.ec2.identity import Identity
from nova.api.ec2.ids import Ids
from nova.api.ec2.model import model
from nova.errors import DomainError, NotFound
from nova.http import body
from nova.http.wsgi import CONTEXT, ROUTE, Environ, StartResponse, Wsgi, request_id, status_line

LOG = logging.getLogger(__name__)

PATHS = frozenset(("", "/services/Cloud"))
_FORM = "application/x-www-form-urlencoded"
_MOST_PARAMETERS = 20000


class Application:
    """The actions as a WSGI application."""

    def __init__(self, actions: Mapping[str, Action], services: Services, identity: Identity) -> None:
        self._actions = actions
        self._services = services
        self._identity = identity
        self._ids = Ids(services.conductor)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            status, document = 200, self._answer(environ)
        except DomainError as error:
            status, code = errors.status_of(error), errors.code_of(error)
            if status >= 500:
                LOG.warning("%s: %s", code, error)
            context = environ.get(CONTEXT)
            message = error.told(context is not None and context.is_admin)
            document = protocol.write_error(code, message[:_LONGEST_MESSAGE], request_id(environ))
        return _send(environ, start_response, status, document)

    def _answer(self, environ: Environ) -> bytes:
        if environ.get("PATH_INFO", "").rstrip("/") not in PATHS:
            raise errors.BadRequest("The EC2 API is at / and at /services/Cloud.", "InvalidAction")
        raw, pairs = self._read(environ)
        signed = signature.read(environ, pairs, raw, self._services.conf.ec2_timestamp_expiry)
        context = environ[CONTEXT] = self._identity.context(environ, signed)
        log_context.follow(context.request_id, context.user_id, context.project_id)
        pairs = signature.without_signature(pairs)
        action = self._action(dict(pairs))
        environ[ROUTE] = action.name
        given = protocol.read(model(), action.name, pairs)
        action.check(given)
        request = Request(context, MAXIMUM, self._services, _base_url(environ), "/")
        self._check_rules(action, request)
        if given.get("DryRun"):
            raise errors.DryRun()
        ids = self._ids.for_call()
        try:
            result = action.handler(Call(request, given, ids))
        except NotFound as error:
            raise ids.missing_in(error.message) or _coded(action, error) from error
        except DomainError as error:
            raise _coded(action, error) from error
        if action.lists is not None:
            result = listing.page(action.lists, result, given, _can_page(action.name))
        return protocol.write(model(), action.name, result, context.request_id)

    def _read(self, environ: Environ) -> tuple[bytes, signature.Pairs]:
        """The body and the parameters, which stand in one place. Raises BadRequest, TooLarge."""
        raw = body.read(environ, self._services.conf.api.max_body_size)
        query = environ.get("QUERY_STRING", "")
        match environ["REQUEST_METHOD"]:
            case "GET" if not raw:
                text = query
            case "POST" if not query and body.content_type(environ) in ("", _FORM):
                text = _utf8(raw)
            case _:
                raise errors.malformed("Parameters stand in the body of a POST or in the query of a GET.")
        try:
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
        except ValueError as error:
            raise errors.malformed("The parameters are too many, or no UTF-8.") from error
        return raw, pairs

    def _action(self, parameters: Mapping[str, str]) -> Action:
        if "Action" not in parameters:
            raise errors.BadRequest("The request must contain the parameter Action", "MissingAction")
        version = parameters.get("Version", model().version)
        if not (len(version) == len(model().version) and version <= model().version):
            raise errors.BadRequest(f"The version {version[:20]} is not known here.", "NoSuchVersion")
        action = self._actions.get(parameters["Action"])
        if action is None:
            name = parameters["Action"][:100]
            raise errors.BadRequest(f"The action {name} is not valid for this web service.", "InvalidAction")
        return action

    def _check_rules(self, action: Action, request: Request) -> None:
        """Whatever an action is done to belongs to the caller's project: others' things do not exist for it."""
        for rule in action.policy:
            request.check(rule)


def _coded(action: Action, error: DomainError) -> DomainError:
    """The error with the code that the action has for it."""
    code = next((code for kind, code in action.codes.items() if isinstance(error, kind)), None)
    if code is None:
        return error
    hidden = error.for_administrators
    return errors.BadRequest(error.for_users, code, **({} if hidden is None else {"detail": hidden}))


def _can_page(name: str) -> bool:
    shape = model().operations[name][1]
    return shape is not None and "NextToken" in model().shapes[shape].members


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise errors.malformed("The body is no UTF-8.") from error


def _base_url(environ: Environ) -> str:
    return f"{environ.get('wsgi.url_scheme', 'http')}://{environ.get('HTTP_HOST', '')}"


# It may quote what was asked, or what another service said.
_LONGEST_MESSAGE = 1000


def fault(status: int, message: str) -> Wsgi:
    """An error of this API, for what refuses a request before the API has seen it."""
    code = {401: "AuthFailure", 413: "MalformedQueryString", 500: "InternalError", 503: "Unavailable"}

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        told = protocol.write_error(code.get(status, "InvalidParameterValue"), message, request_id(environ))
        return _send(environ, start_response, status, told)

    return answer


def _send(environ: Environ, start_response: StartResponse, status: int, document: bytes) -> list[bytes]:
    headers: list[tuple[str, Any]] = [
        ("Content-Type", "text/xml; charset=UTF-8"),
        ("Content-Length", str(len(document))),
        ("x-amzn-RequestId", request_id(environ)),
        ("x-openstack-request-id", request_id(environ)),
    ]
    start_response(status_line(status), headers)
    return [document]
