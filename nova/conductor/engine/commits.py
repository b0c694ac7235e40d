"""What one conductor commits of an operation: each time what a step made, what users see of it, and what comes next.

Everything here is one transaction, which fails with LeaseLost when another conductor holds the operation by now. The
lease that it gives is the operation as it is afterwards, in the same hands.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from nova import metrics
from nova.clock import utcnow
from nova.conductor.engine import completion, journal
from nova.conductor.engine.operation import Document, OnHost, Step, nothing_to_undo
from nova.conductor.engine.turn import Turn
from nova.db import operations
from nova.db.engine import Database
from nova.db.operations import LEFT, UNWINDING, Failure, Lease
from nova.structs.operation import StepOrder

LOG = logging.getLogger(__name__)

Record = Callable[[Connection], None]


def no_boundary(operation: str, step: str, moment: str) -> None:
    """Called between the commits; the tests kill a conductor here."""


@dataclass(frozen=True)
class Commits:
    """owner and lease_s are of the leases that operations go on with; wake has an operation looked at.

    pauses_s come between the tries of a step, the last again and again; left_pauses_s between the rounds of what is
    left behind a point of no return.
    """

    db: Database
    wake: Callable[[str], None]
    owner: str
    lease_s: float
    pauses_s: Sequence[float]
    left_pauses_s: Sequence[float]
    boundary: Callable[[str, str, str], None] = no_boundary

    # A step is done, or done without

    def go_on(
        self,
        turn: Turn[Document],
        following: Step[Document],
        document: Document,
        failure: Failure | None,
        record: Record | None = None,
        reason: str | None = None,
    ) -> Lease:
        """The step is done, or others can do without it (reason: why it failed); the next one begins."""
        held, name = turn.held, following.name
        text = _encode(document)
        moments = (f"begins {name}",) if reason else (f"done {turn.step.name}", f"begins {name}")
        shown = None if held.state == LEFT else following.shows(document)

        def work(connection: Connection) -> bool:
            written = _record_end(connection, turn, document, record, reason)
            is_cancelled = self._keep(connection, held, step=name, document=text, state=held.state, failure=failure)
            journal.show(connection, turn.workflow, held, turn.document, document, shown, moments, written, name)
            return is_cancelled

        is_cancelled = self.db.write(work)
        self._committed(turn, turn.step.name, _outcome(reason))
        return msgspec.structs.replace(
            held, step=name, document=text, failure=failure, order=None, is_cancelled=is_cancelled, wake_at=None
        )

    def succeed(self, turn: Turn[Document], document: Document, failure: Failure | None, record: Record | None) -> None:
        """The last step is done, and the operation with it."""
        held = msgspec.structs.replace(turn.held, failure=failure)

        def work(connection: Connection) -> list[str]:
            _record_end(connection, turn, document, record, None)
            return completion.succeed(connection, turn.workflow, held, document, _encode(document))

        woken = self.db.write(work)
        self._committed(turn, turn.step.name, "success", woken)

    def order(self, turn: Turn[Document], wanted: OnHost, name: str) -> tuple[StepOrder, bool]:
        """A host is to do this step, and nobody here holds the operation; whether it is cancelled by now."""
        held, now = turn.held, utcnow()
        order = StepOrder(
            operation_id=held.uuid,
            instance_id=held.instance_uuid,
            host=wanted.host,
            request_id=held.request_id,
            number=held.attempt + 1,
            verb=wanted.verb,
            arguments=msgspec.Raw(msgspec.json.encode(wanted.arguments)),
            sent_at=now,
            answer_by=now + timedelta(seconds=wanted.timeout_s or turn.step.timeout_s),
        )

        def work(connection: Connection) -> bool:
            operations.begin_event(connection, held.uuid, name, wanted.host)
            # What the server shows meanwhile was committed with the step before.
            return operations.advance(
                connection,
                held,
                order=order,
                attempt=order.number,
                waiting_host=wanted.host,
                wake_at=order.answer_by,
                lease_owner=None,
            )

        is_cancelled = self.db.write(work)
        self.boundary(held.name, turn.step.name, "ordered")
        return order, is_cancelled

    def let_go(self, turn: Turn[Document], order: StepOrder) -> None:
        """A host has the step in hand still: the operation is looked at when its answer is due."""
        self.db.write(lambda c: operations.advance(c, turn.held, lease_owner=None, wake_at=order.answer_by))

    # A step has failed

    def pause(self, turn: Turn[Document], name: str, reason: str, tries: int) -> None:
        """The step, or its undo, is tried again in a while."""
        until = utcnow() + timedelta(seconds=self.pauses_s[min(tries, len(self.pauses_s) - 1)])

        def work(connection: Connection) -> None:
            journal.record(connection, turn.held, name, turn.started, reason)
            operations.advance(connection, turn.held, order=None, waiting_host=None, lease_owner=None, wake_at=until)

        self.db.write(work)
        self.boundary(turn.held.name, name, "put off")

    def unwind(self, turn: Turn[Document], failure: Failure, reason: str, document: Document | None) -> Lease:
        """The operation goes back from here. document: another one than the step began with."""
        workflow, held = turn.workflow, turn.held
        text = held.document if document is None else _encode(document)

        def work(connection: Connection) -> None:
            journal.record(connection, held, turn.step.name, turn.started, reason)
            self._keep(connection, held, state=UNWINDING, failure=failure, document=text)
            details = journal.event_details(workflow, held, turn.document, ("unwinds",), {}, failure)
            payload = {"operation": held.name, "step": turn.step.name, "message": failure.message}
            journal.append(connection, f"instance.{held.name}.unwinding", held, payload, details)

        self.db.write(work)
        self._count(turn, turn.step.name, "error")
        self.boundary(held.name, turn.step.name, "failed")
        return msgspec.structs.replace(held, state=UNWINDING, failure=failure, document=text, order=None, wake_at=None)

    def abandon(self, turn: Turn[Document], failure: Failure, reason: str) -> None:
        """The operation ends here, behind its point of no return; nothing is undone."""
        held = msgspec.structs.replace(turn.held, failure=failure)

        def work(connection: Connection) -> list[str]:
            journal.record(connection, held, turn.step.name, turn.started, reason)
            return completion.abandon(connection, turn.workflow, held, turn.document)

        woken = self.db.write(work)
        why = failure.whole_message or failure.message
        LOG.error("%s of server %s ends at %s: %s", held.name, held.instance_uuid, turn.step.name, why)
        self._committed(turn, turn.step.name, "error", woken)

    def end_round(
        self,
        turn: Turn[Document],
        document: Document,
        failure: Failure,
        record: Record | None = None,
        reason: str | None = None,
    ) -> None:
        """All was tried: what is left waits for the next round; where that is nothing, the operation ends here."""
        pause_s = self.left_pauses_s[min(failure.rounds, len(self.left_pauses_s) - 1)]
        failure = msgspec.structs.replace(failure, rounds=failure.rounds + 1)
        text = _encode(document)
        held = msgspec.structs.replace(turn.held, failure=failure, document=text)

        def work(connection: Connection) -> list[str]:
            _record_end(connection, turn, document, record, reason)
            if not failure.left:
                return completion.abandon(connection, turn.workflow, held, document)
            operations.advance(connection, held, step=failure.left[0])
            until = utcnow() + timedelta(seconds=pause_s)
            return completion.leave(connection, turn.workflow, held, document, text, until)

        woken = self.db.write(work)
        what, why = f"{held.name} of server {held.instance_uuid}", failure.whole_message or failure.message
        if failure.left:
            LOG.warning("%s has left %s, tried again in %.0f s: %s", what, ", ".join(failure.left), pause_s, why)
        if failure.given_up:
            LOG.error("%s gives up %s: %s", what, ", ".join(failure.given_up), why)
        self._committed(turn, turn.step.name, _outcome(reason), woken)

    # A step is undone

    def undone(self, turn: Turn[Document], following: Step[Document], state: str, document: Document) -> Lease:
        """The operation goes further back, or forward again from another step."""
        held, undo = turn.held, turn.step.undo.__name__
        text = _encode(document)

        def work(connection: Connection) -> bool:
            _record_undone(connection, turn)
            is_cancelled = self._keep(connection, held, state=state, step=following.name, document=text)
            moments, shown = (f"undone {undo}",), following.shows(document)
            journal.show(connection, turn.workflow, held, turn.document, document, shown, moments, {}, following.name)
            return is_cancelled

        is_cancelled = self.db.write(work)
        self.boundary(held.name, undo, "committed")
        return msgspec.structs.replace(
            held,
            state=state,
            step=following.name,
            document=text,
            order=None,
            is_cancelled=is_cancelled,
            wake_at=None,
        )

    def fail(self, turn: Turn[Document], document: Document) -> None:
        """The first step is undone: the operation has failed, and left nothing."""

        def work(connection: Connection) -> list[str]:
            _record_undone(connection, turn)
            return completion.fail(connection, turn.workflow, turn.held, document, _encode(document))

        woken = self.db.write(work)
        self.boundary(turn.held.name, turn.step.undo.__name__, "committed")
        for uuid in woken:
            self.wake(uuid)

    def _keep(self, connection: Connection, held: Lease, **changes: Any) -> bool:
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

    def _committed(self, turn: Turn[Document], name: str, outcome: str, woken: Sequence[str] = ()) -> None:
        self._count(turn, name, outcome)
        self.boundary(turn.held.name, name, "committed")
        for uuid in woken:
            self.wake(uuid)

    def _count(self, turn: Turn[Document], name: str, outcome: str) -> None:
        elapsed_s = (utcnow() - turn.started).total_seconds()
        metrics.STEPS.labels(turn.held.name, name, outcome).observe(elapsed_s)


def _encode(document: Any) -> str:
    return msgspec.json.encode(document).decode()


def _outcome(reason: str | None) -> str:
    return "success" if reason is None else "error"


def _record_end(
    connection: Connection, turn: Turn[Document], document: Document, record: Record | None, reason: str | None
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


def _record_undone(connection: Connection, turn: Turn[Document]) -> None:
    undo = turn.step.undo.__name__
    if turn.held.order is not None or undo != nothing_to_undo.__name__:
        journal.record(connection, turn.held, undo, turn.started)
