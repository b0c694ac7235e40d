"""From an HTTP request to a handler's answer: the same few checks for every operation, in one order.

    version -> route -> project -> operation -> body, query -> rule -> handler -> view

Nothing is asked of another daemon before the request is known to be well-formed and of a version
that has the operation.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import orjson
import routes
import webob

from nova import errors, log_context
from nova.api.compute import faults, versions
from nova.api.compute.request import Request, Services
from nova.http import body
from nova.http.declaration import LATER, PROJECT, SERVER, USER, Endpoint
from nova.http.schema import Checker, Shape, checker
from nova.http.wsgi import CLIENT, CONTEXT, ROUTE, Environ, StartResponse
from nova.structs.instance import Instance

LOG = logging.getLogger(__name__)


class Application:
    """The operations of one API as a WSGI application; environ carries the caller's Context."""

    def __init__(self, operations: Iterable[Endpoint], services: Services) -> None:
        self._services = services
        self._mapper = routes.Mapper(register=False)
        self._mapper.minimization = False
        self._by_path: dict[str, list[Endpoint]] = defaultdict(list)
        for operation in operations:
            self._by_path[operation.path].append(operation)
        # Fixed paths first: /servers/detail is no server's.
        for path in sorted(self._by_path, key=lambda one: (one.count("{"), one)):
            self._mapper.connect(path, path, template=path)
        self._checkers: dict[tuple[int, int, bool], Checker] = {}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = webob.Request(environ)
        answer = self._guarded(request)
        faults.name_request(answer, environ)
        return answer(environ, start_response)

    def _guarded(self, request: webob.Request) -> webob.Response:
        try:
            is_legacy = request.path_info.startswith("/v2/") or request.path_info == "/v2"
            version = 1 if is_legacy else versions.requested(
                request.headers.get("OpenStack-API-Version"), request.headers.get("X-OpenStack-Nova-API-Version")
            )  # fmt: skip
        except errors.NotAcceptable as error:
            return faults.response(406, error.for_users, "computeFault")
        except errors.DomainError as error:
            return faults.response(error.status, error.for_users)
        try:
            answer = self._answer(request, version, is_legacy)
        except errors.DomainError as error:
            if error.status >= 500:
                LOG.warning("%s %s: %s", request.method, request.path, error)
            answer = faults.response(error.status, error.told(request.environ[CONTEXT].is_admin))
        if not is_legacy:
            text = versions.text(version)
            answer.headers["OpenStack-API-Version"] = f"compute {text}"
            answer.headers["X-OpenStack-Nova-API-Version"] = text
            answer.headers.add("Vary", "OpenStack-API-Version, X-OpenStack-Nova-API-Version")
        return answer

    def _answer(self, request: webob.Request, version: int, is_legacy: bool) -> webob.Response:
        path, arguments, template = self._route(request)
        if template is None:
            return plain(404, "The resource could not be found.")
        request.environ[ROUTE] = template
        context = request.environ[CONTEXT]
        log_context.follow(context.request_id, context.user_id, context.project_id)
        project = arguments.pop("_project", None)
        if project is not None and context.project_id and project != context.project_id:
            raise errors.Invalid(
                f"Malformed request URL: URL's project_id '{project}' doesn't match Context's project_id "
                f"'{context.project_id}'"
            )
        candidates = [one for one in self._by_path[template] if one.method == request.method]
        if not candidates:
            return plain(404, "The resource could not be found.")
        content = self._read_body(request)
        operation = _choose(candidates, content, version)
        if operation.is_gone:
            return faults.response(410, errors.Gone.text, "computeFault")
        handled = Request(
            context=context,
            version=version,
            services=self._services,
            base_url=self._base_url(request),
            path=path,
            body=self._check_body(operation, content, version, is_legacy),
            query=self._check_query(operation, request, version, is_legacy),
            headers=request.headers,
            client=request.environ.get(CLIENT),
        )
        self._check_rule(operation, handled, arguments)
        return self._respond(operation, handled, operation.handler(handled, **arguments))

    def _route(self, request: webob.Request) -> tuple[str, dict[str, str], str | None]:
        """The path without version and project, its arguments, and the template it matches."""
        parts = request.path_info.split("/", 3)
        # A path that ends in a slash has an empty id there, which nothing has.
        rest = "/" + "/".join(parts[2:])
        match = self._mapper.match(rest)
        if match is None and len(parts) > 3:
            rest = "/" + parts[3]
            match = self._mapper.match(rest)
            if match is not None:
                match["_project"] = parts[2]
        if match is None:
            return rest, {}, None
        arguments = {name: value for name, value in match.items() if name not in ("template", "action", "controller")}
        return rest, arguments, match["template"]

    def _read_body(self, request: webob.Request) -> Any:
        """The JSON body; None for none. Raises TooLarge, UnsupportedMedia, Invalid."""
        raw = body.read(request.environ, self._services.conf.api.max_body_size)
        if not raw or request.method not in ("POST", "PUT", "PATCH"):
            return None
        if body.content_type(request.environ) not in _TYPES:
            raise errors.UnsupportedMedia()
        return body.parse(raw)

    def _check_body(self, operation: Endpoint, content: Any, version: int, is_legacy: bool) -> Any:
        if operation.action is not None:
            content = content[operation.action]
        if operation.body is None:
            return content
        return self._check(operation.body, content, version, is_legacy)

    def _check_query(self, operation: Endpoint, request: webob.Request, version: int, is_legacy: bool) -> Any:
        try:
            given = parse_qs(request.query_string, keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise errors.Invalid("Query string is not UTF-8 encoded") from error
        if "%00" in request.query_string:
            raise errors.Invalid("The query string holds a NUL character")
        return self._check(operation.query, given, version, is_legacy)

    def _check(self, shape: Shape, value: Any, version: int, is_legacy: bool) -> Any:
        # Shapes are made once, when the modules are read, and live as long as this does.
        key = (id(shape), version, is_legacy)
        found = self._checkers.get(key)
        if found is None:
            found = self._checkers[key] = checker(shape, version, is_legacy)
        return found(value)

    def _check_rule(self, operation: Endpoint, request: Request, arguments: dict[str, str]) -> None:
        if operation.target == SERVER:
            request.server = visible_server(request, arguments.pop("server_id"), details=operation.details)
            target = {"project_id": request.server.project_id, "user_id": request.server.user_id}
        elif operation.target == USER:
            user = request.first("user_id") or _user_in(request.body) or request.context.user_id
            target = {"user_id": user, "project_id": request.context.project_id}
        elif operation.target == PROJECT:
            target = {"project_id": request.context.project_id, "user_id": request.context.user_id}
        else:
            assert operation.target == LATER
            return
        if operation.policy is not None:
            request.check(operation.policy, target)

    def _respond(self, operation: Endpoint, request: Request, result: Any) -> webob.Response:
        answer = webob.Response(status=operation.success(request.version), content_type=body.JSON, charset="UTF-8")
        if isinstance(result, Reply):
            answer.headers.update(result.headers.items())
            if result.status is not None:
                answer.status_int = result.status
            result = result.value
        if isinstance(result, Stream):
            answer.content_type, answer.app_iter = result.content_type, result.chunks
        elif operation.answer is not None and result is not None:
            answer.body = orjson.dumps(operation.answer.render(result, request))
        else:
            answer.content_type = None
            answer.content_length = 0
        return answer

    def _base_url(self, request: webob.Request) -> str:
        return (self._services.conf.api.compute_link_prefix or request.application_url).rstrip("/")


class Reply:
    """A handler's result with headers or a status of its own."""

    def __init__(self, value: Any = None, headers: dict[str, str] | None = None, status: int | None = None) -> None:
        self.value = value
        self.headers = headers or {}
        self.status = status


class Stream:
    """A result that is sent piece by piece, as it comes about."""

    def __init__(self, chunks: Iterable[bytes], content_type: str) -> None:
        self.chunks = chunks
        self.content_type = content_type


def visible_server(
    request: Request,
    server_id: str,
    with_deleted: bool = False,
    details: Callable[[Request], dict[str, bool]] | None = None,
) -> Instance:
    """A server the caller may know of. Raises ServerNotFound for another project's, too."""
    context = request.context
    project_id = None if context.is_admin else context.project_id
    server = request.conductor.server(
        context, server_id, project_id=project_id, **(details(request) if details else {})
    )
    # Conductors of the last release do not ask for the project.
    if (server.is_deleted and not with_deleted) or project_id not in (None, server.project_id):
        raise errors.ServerNotFound(server_id=server_id)
    return server


# The types a body may have; what has none is taken for JSON.
_TYPES = ("", body.JSON, "application/vnd.openstack.compute+json", "text/plain", "application/octet-stream")


def _choose(candidates: list[Endpoint], content: Any, version: int) -> Endpoint:
    """The operation of this version; among actions, the one the body names."""
    if any(one.action is not None for one in candidates):
        if not isinstance(content, dict) or len(content) != 1:
            raise errors.Invalid("Malformed request body. There must be exactly one action.")
        name = next(iter(content))
        candidates = [one for one in candidates if one.action == name]
        if not candidates:
            raise errors.Invalid(f"There is no such action: {name}")
    held = [one for one in candidates if one.holds(version)]
    if not held:
        raise errors.VersionNotAvailable(version=versions.text(version))
    return held[0]


def _user_in(body: Any) -> str | None:
    inner = next(iter(body.values()), None) if isinstance(body, dict) else None
    return inner.get("user_id") if isinstance(inner, dict) else None


def plain(status: int, text: str) -> webob.Response:
    return webob.Response(status=status, text=text, content_type="text/plain", charset="UTF-8")
