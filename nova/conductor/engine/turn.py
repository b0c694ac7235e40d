"""A step's turn, and what every commit of one has in common: the operation is held on, and the journal is kept."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic

from sqlalchemy.engine import Connection

from nova import errors, metrics
from nova.clock import utcnow
from nova.conductor.engine import journal
from nova.conductor.engine.operation import Document, Operation, Step
from nova.db import operations
from nova.db.engine import Database
from nova.db.operations import Failure, Lease
from nova.structs.operation import StepAnswer

LOG = logging.getLogger(__name__)

# What a step has recorded with its own commit, in the same transaction.
Record = Callable[[Connection], None]


def no_boundary(operation: str, step: str, moment: str) -> None:
    """Called between the commits; the tests kill a conductor here."""


@dataclass(frozen=True)
class Turn(Generic[Document]):
    """One step of one operation: what it is, what it works on, and the host's answer to it, if that is here."""

    workflow: Operation[Document]
    held: Lease
    step: Step[Document]
    document: Document
    answer: StepAnswer | None
    started: datetime


@dataclass(frozen=True)
class Commits:
    """How one conductor commits turns: owner and lease_s are of the leases it goes on with, wake has an operation
    looked at, boundary is called after each commit."""

    db: Database
    wake: Callable[[str], None]
    owner: str
    lease_s: float
    boundary: Callable[[str, str, str], None] = no_boundary

    def keep(self, connection: Connection, held: Lease, **changes: Any) -> bool:
        """Write where the operation goes on, and hold it; whether it is cancelled by now."""
        return operations.advance(
            connection,
            held,
            **changes,
            order=None,
            waiting_host=None,
            wake_at=utcnow() + timedelta(seconds=self.lease_s),
            lease_owner=self.owner,
        )

    def committed(self, turn: Turn[Document], name: str, outcome: str, woken: list[str]) -> None:
        """A step's end is committed: count it, and wake the operations that waited for it."""
        self.count(turn, name, outcome)
        self.boundary(turn.held.name, name, "committed")
        for uuid in woken:
            self.wake(uuid)

    def ended(self, turn: Turn[Document], outcome: str, failure: Failure | None) -> None:
        """The end of an operation is committed: one line of the log, and its count."""
        held = turn.held
        began = held.deadline_at - timedelta(seconds=turn.workflow.deadline_s)
        seconds = max((utcnow() - began).total_seconds(), 0.0)
        metrics.OPERATIONS.labels(held.name, outcome).observe(seconds)
        what, why = f"{held.name} of server {held.instance_uuid}: {outcome} in {seconds:.1f} s", ""
        if failure is not None:
            why = f" at {failure.function or turn.step.name}: {failure.whole_message or failure.message}"
        LOG.info("%s%s (operation %s)", what, why, held.uuid)

    def count(self, turn: Turn[Document], name: str, outcome: str) -> None:
        """Count how long a step or undo took."""
        elapsed_s = (utcnow() - turn.started).total_seconds()
        metrics.STEPS.labels(turn.held.name, name, outcome).observe(elapsed_s)


def record_end(
    connection: Connection,
    turn: Turn[Document],
    document: Document,
    record: Record | None,
    reason: str | None,
) -> dict[str, Any]:
    """Record how a step ended, with what it made unless it failed; gives the columns of the server that it wrote."""
    written: dict[str, Any] = {}
    if reason is None:
        if record:
            record(connection)
        for commit in turn.step.commit:
            written |= commit(connection, document) or {}
    journal.record(connection, turn.held, turn.step.name, turn.started, reason)
    return written


def failure_of(
    turn: Turn[Document], error: errors.DomainError, trace: str | None, resume_at: Step[Document] | None = None
) -> Failure:
    """Why the operation does not go on from here, with what failed before. resume_at: where it is tried anew."""
    message, whole, details = error.for_users, error.message, trace or error.for_administrators
    if earlier := turn.held.failure:
        message = _with_history(message, earlier.message)
        whole = _with_history(whole, earlier.whole_message or earlier.message)
        if details or earlier.details:
            details = _with_history(details or error.message, earlier.details or earlier.message)
    missing = turn.held.failure or Failure(error="", message="")
    return Failure(
        error=type(error).__name__,
        message=message,
        whole_message=None if whole == message else whole,
        details=details,
        resume_at=None if resume_at is None else resume_at.name,
        status=error.status,
        function=turn.step.name,
        module=turn.step.do.__module__,
        left=missing.left,
        given_up=missing.given_up,
        is_settled=missing.is_settled,
        rounds=missing.rounds,
    )


def _with_history(reason: str, earlier: str) -> str:
    """A failure after others: the last reason first, for whoever reads only the beginning."""
    return reason if earlier == reason else f"{reason} Before that: {earlier}"
