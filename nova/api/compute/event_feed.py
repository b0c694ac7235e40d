"""One reader of the event log for all streams of a worker, which runs while there is a stream.

A watcher holds what was read and not sent yet, up to a bound: then it drops that, and reads on by itself from where it
stands. So a client that is slow costs little memory and misses nothing.
"""

import logging
import os
import selectors
import threading
import time
from collections import Counter, deque

from oslo_config import cfg

from nova import concurrency, errors
from nova.http.wsgi import Client
from nova.rpc.conductor import ConductorCalls
from nova.structs.context import Context
from nova.structs.operation import EventPage, LogCursor

LOG = logging.getLogger(__name__)

BATCH = 200
# The reader's own call waits so long for news, well within any patience of the bus; an older conductor does not wait.
_WAIT_S = 2.0
_LEAST_PAUSE_S = 0.1
_RETRY_S = 1.0
_MOST_HELD = 1000
_OPENING_S = 10.0
_READER = Context(is_admin=True)


class Watcher:
    """One stream's place: pages that were read for it, and a file descriptor that can be read when there are some."""

    def __init__(self) -> None:
        self._pages: deque[EventPage] = deque()
        self._held = 0
        self._has_lost = False
        self._lock = threading.Lock()
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_closed = False

    def put(self, page: EventPage) -> None:
        with self._lock:
            if self._is_closed or self._has_lost:
                return
            self._pages.append(page)
            self._held += len(page.events)
            if self._held > _MOST_HELD:
                self._pages.clear()
                self._held, self._has_lost = 0, True
            os.eventfd_write(self._fd, 1)

    def take(self) -> list[EventPage] | None:
        """The pages since the last time; None when there were too many, and the log has to be read."""
        with self._lock:
            try:
                os.eventfd_read(self._fd)
            except BlockingIOError:
                return []
            if self._has_lost:
                self._has_lost = False
                return None
            pages, self._held = list(self._pages), 0
            self._pages.clear()
            return pages

    def wait(self, client: Client | None, timeout_s: float) -> bool:
        """Wait for pages; whether the client is still there."""
        if client is not None:
            return client.wait(self._fd, timeout_s)
        with selectors.DefaultSelector() as selector:
            selector.register(self._fd, selectors.EVENT_READ)
            selector.select(max(timeout_s, 0))
        return True

    def close(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self._fd)


class EventFeed:
    """Reads the log for the watchers of this process, and counts them."""

    def __init__(self, conductor: ConductorCalls, conf: cfg.ConfigOpts) -> None:
        self._conductor = conductor
        self._conf = conf
        self._lock = threading.Lock()
        self._watchers: dict[Watcher, str] = {}
        self._by_project: Counter[str] = Counter()
        self._is_running = False
        self._is_reading = threading.Event()

    def join(self, project_id: str) -> Watcher:
        """A place for a stream of this project's user. Raises TooManyRequests, Unavailable."""
        limits = self._conf.api
        with self._lock:
            if self._by_project[project_id] >= limits.max_event_streams_per_project:
                raise errors.TooManyRequests(
                    "The project has too many event streams open. Close one, or try again later."
                )
            if len(self._watchers) >= limits.max_event_streams:
                raise errors.Unavailable("Too many event streams are open here. Try again later.")
            watcher = Watcher()
            self._watchers[watcher] = project_id
            self._by_project[project_id] += 1
            if not self._is_running:
                self._is_running = True
                concurrency.spawn(self._run, name="event-feed")
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Free the place, if it is not free yet."""
        with self._lock:
            project_id = self._watchers.pop(watcher, None)
            if project_id is not None:
                self._by_project[project_id] -= 1
                if not self._by_project[project_id]:
                    del self._by_project[project_id]
        watcher.close()

    def end_of_log(self) -> LogCursor:
        """Where the log ends. What is appended behind it reaches every watcher that has joined. Raises Unavailable."""
        if not self._is_reading.wait(_OPENING_S):
            raise errors.Unavailable(service="nova-conductor", reason="the event log cannot be read")
        return self._conductor.end_of_log(_READER)

    def read(self, cursor: LogCursor, project_id: str | None) -> EventPage:
        """What a watcher that is behind reads by itself. Raises Unavailable."""
        return self._conductor.watch_log(_READER, cursor, project_id, BATCH)

    def _run(self) -> None:
        cursor: LogCursor | None = None
        while self._is_wanted():
            began = time.monotonic()
            try:
                if cursor is None:
                    cursor = self._conductor.end_of_log(_READER)
                    self._is_reading.set()
                page = self._conductor.watch_log(_READER, cursor, None, BATCH, _WAIT_S)
            except Exception as error:
                # Streams outlive a conductor that is away.
                is_defect = not isinstance(error, errors.DomainError)
                LOG.warning("the event log cannot be read now: %s", error, exc_info=is_defect)
                time.sleep(_RETRY_S)
                continue
            if page.events or page.cursor != cursor:
                self._hand_out(page)
            cursor = page.cursor
            if len(page.events) < BATCH:
                time.sleep(max(0.0, began + _LEAST_PAUSE_S - time.monotonic()))

    def _hand_out(self, page: EventPage) -> None:
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher.put(page)

    def _is_wanted(self) -> bool:
        with self._lock:
            if not self._watchers:
                self._is_running = False
                self._is_reading.clear()
            return self._is_running
