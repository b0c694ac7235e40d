"""What users are told beyond upstream's API: why a host was chosen, and what happens to servers as it happens."""

import msgspec

from nova.conductor.acceptance import accept
from nova.conductor.core import Core
from nova.conductor.workflows import placing
from nova.db import log_readers
from nova.structs.context import Context
from nova.structs.operation import EventPage, LogCursor
from nova.structs.requests import BuildRequest
from nova.structs.schedule import Decision


class WatchingCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def explain(self, context: Context, request: BuildRequest) -> Decision:
        instance, document = self._core.db.read(lambda c: accept.preview_build(c, self._core, context, request))
        wanted = placing.request(document, self._core.step_context, instance)
        return self._core.step_context.scheduler.select(msgspec.structs.replace(wanted, is_dry_run=True))

    def end_of_log(self, context: Context) -> LogCursor:
        return self._core.db.read(log_readers.end)

    def watch_log(self, context: Context, cursor: LogCursor, project_id: str | None, limit: int) -> EventPage:
        return self._core.db.read(lambda c: log_readers.watch(c, cursor, project_id, limit))
