"""A stream of what happens to servers, as Server-Sent Events: GET /servers/events.

An extension of ours: upstream has no such operation.
"""

import time

from nova import errors
from nova.api.compute.app import Reply, Stream
from nova.api.compute.event_stream import EventStream, lifetime_s
from nova.api.compute.request import Request
from nova.http.declaration import LATER, get
from nova.http.schema import BOOLISH, STRING, integer, once, query
from nova.http.view import made

_MEDIA_TYPE = "text/event-stream"
_MAX_TIMEOUT_S = 3600
# Ids are the numbers of entries, which databases keep in 64 bits.
_LARGEST_ID = 2**63 - 1


@get(
    "/servers/events",
    policy="compute:servers:events",
    target=LATER,
    query=query(
        once("after", integer(0, _LARGEST_ID)),
        once("timeout", integer(0, _MAX_TIMEOUT_S)),
        once("all_projects", BOOLISH),
        strict_since="2.1",
    ),
    answer=made(STRING, _MEDIA_TYPE),
    errors=(400, 403, 429, 503),
    is_ours=True,
)
def stream_events(request: Request) -> Reply:
    """Every change of the project's servers as a Server-Sent Event, until timeout seconds (3600 at most) are over.

    An event's id is the token to resume from, in the header Last-Event-ID (browsers send it when they
    reconnect) or the parameter "after". Without a token the stream begins with the next event. Nothing is missed:
    while a change with a lower number may still be under way, the token stays before it, and a client that resumes
    then gets what came behind it again. An event's number tells whether the client has it already. What was missed
    because the log does not have it any more, or does not know the token, is told by an event "gap".

    The stream ends with the caller's token. There are limits in all and for a project: TooManyRequests, Unavailable.
    """
    request.check("compute:servers:events")
    project: str | None = request.context.project_id
    if request.first("all_projects", False):
        request.check("compute:servers:events:all_projects")
        project = None
    token, now = _token(request), time.monotonic()
    ends_at = now + request.first("timeout", _MAX_TIMEOUT_S)
    feed = request.services.events
    watcher = feed.join(request.context.project_id)
    try:
        expires_at = now + lifetime_s(request.context)
        stream = EventStream(feed, watcher, request.client, project, token, ends_at, expires_at)
    except BaseException:
        feed.leave(watcher)
        raise
    return Reply(Stream(stream, _MEDIA_TYPE), {"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _token(request: Request) -> int | None:
    """Where to resume; the header counts, which a browser sends when it reconnects. Raises Invalid."""
    header = request.headers.get("Last-Event-ID")
    if header is None:
        token: int | None = request.first("after")
        return token
    if not (header.isascii() and header.isdigit() and len(header) <= len(str(_LARGEST_ID))):
        raise errors.Invalid("Last-Event-ID is not a token of this stream.")
    if (number := int(header)) > _LARGEST_ID:
        raise errors.Invalid("Last-Event-ID is not a token of this stream.")
    return number
