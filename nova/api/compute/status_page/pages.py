"""The pages themselves: what the conductor is asked for each, and for whom."""

import re
import time
from collections.abc import Iterable, Iterator

import webob

from nova import errors, log_context
from nova.api.compute.event_stream import EventStream, lifetime_s
from nova.api.compute.request import Services
from nova.api.compute.status_page import words
from nova.api.compute.status_page.funnel import draw
from nova.api.compute.status_page.overview import hosts_shown, totals
from nova.http.wsgi import CLIENT, CONTEXT, ROUTE, Environ, StartResponse
from nova.structs.context import Context

_RULE = "compute:status:show"
_SERVER = re.compile(r"/servers/([0-9a-f-]{36})", re.ASCII)
_MOST_OPERATIONS = 100
_MOST_FAILURES = 20
_MOST_HISTORY = 20
_MOST_DECISIONS = 5
# Of how many of a server's newest operations the steps are shown.
_WITH_STEPS = 5
_STREAM_S = 3600


class Pages:
    """A WSGI application; environ carries the caller's Context."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._conductor = services.conductor

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = webob.Request(environ)
        context = environ[CONTEXT]
        log_context.follow(context.request_id, context.user_id, context.project_id)
        try:
            self._services.policy.check(context, _RULE, {"project_id": context.project_id, "user_id": context.user_id})
            answer = self._answer(request, context, environ["PATH_INFO"].removeprefix(words.ROOT))
        except errors.PolicyDenied:
            answer = words.page(request, "refused.html", 403, message="These pages are for administrators.")
        except errors.DomainError as error:
            answer = words.page(request, "refused.html", error.status, message=error.told(context.is_admin))
        return words.send(answer, environ, start_response)

    def _answer(self, request: webob.Request, context: Context, path: str) -> webob.Response:
        """Raises NotFound, ServerNotFound, Unavailable."""
        server = _SERVER.fullmatch(path)
        request.environ[ROUTE] = f"{words.ROOT}/servers/{{server_id}}" if server else f"{words.ROOT}{path}"
        if request.method in ("GET", "HEAD") and path in ("", "/"):
            return self._cloud(request, context)
        if request.method in ("GET", "HEAD") and server:
            return self._server(request, context, server[1])
        if request.method == "GET" and path == "/events":
            return self._events(request, context)
        request.environ[ROUTE] = "unmatched"
        raise errors.NotFound("There is no such page.")

    def _cloud(self, request: webob.Request, context: Context) -> webob.Response:
        services = self._conductor.services(context)
        nodes = self._conductor.nodes(context)
        use = self._conductor.node_use(context, [node.host for node in nodes])
        hosts = hosts_shown(nodes, services, use)
        return words.page(
            request,
            "cloud.html",
            hosts=hosts,
            host_count=len(nodes),
            totals=totals(nodes, use),
            daemons=[one for one in services if one.binary != "nova-compute"],
            operations=self._conductor.open_operations(context, _MOST_OPERATIONS),
            most_operations=_MOST_OPERATIONS,
            failures=self._conductor.failed_operations(context, _MOST_FAILURES),
        )

    def _server(self, request: webob.Request, context: Context, server_id: str) -> webob.Response:
        server = self._conductor.server(context, server_id)
        history = self._conductor.operations(context, server_id, limit=_MOST_HISTORY)
        decisions = self._conductor.decisions(context, server_id)
        return words.page(
            request,
            "server.html",
            server=server,
            history=[
                (one, self._conductor.operation_steps(context, one.uuid) if number < _WITH_STEPS else [])
                for number, one in enumerate(history)
            ],
            decisions=[(one, draw(one)) for one in decisions[:_MOST_DECISIONS]],
        )

    def _events(self, request: webob.Request, context: Context) -> webob.Response:
        """Raises TooManyRequests, Unavailable."""
        feed, now = self._services.events, time.monotonic()
        ends_at = now + min(_STREAM_S, lifetime_s(context))
        watcher = feed.join(context.project_id)
        try:
            stream = EventStream(feed, watcher, request.environ.get(CLIENT), None, None, ends_at, ends_at)
        except BaseException:
            feed.leave(watcher)
            raise
        answer = webob.Response(content_type="text/event-stream", app_iter=_Nudges(stream))
        answer.headers.update((("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")))
        return answer


class _Nudges:
    """A stream of events as what a page needs of it: something has changed."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            yield piece if piece.startswith(b":") else b"data: changed\n\n"

    def close(self) -> None:
        self._stream.close()
