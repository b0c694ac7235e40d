"""Operations between the daemons: a step ordered from a host, its answer, and the records users read."""

import datetime
from typing import Any

import msgspec


class StepOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step that a host is to do. number grows with every order of the operation: an answer
    to an older order is out of date. answer_by is the step's deadline. Times are UTC, by the
    conductor's clock. arguments is JSON in the verb's own shape. waits_if_silent: the operation does not go on
    without its answer."""

    operation_id: str
    instance_id: str
    host: str
    number: int
    verb: str
    arguments: msgspec.Raw
    sent_at: datetime.datetime
    answer_by: datetime.datetime
    request_id: str | None = None
    waits_if_silent: bool = False


class StepAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of an order: result is JSON in the verb's shape; error names a class of nova.errors."""

    operation_id: str
    number: int
    host: str
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None
    message: str = ""
    details: dict[str, Any] = {}


class StepRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of a step: an event of the instance action. result: Success or Error."""

    name: str
    started_at: datetime.datetime
    finished_at: datetime.datetime | None = None
    result: str | None = None
    host: str | None = None
    details: str | None = None


class OperationRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An operation as the instance action users see."""

    uuid: str
    name: str
    instance_uuid: str
    project_id: str
    user_id: str
    request_id: str
    state: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    finished_at: datetime.datetime | None = None
    message: str | None = None
    events: tuple[StepRecord, ...] = ()


class OpenOperation(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that is not over, for operators. Times are UTC.

    lease_owner: the conductor that works on it now. is_ordered: waiting_host has been sent the step, and is at it.
    wake_at: when it is looked at next. left: the steps that are missing where it is over for its user. reason: why the
    last step that failed did.
    """

    uuid: str
    name: str
    instance_uuid: str
    project_id: str
    state: str
    step: str
    waiting_host: str | None
    lease_owner: str | None
    is_ordered: bool
    is_cancelled: bool
    created_at: datetime.datetime
    wake_at: datetime.datetime | None
    deadline_at: datetime.datetime
    left: tuple[str, ...]
    reason: str | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of a finished operation. error: the name of a class of nova.errors; None for success.

    message is for users; whole_message for administrators, where users are not told everything.
    """

    error: str | None = None
    message: str | None = None
    whole_message: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry of the event log. project_id: whose server it is about; None for what no project owns."""

    id: int
    created_at: datetime.datetime
    kind: str
    project_id: str | None
    payload: dict[str, Any]
    instance_uuid: str | None = None
    request_id: str | None = None


class LogCursor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far somebody has read the event log.

    position is the last entry read. missing holds the numbers below it that were not there yet, because numbers are
    given before transactions commit, each with the time of the entry behind it. first is the oldest entry that there
    was when the end of the log was looked for; 0: there was none, or it was not looked for.
    """

    position: int
    missing: dict[int, datetime.datetime] = {}
    first: int = 0

    @property
    def settled(self) -> int:
        """The last entry before which nothing is missing: whoever reads on from here misses nothing."""
        return min(self.missing) - 1 if self.missing else self.position

    def awaits(self, number: int) -> bool:
        """Whether an entry with this number is not read yet."""
        return number > self.position or number in self.missing

    def moved_to(self, other: "LogCursor") -> "LogCursor":
        """Where this reader stands once it has read a page that another reader, who stands at other now, has read.

        The page may begin before this reader's position: what it has read stays read.
        """
        kept = {n: since for n, since in self.missing.items() if n in other.missing or n > other.position}
        new = {n: since for n, since in other.missing.items() if n > self.position}
        return LogCursor(position=max(self.position, other.position), missing=kept | new)


class EventPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Entries of the event log, and where to read on. Those that appeared late come first."""

    events: tuple[Event, ...]
    cursor: LogCursor
