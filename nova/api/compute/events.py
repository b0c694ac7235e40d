"""A stream of what happens to servers, as Server-Sent Events: GET /servers/events.

An extension of ours: upstream has no such operation.
"""

import json
import time
from collections.abc import Iterator

from nova import errors
from nova.api.compute.app import Reply, Stream
from nova.api.compute.request import Request
from nova.http.declaration import LATER, get
from nova.http.schema import BOOLISH, integer, is_number, once, query
from nova.http.view import made
from nova.structs.operation import Event, LogCursor

_MAX_TIMEOUT_S = 3600
_POLL_INTERVAL_S = 0.5
_KEEP_ALIVE_S = 15
_BATCH = 200


@get(
    "/servers/events",
    policy="compute:servers:events",
    target=LATER,
    query=query(
        once("after", integer(0)),
        once("timeout", integer(0, _MAX_TIMEOUT_S)),
        once("all_projects", BOOLISH),
        strict_since="2.1",
    ),
    answer=made(),
    errors=(400, 403),
    is_ours=True,
)
def stream_events(request: Request) -> Reply:
    """Every change of the project's servers as a Server-Sent Event, until timeout seconds (3600 at most) are over.

    An event's id is the token to resume from, in the header Last-Event-ID (browsers send it when they
    reconnect) or the parameter "after". Without a token the stream begins with the next event. Nothing is missed:
    while a change with a lower number may still be under way, the token stays before it, and a client that resumes
    then gets what came behind it again. An event's number tells whether the client has it already.
    """
    request.check("compute:servers:events")
    project: str | None = request.context.project_id
    if request.first("all_projects", False):
        request.check("compute:servers:events:all_projects")
        project = None
    token = request.first("after")
    if (header := request.headers.get("Last-Event-ID")) is not None:
        if not is_number(header):
            raise errors.Invalid("Last-Event-ID is not a token of this stream.")
        token = int(header)
    begin = request.conductor.end_of_log(request.context) if token is None else LogCursor(position=token)
    stream = _stream(request, project, begin, request.first("timeout", _MAX_TIMEOUT_S))
    return Reply(Stream(stream, "text/event-stream"), {"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _stream(request: Request, project: str | None, cursor: LogCursor, timeout_s: int) -> Iterator[bytes]:
    deadline = time.monotonic() + timeout_s
    last_sent = time.monotonic()
    # The first bytes show the client that the stream is open, and where it begins.
    yield f": from {cursor.settled}\nid: {cursor.settled}\n\n".encode()
    while True:
        page = request.conductor.watch_log(request.context, cursor, project, _BATCH)
        for event in page.events:
            is_late = event.id <= cursor.position
            yield _event(event, cursor.settled if is_late else min(event.id, page.cursor.settled))
        cursor = page.cursor
        now = time.monotonic()
        if page.events:
            last_sent = now
        elif now - last_sent > _KEEP_ALIVE_S:
            last_sent = now
            yield f": keep-alive\nid: {cursor.settled}\n\n".encode()
        if now >= deadline:
            return
        if len(page.events) < _BATCH:
            time.sleep(min(_POLL_INTERVAL_S, max(deadline - now, 0)))


def _event(event: Event, token: int) -> bytes:
    data = {
        "number": event.id,
        "time": event.created_at.isoformat(),
        "project_id": event.project_id,
        "server_id": event.instance_uuid,
        "request_id": event.request_id,
        **{name: value for name, value in event.payload.items() if name not in ("host", "node")},
    }
    return f"id: {token}\nevent: {event.kind}\ndata: {json.dumps(data)}\n\n".encode()
