"""The calls of a conductor by which somebody looks on: at what happens, why, and what is under way."""

from nova.structs.context import Context
from nova.structs.operation import EventPage, LogCursor, OpenOperation, OperationRecord, StepRecord
from nova.structs.requests import BuildRequest
from nova.structs.schedule import Decision


class WatchingCalls:
    """Why hosts are chosen, and what happens to servers as it happens."""

    def explain(self, context: Context, request: BuildRequest) -> Decision:
        """What the scheduler would decide for this request; nothing is claimed. Raises FlavorNotFound, Invalid."""

    def end_of_log(self, context: Context) -> LogCursor:
        """Where to begin to watch the event log from now on; first of the cursor is set."""

    def watch_log(
        self, context: Context, cursor: LogCursor, project_id: str | None, limit: int, wait_s: float = 0.0
    ) -> EventPage:
        """The entries about servers that were not read yet, limit of them or a few more; of all projects without project_id.

        Where there are none, it waits for some, for wait_s and a few seconds at most. A conductor of the last release
        does not wait.
        """


class OverviewCalls:
    """What operators look at: operations of all servers."""

    def open_operations(self, context: Context, limit: int) -> list[OpenOperation]:
        """Those that are not over, the oldest first."""

    def operation_steps(self, context: Context, operation_id: str) -> list[StepRecord]:
        """All runs of an operation's steps, the first one first."""

    def failed_operations(self, context: Context, limit: int) -> list[OperationRecord]:
        """The last that failed, newest first, among the newest ten thousand."""
