"""What users are told beyond upstream's API: why a host was chosen, and what happens to servers as it happens."""

import functools
import time

import msgspec

from nova import concurrency
from nova.conductor.acceptance import accept
from nova.conductor.core import Core
from nova.conductor.workflows import build, placing
from nova.db import log_readers
from nova.structs.context import Context
from nova.structs.operation import EventPage, LogCursor
from nova.structs.requests import BuildRequest
from nova.structs.schedule import Decision

# How long one call may wait, and how often it looks meanwhile: users hear of a change that much later at most.
_LONGEST_WAIT_S = 10.0
_LOOK_INTERVAL_S = 0.1


class WatchingCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def explain(self, context: Context, request: BuildRequest) -> Decision:
        instance, document = self._core.db.read(lambda c: accept.preview_build(c, self._core, context, request))
        document = build.with_port_claims(document, self._core.step_context, instance)
        wanted = placing.request(document, self._core.step_context, instance)
        return self._core.step_context.scheduler.select(msgspec.structs.replace(wanted, is_dry_run=True))

    def end_of_log(self, context: Context) -> LogCursor:
        return self._core.db.read(log_readers.end)

    def watch_log(
        self, context: Context, cursor: LogCursor, project_id: str | None, limit: int, wait_s: float = 0.0
    ) -> EventPage:
        """At most ten seconds, whatever wait_s is: a watcher calls again."""
        until = time.monotonic() + min(wait_s, _LONGEST_WAIT_S)

        def read(at: LogCursor) -> EventPage:
            return self._core.db.read(lambda c: log_readers.watch(c, at, project_id, limit))

        page = read(cursor)
        while not page.events and (left := until - time.monotonic()) > 0:
            self._wait_for_news(page.cursor, left)
            page = read(page.cursor)
        return page

    def _wait_for_news(self, at: LogCursor, timeout_s: float) -> None:
        time.sleep(min(timeout_s, _LOOK_INTERVAL_S))
        # What is missing may appear or be given up: only reading tells.
        if not at.missing:
            has_news = functools.partial(log_readers.has_news, cursor=at)
            concurrency.wait_for(lambda: self._core.db.read(has_news), timeout_s, _LOOK_INTERVAL_S)
