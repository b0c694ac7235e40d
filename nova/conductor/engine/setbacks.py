"""What is done about a step that failed: it is tried again, passed over, gone back from, or the operation ends there.

recovery.py has the rules; here they are carried out and committed.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.engine import completion, journal, recovery, remains
from nova.conductor.engine.operation import Document, Step
from nova.conductor.engine.recovery import Course, OperationExpired
from nova.conductor.engine.turn import Commits, Record, Turn, failure_of, record_end
from nova.db import instance_actions, operations
from nova.db.operations import LEFT, UNWINDING, Failure, Lease

LOG = logging.getLogger(__name__)

_KEPT = "What was attached could not be taken from the guest again: detach it later."


@dataclass(frozen=True)
class Setbacks:
    """Carries out what follows failures.

    pauses_s come between the tries of a step, the last again and again; left_pauses_s between the rounds of what is left
    behind a point of no return.
    """

    commits: Commits
    pauses_s: Sequence[float]
    left_pauses_s: Sequence[float]

    def course(self, turn: Turn[Document], error: errors.DomainError) -> tuple[Course, int]:
        """What follows a step that failed, and how often it had failed before."""
        held, step = turn.held, turn.step
        tries = self.commits.db.read(lambda c: instance_actions.failures(c, held.uuid, step.name))
        if held.state == LEFT:
            return Course.SKIP if step.is_optional else Course.ABANDON, tries
        # A host that is down has not been sent the order.
        is_tried = tries > 0 or held.order is not None or not isinstance(error, errors.HostUnreachable)
        return recovery.course_after(error, step, tries, self.is_behind_return(turn, is_tried)), tries

    def stop(self, turn: Turn[Document], is_behind_return: bool) -> Lease | None:
        """The operation is not to go on: go back, or end here."""
        error: errors.DomainError = errors.Cancelled()
        if not turn.held.is_cancelled:
            error = OperationExpired(deadline_s=turn.workflow.deadline_s)
        course = recovery.course_after(error, turn.step, 0, is_behind_return)
        if course is Course.UNWIND:
            return self.unwind(turn, error)
        if not turn.held.is_cancelled:
            # What it waited for may come later.
            return self.go_without(turn, error)
        self.abandon(turn, error)
        return None

    def is_behind_return(self, turn: Turn[Document], is_tried: bool) -> bool:
        """Whether nothing can be undone any more at this step, tried before or not."""
        workflow, step = turn.workflow, turn.step
        if not workflow.is_behind_return(step):
            return False
        before = workflow.before(step, None, turn.document)
        return workflow.passes_when_done or is_tried or (before is not None and workflow.is_behind_return(before))

    def pause(self, turn: Turn[Document], name: str, reason: str, tries: int) -> None:
        """Commit that a step or undo is tried again later, and why."""
        until = utcnow() + timedelta(seconds=self.pauses_s[min(tries, len(self.pauses_s) - 1)])

        def work(connection: Connection) -> None:
            journal.record(connection, turn.held, name, turn.started, reason)
            operations.advance(connection, turn.held, order=None, waiting_host=None, lease_owner=None, wake_at=until)

        self.commits.db.write(work)
        self.commits.boundary(turn.held.name, name, "put off")

    def wait_for_host(self, turn: Turn[Document], host: str, reason: str) -> None:
        """Commit that an undo waits until its host does it or is forced down. reason: why it is not done.

        A delete need not wait: what this was undoing is left to it. Nobody else may have the server as it is: half of it
        may be there, or none.
        """
        held = turn.held
        if self.commits.db.read(lambda c: operations.is_to_go(c, held.instance_uuid)):
            self._make_way(turn)
            return
        name = turn.step.undo.__name__
        tries = self.commits.db.read(lambda c: instance_actions.failures(c, held.uuid, name))
        pauses_s = (*self.pauses_s, *self.left_pauses_s)
        until = utcnow() + timedelta(seconds=pauses_s[min(tries, len(pauses_s) - 1)])
        LOG.warning("%s of server %s waits at %s: %s", held.name, held.instance_uuid, name, reason)

        def work(connection: Connection) -> bool:
            journal.record(connection, held, name, turn.started, reason)
            operations.advance(connection, held, order=None, waiting_host=host, lease_owner=None, wake_at=until)
            return operations.is_to_go(connection, held.instance_uuid)

        is_to_go = self.commits.db.write(work)
        self.commits.boundary(held.name, name, "put off")
        if is_to_go:
            self.commits.wake(held.uuid)

    def keep(self, turn: Turn[Document], document: Document, reason: str) -> None:
        """Commit that the operation ends here, half undone: the server keeps what its guest refused to give back."""
        failure = turn.held.failure
        assert failure is not None
        message = f"{failure.message} {_KEPT}"
        whole = None if failure.whole_message is None else f"{failure.whole_message} {_KEPT}"
        failure = msgspec.structs.replace(failure, message=message, whole_message=whole)
        held = msgspec.structs.replace(turn.held, failure=failure)
        LOG.error("%s of server %s ends, and its guest keeps what it has: %s", held.name, held.instance_uuid, reason)
        woken: list[str] = []

        def work(connection: Connection) -> None:
            journal.record(connection, held, turn.step.undo.__name__, turn.started, reason)
            woken[:] = completion.keep(connection, turn.workflow, held, document)

        self.commits.db.write(work)
        self.commits.committed(turn, turn.step.name, "error", woken)
        self.commits.ended(turn, "failed", failure)

    def _make_way(self, turn: Turn[Document]) -> None:
        """Commit that the operation ends here, half undone, for the delete that is queued."""
        error = errors.Cancelled()
        missing = msgspec.structs.replace(failure_of(turn, error, None), left=(turn.step.name,))
        held = msgspec.structs.replace(turn.held, failure=missing)
        woken: list[str] = []

        def work(connection: Connection) -> None:
            journal.record(connection, held, turn.step.undo.__name__, turn.started, error.message)
            woken[:] = completion.make_way(connection, turn.workflow, held, turn.document)

        self.commits.db.write(work)
        self.commits.committed(turn, turn.step.name, "error", woken)

    def unwind(
        self,
        turn: Turn[Document],
        error: errors.DomainError,
        trace: str | None = None,
        resume_at: Step[Document] | None = None,
        document: Document | None = None,
    ) -> Lease:
        """Commit that the operation goes back from here, and why."""
        workflow, held = turn.workflow, turn.held
        failure = failure_of(turn, error, trace, resume_at)
        text = held.document if document is None else msgspec.json.encode(document).decode()

        def work(connection: Connection) -> None:
            journal.record(connection, held, turn.step.name, turn.started, trace or error.message)
            self.commits.keep(connection, held, state=UNWINDING, failure=failure, document=text)
            details = journal.event_details(workflow, held, turn.document, ("unwinds",), {}, failure)
            payload = {"operation": held.name, "step": turn.step.name, "message": failure.message}
            journal.append(connection, f"instance.{held.name}.unwinding", held, payload, details)

        self.commits.db.write(work)
        self.commits.count(turn, turn.step.name, "error")
        self.commits.boundary(held.name, turn.step.name, "failed")
        return msgspec.structs.replace(held, state=UNWINDING, failure=failure, document=text, order=None, wake_at=None)

    def go_without(self, turn: Turn[Document], error: errors.DomainError, trace: str | None = None) -> Lease | None:
        """A step behind the point of no return has used up its tries: go on with the steps that do not need it."""
        workflow, held, step = turn.workflow, turn.held, turn.step
        is_late = held.state == LEFT
        earlier = held.failure if is_late else None
        failure = earlier or failure_of(turn, error, trace)
        failure = remains.without(workflow, step, failure, error, is_late)
        following, missing = remains.following(workflow, step, turn.document, failure, is_late)
        assert missing is not None
        if following is None and not missing.left and not is_late:
            self.abandon(turn, error, trace)
            return None
        LOG.warning("%s of server %s goes on without %s: %s", held.name, held.instance_uuid, step.name, error)
        return self.go_on(turn, following, missing, turn.document, None, trace or error.message)

    def abandon(self, turn: Turn[Document], error: errors.DomainError, trace: str | None = None) -> None:
        """Commit that the operation ends here, behind its point of no return; nothing is undone."""
        held = msgspec.structs.replace(turn.held, failure=failure_of(turn, error, trace))
        woken: list[str] = []

        def work(connection: Connection) -> None:
            journal.record(connection, held, turn.step.name, turn.started, trace or error.message)
            woken[:] = completion.abandon(connection, turn.workflow, held, turn.document)

        self.commits.db.write(work)
        self.commits.committed(turn, turn.step.name, "error", woken)
        self.commits.ended(turn, "failed", held.failure)

    def go_on(
        self,
        turn: Turn[Document],
        following: Step[Document] | None,
        failure: Failure,
        document: Document,
        record: Record | None,
        reason: str | None = None,
    ) -> Lease | None:
        """Commit how a step ended while others are missing (reason: why it failed), and the step that comes now."""
        if following is None:
            self._end_round(turn, failure, document, record, reason)
            return None
        text = msgspec.json.encode(document).decode()
        held = msgspec.structs.replace(turn.held, failure=failure, document=text)
        name, shown = following.name, None if held.state == LEFT else following.shows(document)

        def work(connection: Connection) -> bool:
            written = record_end(connection, turn, document, record, reason)
            is_cancelled = self.commits.keep(connection, held, step=name, failure=failure, document=text)
            moments = (f"begins {name}",)
            journal.show(connection, turn.workflow, held, turn.document, document, shown, moments, written, name)
            return is_cancelled

        is_cancelled = self.commits.db.write(work)
        self.commits.committed(turn, turn.step.name, "success" if reason is None else "error", [])
        return msgspec.structs.replace(held, step=name, order=None, is_cancelled=is_cancelled, wake_at=None)

    def _end_round(
        self,
        turn: Turn[Document],
        failure: Failure,
        document: Document,
        record: Record | None,
        reason: str | None,
    ) -> None:
        """Commit that all was tried: what is left waits for the next round; where that is nothing, it ends here."""
        is_settled = failure.is_settled if turn.held.state == LEFT else remains.is_settled(turn.workflow, failure)
        pause_s = self.left_pauses_s[min(failure.rounds, len(self.left_pauses_s) - 1)]
        failure = msgspec.structs.replace(failure, is_settled=is_settled, rounds=failure.rounds + 1)
        text = msgspec.json.encode(document).decode()
        held = msgspec.structs.replace(turn.held, failure=failure, document=text)
        woken: list[str] = []

        def work(connection: Connection) -> None:
            record_end(connection, turn, document, record, reason)
            if failure.left:
                operations.advance(connection, held, step=failure.left[0])
                until = utcnow() + timedelta(seconds=pause_s)
                woken[:] = completion.leave(connection, turn.workflow, held, document, text, until)
            else:
                woken[:] = completion.abandon(connection, turn.workflow, held, document)

        self.commits.db.write(work)
        what, why = f"{held.name} of server {held.instance_uuid}", failure.whole_message or failure.message
        if failure.left:
            LOG.warning("%s has left %s, tried again in %.0f s: %s", what, ", ".join(failure.left), pause_s, why)
        if failure.given_up:
            LOG.error("%s gives up %s: %s", what, ", ".join(failure.given_up), why)
        self.commits.committed(turn, turn.step.name, "success" if reason is None else "error", woken)
        if failure.left and turn.held.state != LEFT:
            self.commits.ended(turn, "left", failure)
        elif not failure.left:
            is_done = is_settled and not failure.given_up
            self.commits.ended(turn, "success" if is_done else "failed", None if is_done else failure)
