"""What users are told beyond upstream's API: why a host was chosen, and what happens to servers as it happens."""

import datetime

import msgspec

from nova.clock import utcnow
from nova.conductor.acceptance import accept
from nova.conductor.core import Core
from nova.conductor.workflows import placing
from nova.db import events
from nova.structs.context import Context
from nova.structs.operation import Event
from nova.structs.requests import BuildRequest
from nova.structs.schedule import Decision

# Numbers are given before transactions commit: an entry this old has none before it that is still to come.
_SETTLED = datetime.timedelta(seconds=0.3)


class WatchingCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def explain(self, context: Context, request: BuildRequest) -> Decision:
        instance, document = self._core.db.read(lambda c: accept.preview_build(c, self._core, context, request))
        wanted = placing.request(document, self._core.step_context, instance)
        return self._core.step_context.scheduler.select(msgspec.structs.replace(wanted, is_dry_run=True))

    def last_event(self, context: Context) -> int:
        return self._core.db.read(events.last_id)

    def events_after(self, context: Context, event_id: int, project_id: str | None, limit: int) -> list[Event]:
        found = self._core.db.read(lambda c: events.after(c, event_id, project_id, limit))
        settled = utcnow() - _SETTLED
        return [event for event in found if event.created_at <= settled]
