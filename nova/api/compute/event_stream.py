"""One stream of Server-Sent Events: what one caller may see of the event log, until its time is over or it leaves."""

import datetime
import json
import logging
import time
from collections.abc import Iterator

from nova import errors
from nova.api.compute.event_feed import BATCH, EventFeed, Watcher
from nova.clock import utcnow
from nova.http.wsgi import Client
from nova.structs.context import Context
from nova.structs.operation import Event, EventPage, LogCursor

LOG = logging.getLogger(__name__)

_KEEP_ALIVE_S = 15
_RETRY_S = 1.0
_FIELDS = ("step", "vm_state", "task_state", "power_state")
_NOT_SHOWN = ("host", "node")


def lifetime_s(context: Context) -> float:
    """How long the caller's token counts; a stream must not outlive it."""
    if context.token_expires_at is None:
        return float("inf")
    return (context.token_expires_at.replace(tzinfo=None) - utcnow()).total_seconds()


class EventStream:
    """The pieces of the answer; close() frees the stream's place in the feed.

    token is where to resume, None for what comes from now on. project_id: whose servers are told of, None for all.
    ends_at and expires_at are of time.monotonic(): at ends_at what there is is still told, at expires_at nothing.
    Raises Unavailable when the log cannot be read; the watcher is the caller's then.
    """

    def __init__(
        self,
        feed: EventFeed,
        watcher: Watcher,
        client: Client | None,
        project_id: str | None,
        token: int | None,
        ends_at: float,
        expires_at: float,
    ) -> None:
        self._feed = feed
        self._watcher = watcher
        self._client = client
        self._project_id = project_id
        self._ends_at = min(ends_at, expires_at)
        self._expires_at = expires_at
        end = feed.end_of_log()
        is_known = token is not None and token <= max(end.position, *end.missing, 0)
        self._is_behind = is_known
        self._cursor = LogCursor(position=token) if token is not None and is_known else end
        self._gap = None if token is None else _gap(token, end)

    def __iter__(self) -> Iterator[bytes]:
        # The first bytes show the client that the stream is open, and where it begins.
        yield f": from {self._cursor.settled}\n{self._mark()}".encode()
        if self._gap is not None:
            yield f"event: gap\ndata: {json.dumps(self._gap)}\n{self._mark()}".encode()
        sent_at = time.monotonic()
        while True:
            for page in self._pages():
                if told := self._told(page):
                    yield told
                    sent_at = time.monotonic()
            now = time.monotonic()
            if now >= self._expires_at or (now >= self._ends_at and not self._is_behind):
                return
            if now - sent_at >= _KEEP_ALIVE_S:
                yield f": keep-alive\n{self._mark()}".encode()
                sent_at = now
            until = min(self._ends_at, sent_at + _KEEP_ALIVE_S)
            if not self._is_behind and not self._watcher.wait(self._client, until - now):
                return

    def close(self) -> None:
        self._feed.leave(self._watcher)

    def _pages(self) -> list[EventPage]:
        """What is to be told now, in its order."""
        if not self._is_behind:
            pages = self._watcher.take()
            if pages is not None:
                return pages
            LOG.info("a client of an event stream is slow: it reads on at %s", self._cursor.settled)
            self._is_behind = True
        try:
            page = self._feed.read(self._cursor, self._project_id)
        except errors.DomainError as error:
            LOG.warning("an event stream waits: %s", error)
            time.sleep(_RETRY_S)
            return []
        self._is_behind = len(page.events) >= BATCH
        return [page]

    def _told(self, page: EventPage) -> bytes:
        """A page's events as far as they are this caller's and were not told; the cursor is behind them then."""
        before, after = self._cursor, self._cursor.moved_to(page.cursor)
        self._cursor = after
        told = []
        for event in page.events:
            if self._project_id in (None, event.project_id) and before.awaits(event.id):
                token = before.settled if event.id <= before.position else min(event.id, after.settled)
                told.append(_worded(event, token))
        return b"".join(told)

    def _mark(self) -> str:
        """Where to resume, and the end of what stands before."""
        return f"id: {self._cursor.settled}\n\n"


def _gap(token: int, end: LogCursor) -> dict[str, object] | None:
    """What a client that resumes has missed for good; None for nothing."""
    if token > max(end.position, *end.missing, 0):
        return {"after": token, "reason": "the log does not know this id"}
    if token + 1 < end.first:
        return {"after": token, "before": end.first, "reason": "the entries are purged"}
    return None


def _worded(event: Event, token: int) -> bytes:
    data = {
        "number": event.id,
        "time": event.created_at.replace(tzinfo=datetime.UTC).isoformat(),
        "project_id": event.project_id,
        "server_id": event.instance_uuid,
        "request_id": event.request_id,
        **dict.fromkeys(_FIELDS),
        **{name: value for name, value in event.payload.items() if name not in _NOT_SHOWN},
    }
    return f"id: {token}\nevent: {event.kind}\ndata: {json.dumps(data)}\n\n".encode()
