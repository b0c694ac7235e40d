"""Who looks at the pages: a token of the Identity service, kept in a cookie that scripts cannot read."""

import datetime
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

import webob
from oslo_config import cfg

from nova import errors
from nova.api.compute.status_page import words
from nova.clients.identity import Logins
from nova.http import auth, body
from nova.http.wsgi import ROUTE, Environ, StartResponse, Wsgi, request_id
from nova.structs.context import Context

_COOKIE = "nova_status"
_FIELDS = ("user", "password", "project", "domain")
_LONGEST_FORM = 16384
_NOT_OURS = "That form was not this site's."


class Login:
    """The pages for who has a token, the form for who has none."""

    def __init__(self, pages: Wsgi, conf: cfg.ConfigOpts, logins: Logins) -> None:
        self._guarded = auth.authenticate(pages, conf, _fault)
        self._logins = logins

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = webob.Request(environ)
        answer = self._open(request, environ["PATH_INFO"].removeprefix(words.ROOT))
        if answer is not None:
            return words.send(answer, environ, start_response)
        token = request.cookies.get(_COOKIE)
        if token:
            environ["HTTP_X_AUTH_TOKEN"] = token
        return self._guarded(environ, start_response)

    def _open(self, request: webob.Request, path: str) -> webob.Response | None:
        """The answer of what needs no token."""
        request.environ[ROUTE] = f"{words.ROOT}{path}" if path in ("/login", "/logout") else f"{words.ROOT}/static"
        match request.method, path:
            case "GET", "/login":
                return _form(request)
            case "POST", "/login":
                return self._begin(request)
            case "POST", "/logout":
                return self._end(request)
            case "GET", _ if (file := words.static(path.removeprefix("/"))) is not None:
                return file
        return None

    def _begin(self, request: webob.Request) -> webob.Response:
        if not _is_own(request):
            return _form(request, 403, _NOT_OURS)
        try:
            given = _fields(request)
            login = self._logins.begin(given["user"], given["password"], given["project"], given["domain"])
        except errors.Unauthorized:
            return _form(request, 401, "The Identity service does not know these.")
        except errors.DomainError as error:
            return _form(request, error.status, error.for_users)
        answer = words.moved(request)
        lifetime = login.expires_at - datetime.datetime.now(datetime.UTC)
        _keep(answer, request, login.token, int(lifetime.total_seconds()))
        return answer

    def _end(self, request: webob.Request) -> webob.Response:
        if not _is_own(request):
            return _form(request, 403, _NOT_OURS)
        token = request.cookies.get(_COOKIE)
        if token:
            try:
                self._logins.end(Context(auth_token=token, request_id=request_id(request.environ)))
            except errors.DomainError as error:
                return _form(request, error.status, f"The token was not revoked: {error.for_users}")
        answer = words.moved(request, "/login")
        _keep(answer, request, "", 0)
        return answer


def _keep(answer: webob.Response, request: webob.Request, token: str, seconds: int) -> None:
    path = f"{request.script_name}{words.ROOT}"
    is_secure = request.scheme == "https"
    answer.set_cookie(_COOKIE, token, seconds, path, secure=is_secure, httponly=True, samesite="Lax")


def _fields(request: webob.Request) -> dict[str, str]:
    """What the form was filled with. Raises Invalid, TooLarge."""
    raw = body.read(request.environ, _LONGEST_FORM)
    try:
        given = parse_qs(raw.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=len(_FIELDS))
    except ValueError as error:
        raise errors.Invalid("The form cannot be read.") from error
    if set(given) != set(_FIELDS):
        raise errors.Invalid("The form is not complete.")
    return {name: given[name][0] for name in _FIELDS}


def _is_own(request: webob.Request) -> bool:
    """Whether a form came from a page of this site: nobody is logged in, or out, by another one's."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def _form(request: webob.Request, status: int = 200, message: str | None = None) -> webob.Response:
    return words.page(request, "login.html", status, message=message)


def _fault(status: int, message: str) -> Wsgi:
    """A request without a token that counts is answered with the form; any other fault is a page."""

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = webob.Request(environ)
        refused = words.page(request, "refused.html", status, message=message)
        return words.send(_form(request, 401) if status == 401 else refused, environ, start_response)

    return answer
