"""Runs one step of an operation, or undoes one, and commits what it made with what users see of it.

A step runner writes only while its lease holds, and leaves the operation in one of three hands: its own, for
the next step; a host's, which has been ordered something; or nobody's, because it is over or has to wait.
"""

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic

import msgspec
from sqlalchemy.engine import Connection

from nova import errors, metrics
from nova.clock import utcnow
from nova.conductor.engine import completion, journal, recovery, remains
from nova.conductor.engine.liveness import Liveness
from nova.conductor.engine.operation import Document, HostAnswer, OnHost, Operation, Recorded, Step, nothing_to_undo
from nova.conductor.engine.recovery import Course, OperationExpired
from nova.conductor.engine.step_context import StepContext
from nova.db import operations
from nova.db.engine import Database
from nova.db.operations import LEFT, RUNNING, UNWINDING, Failure, Lease, LeaseLost
from nova.rpc.compute import ComputeCalls
from nova.structs.operation import StepAnswer, StepOrder

LOG = logging.getLogger(__name__)


class StepDefect(errors.StepFailed):
    """A step raised what it never should: a defect, told to users without its text."""

    text = "Step '{step}' failed for an internal reason; the log of nova-conductor has it."


class UnknownStep(Exception):
    """The operation is at a step that this release does not have: another conductor's release may."""


class _HandedOver(Exception):
    """A host has the step in hand: there is nothing more to do here."""


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
class StepRunner:
    """Runs steps for one conductor.

    context is what steps may ask; compute(host) reaches a host's daemon; wake has an operation looked at; owner and
    lease_s are of the leases it goes on with; pauses_s come between the tries of a step, the last again and again;
    left_pauses_s between the rounds of what is left behind a point of no return.
    """

    db: Database
    context: StepContext
    workflows: Mapping[str, Operation[Any]]
    compute: Callable[[str], ComputeCalls]
    liveness: Liveness
    wake: Callable[[str], None]
    owner: str
    lease_s: float
    pauses_s: Sequence[float]
    left_pauses_s: Sequence[float]
    boundary: Callable[[str, str, str], None] = no_boundary

    def run(self, held: Lease, answer: StepAnswer | None) -> Lease | None:
        """Do, or undo, the step that the operation is at; None when it is in other hands then.

        Raises UnknownStep, LeaseLost.
        """
        turn = self._turn(held, answer)
        if held.state == UNWINDING:
            return self._backward(turn)
        if held.state == LEFT and held.is_cancelled:
            self._abandon(turn, errors.Cancelled())
            return None
        if held.state == LEFT:
            return self._forward(turn)
        if held.is_cancelled or utcnow() >= held.deadline_at:
            is_tried = held.order is not None or self.db.read(lambda c: operations.has_begun(c, held.uuid, held.step))
            is_behind = self._is_behind_return(turn, is_tried)
            # Behind the point of no return only what is waited for is given up: the rest is soon done.
            if is_tried or not is_behind:
                return self._stop(turn, is_behind)
        return self._forward(turn)

    def leased(self, held: Lease) -> None:
        """An operation was just leased."""
        self.boundary(held.name, self._turn(held, None).step.name, "leased")

    def _turn(self, held: Lease, answer: StepAnswer | None) -> Turn[Any]:
        try:
            workflow = self.workflows[held.name]
            step = workflow.step(held.step)
        except KeyError as error:
            raise UnknownStep(f"operation {held.uuid} ({held.name}) is at step {held.step}") from error
        document = msgspec.json.decode(held.document, type=workflow.document)
        if answer is not None and (held.order is None or held.order.number != answer.number):
            answer = None
        started = utcnow() if held.order is None or held.state == UNWINDING else held.order.sent_at
        return Turn(workflow, held, step, document, answer, started)

    # Forward

    def _forward(self, turn: Turn[Document]) -> Lease | None:
        document = turn.document
        try:
            document, record = self._do(turn)
            return self._advance(turn, document, record)
        except _HandedOver:
            return None
        except (LeaseLost, errors.OutcomeUnknown, msgspec.MsgspecError):
            raise
        except errors.DomainError as error:
            return self._failed(turn, error, document)
        except Exception:
            LOG.exception("step %s of operation %s", turn.step.name, turn.held.uuid)
            return self._failed(turn, StepDefect(step=turn.step.name), document, traceback.format_exc())

    def _do(self, turn: Turn[Document]) -> tuple[Document, Callable[[Connection], None] | None]:
        """The document that the step leaves, and what is to be recorded with it."""
        if turn.answer is not None:
            return _absorbed(turn.answer, turn.step.answer, turn.document), None
        outcome = self._local(turn, turn.step.do, "done")
        if isinstance(outcome, Recorded):
            return outcome.document, outcome.record
        return outcome, None

    def _local(self, turn: Turn[Document], function: Callable[..., Any], moment: str) -> Any:
        """Call do or undo here; what it gives, unless that is for a host.

        Raises what the function raises, HostUnreachable, StepTimedOut, and _HandedOver when a host has it.
        """
        held, step = turn.held, turn.step
        if held.order is not None:
            if held.order.answer_by <= utcnow():
                raise errors.StepTimedOut(host=held.order.host, step=function.__name__, timeout_s=step.timeout_s)
            answer_by = held.order.answer_by
            self.db.write(lambda c: operations.advance(c, held, lease_owner=None, wake_at=answer_by))
            raise _HandedOver
        outcome = function(turn.document, self.context)
        self.boundary(held.name, function.__name__, moment)
        if not isinstance(outcome, OnHost):
            return outcome
        if self.liveness.is_up(outcome.host):
            self._send_order(turn, outcome, function.__name__)
            raise _HandedOver
        if outcome.skip_if_down:
            return turn.document
        raise errors.HostUnreachable(host=outcome.host)

    def _advance(
        self, turn: Turn[Document], document: Document, record: Callable[[Connection], None] | None = None
    ) -> Lease | None:
        """Commit a step that is done: its result, the server's new state, and the next step."""
        workflow, held, step = turn.workflow, turn.held, turn.step
        following, failure = remains.following(
            workflow, step, document, remains.done(held.failure, step), held.state == LEFT
        )
        if following is None and remains.is_missing_any(failure):
            assert failure is not None
            return self._go_on(turn, None, failure, document, record)
        text = msgspec.json.encode(document).decode()
        woken: list[str] = []

        def work(connection: Connection) -> bool:
            woken.clear()
            written = _record_end(connection, turn, document, record, None)
            if following is None:
                ended = msgspec.structs.replace(held, failure=failure)
                woken.extend(completion.succeed(connection, workflow, ended, document, text))
                return False
            is_cancelled = self._keep(
                connection, held, step=following.name, document=text, state=held.state, failure=failure
            )
            moments = (f"done {step.name}", f"begins {following.name}")
            task_state = None if held.state == LEFT else following.shows(document)
            name = following.name
            journal.show(connection, workflow, held, turn.document, document, task_state, moments, written, name)
            return is_cancelled

        is_cancelled = self.db.write(work)
        self._committed(turn, step.name, "success", woken)
        if following is None:
            return None
        return msgspec.structs.replace(
            held,
            step=following.name,
            document=text,
            failure=failure,
            order=None,
            is_cancelled=is_cancelled,
            wake_at=None,
        )

    def _send_order(self, turn: Turn[Document], outcome: OnHost, name: str) -> None:
        """Commit that a host is to do this step, let go of the operation, and tell the host."""
        held, now = turn.held, utcnow()
        order = StepOrder(
            operation_id=held.uuid,
            instance_id=held.instance_uuid,
            host=outcome.host,
            request_id=held.request_id,
            number=held.attempt + 1,
            verb=outcome.verb,
            arguments=msgspec.Raw(msgspec.json.encode(outcome.arguments)),
            sent_at=now,
            answer_by=now + timedelta(seconds=outcome.timeout_s or turn.step.timeout_s),
        )

        def work(connection: Connection) -> bool:
            operations.begin_event(connection, held.uuid, name, outcome.host)
            # What the server shows meanwhile was committed with the step before.
            return operations.advance(
                connection,
                held,
                order=order,
                attempt=order.number,
                waiting_host=outcome.host,
                wake_at=order.answer_by,
                lease_owner=None,
            )

        is_cancelled = self.db.write(work)
        self.boundary(held.name, turn.step.name, "ordered")
        try:
            self.compute(outcome.host).run_step(order)
        except errors.DomainError as error:
            LOG.warning("order %s to %s is not on the bus (%s); the host will ask", held.uuid, outcome.host, error)
        if is_cancelled and held.state == RUNNING:
            self.wake(held.uuid)

    # What follows a failure

    def _failed(
        self, turn: Turn[Document], error: errors.DomainError, document: Document, trace: str | None = None
    ) -> Lease | None:
        """A step failed: try it again, pass over it, go back, or end here.

        document: what the step made, when it was its commit that was refused. Going back begins with that, so that
        what was refused is known when it is tried anew: a host is not chosen again and again.
        """
        held, step = turn.held, turn.step
        LOG.info("%s of server %s: %s failed: %s", held.name, held.instance_uuid, step.name, error)
        tries = self.db.read(lambda c: operations.failures(c, held.uuid, step.name))
        if held.state == LEFT:
            return self._advance(turn, turn.document) if step.is_optional else self._go_without(turn, error, trace)
        # A host that is down has not been sent the order.
        is_tried = tries > 0 or held.order is not None or not isinstance(error, errors.HostUnreachable)
        match recovery.course_after(error, step, tries, self._is_behind_return(turn, is_tried)):
            case Course.RETRY:
                self._pause(turn, step.name, error.message, tries)
            case Course.SKIP:
                LOG.warning("%s of server %s goes on without %s", held.name, held.instance_uuid, step.name)
                return self._advance(turn, turn.document)
            case Course.UNWIND:
                document = step.learns(document, error)
                return self._unwind(turn, error, trace, turn.workflow.again_at(step, error), document)
            case Course.ABANDON:
                return self._go_without(turn, error, trace)
        return None

    def _stop(self, turn: Turn[Document], is_behind_return: bool) -> Lease | None:
        """The operation is not to go on: go back, or end here."""
        error: errors.DomainError = errors.Cancelled()
        if not turn.held.is_cancelled:
            error = OperationExpired(deadline_s=turn.workflow.deadline_s)
        course = recovery.course_after(error, turn.step, 0, is_behind_return)
        if course is Course.UNWIND:
            return self._unwind(turn, error)
        if not turn.held.is_cancelled:
            # What it waited for may come later.
            return self._go_without(turn, error)
        self._abandon(turn, error)
        return None

    def _is_behind_return(self, turn: Turn[Document], is_tried: bool) -> bool:
        """Whether nothing can be undone any more at this step, tried before or not."""
        workflow, step = turn.workflow, turn.step
        if not workflow.is_behind_return(step):
            return False
        before = workflow.before(step, None, turn.document)
        return workflow.passes_when_done or is_tried or (before is not None and workflow.is_behind_return(before))

    def _pause(self, turn: Turn[Document], name: str, reason: str, tries: int) -> None:
        until = utcnow() + timedelta(seconds=self.pauses_s[min(tries, len(self.pauses_s) - 1)])

        def work(connection: Connection) -> None:
            journal.record(connection, turn.held, name, turn.started, reason)
            operations.advance(connection, turn.held, order=None, waiting_host=None, lease_owner=None, wake_at=until)

        self.db.write(work)
        self.boundary(turn.held.name, name, "put off")

    def _unwind(
        self,
        turn: Turn[Document],
        error: errors.DomainError,
        trace: str | None = None,
        resume_at: Step[Document] | None = None,
        document: Document | None = None,
    ) -> Lease:
        """Commit that the operation goes back from here, and why."""
        workflow, held = turn.workflow, turn.held
        failure = _failure(turn, error, trace, resume_at)
        text = held.document if document is None else msgspec.json.encode(document).decode()

        def work(connection: Connection) -> None:
            journal.record(connection, held, turn.step.name, turn.started, trace or error.message)
            self._keep(connection, held, state=UNWINDING, failure=failure, document=text)
            details = journal.event_details(workflow, held, turn.document, ("unwinds",), {}, failure)
            payload = {"operation": held.name, "step": turn.step.name, "message": failure.message}
            journal.append(connection, f"instance.{held.name}.unwinding", held, payload, details)

        self.db.write(work)
        self._count(turn, turn.step.name, "error")
        self.boundary(held.name, turn.step.name, "failed")
        return msgspec.structs.replace(held, state=UNWINDING, failure=failure, document=text, order=None, wake_at=None)

    def _go_without(self, turn: Turn[Document], error: errors.DomainError, trace: str | None = None) -> Lease | None:
        """A step behind the point of no return has used up its tries: go on with the steps that do not need it."""
        workflow, held, step = turn.workflow, turn.held, turn.step
        is_late = held.state == LEFT
        earlier = held.failure if is_late else None
        failure = earlier or _failure(turn, error, trace)
        failure = remains.without(workflow, step, failure, error, is_late)
        following, missing = remains.following(workflow, step, turn.document, failure, is_late)
        assert missing is not None
        if following is None and not missing.left and not is_late:
            self._abandon(turn, error, trace)
            return None
        LOG.warning("%s of server %s goes on without %s: %s", held.name, held.instance_uuid, step.name, error)
        return self._go_on(turn, following, missing, turn.document, None, trace or error.message)

    def _go_on(
        self,
        turn: Turn[Document],
        following: Step[Document] | None,
        failure: Failure,
        document: Document,
        record: Callable[[Connection], None] | None,
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
            written = _record_end(connection, turn, document, record, reason)
            is_cancelled = self._keep(connection, held, step=name, failure=failure, document=text)
            moments = (f"begins {name}",)
            journal.show(connection, turn.workflow, held, turn.document, document, shown, moments, written, name)
            return is_cancelled

        is_cancelled = self.db.write(work)
        self._committed(turn, turn.step.name, "success" if reason is None else "error", [])
        return msgspec.structs.replace(held, step=name, order=None, is_cancelled=is_cancelled, wake_at=None)

    def _end_round(
        self,
        turn: Turn[Document],
        failure: Failure,
        document: Document,
        record: Callable[[Connection], None] | None,
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
            _record_end(connection, turn, document, record, reason)
            if failure.left:
                operations.advance(connection, held, step=failure.left[0])
                until = utcnow() + timedelta(seconds=pause_s)
                woken[:] = completion.leave(connection, turn.workflow, held, document, text, until)
            else:
                woken[:] = completion.abandon(connection, turn.workflow, held, document)

        self.db.write(work)
        what, why = f"{held.name} of server {held.instance_uuid}", failure.whole_message or failure.message
        if failure.left:
            LOG.warning("%s has left %s, tried again in %.0f s: %s", what, ", ".join(failure.left), pause_s, why)
        if failure.given_up:
            LOG.error("%s gives up %s: %s", what, ", ".join(failure.given_up), why)
        self._committed(turn, turn.step.name, "success" if reason is None else "error", woken)

    def _abandon(self, turn: Turn[Document], error: errors.DomainError, trace: str | None = None) -> None:
        """Commit that the operation ends here, behind its point of no return; nothing is undone."""
        held = msgspec.structs.replace(turn.held, failure=_failure(turn, error, trace))
        woken: list[str] = []

        def work(connection: Connection) -> None:
            journal.record(connection, held, turn.step.name, turn.started, trace or error.message)
            woken[:] = completion.abandon(connection, turn.workflow, held, turn.document)

        self.db.write(work)
        LOG.error("%s of server %s ends at %s: %s", held.name, held.instance_uuid, turn.step.name, error)
        self._committed(turn, turn.step.name, "error", woken)

    # Backward

    def _backward(self, turn: Turn[Document]) -> Lease | None:
        step, held = turn.step, turn.held
        name = step.undo.__name__
        document = turn.document
        try:
            if turn.answer is not None:
                _absorbed(turn.answer, None, document)
            else:
                document = self._local(turn, step.undo, "undone")
        except _HandedOver:
            return None
        except (LeaseLost, errors.OutcomeUnknown):
            raise
        except errors.PointPassed as error:
            return self._turn_forward(turn, error)
        except Exception as error:
            if not isinstance(error, errors.DomainError):
                LOG.exception("undo %s of operation %s", name, held.uuid)
            tries = self.db.read(lambda c: operations.failures(c, held.uuid, name))
            if recovery.undo_is_retried(error, step, tries, is_late=utcnow() >= held.deadline_at):
                reason = error.message if isinstance(error, errors.DomainError) else "internal error"
                self._pause(turn, name, reason, tries)
                return None
            # Never stuck: what this undo leaves behind is for the reconcilers.
            LOG.error("%s of operation %s is given up: %s", name, held.uuid, error)
        return self._step_back(turn, document)

    def _turn_forward(self, turn: Turn[Document], found: errors.PointPassed) -> Lease | None:
        """Nothing can be undone any more: commit that the last step that could be is done, and go on behind it."""
        LOG.warning("%s of server %s goes forward again: %s", turn.held.name, turn.held.instance_uuid, found)
        held = msgspec.structs.replace(turn.held, state=RUNNING, failure=None)
        return self._advance(replace(turn, held=held, step=turn.workflow.last_undoable), turn.document)

    def _step_back(self, turn: Turn[Document], document: Document) -> Lease | None:
        """Commit an undone step, and turn forward again, go further back, or end."""
        workflow, held, step = turn.workflow, turn.held, turn.step
        assert held.failure is not None
        resume_at = None if held.failure.resume_at is None else str(held.failure.resume_at)
        earlier = workflow.before(step, resume_at, document)
        following = earlier or (None if resume_at is None else workflow.step(resume_at))
        state = RUNNING if earlier is None else UNWINDING
        text = msgspec.json.encode(document).decode()
        undo = step.undo.__name__
        woken: list[str] = []

        def work(connection: Connection) -> bool:
            woken.clear()
            if held.order is not None or undo != nothing_to_undo.__name__:
                journal.record(connection, held, undo, turn.started)
            if following is None:
                woken.extend(completion.fail(connection, workflow, held, document, text))
                return False
            is_cancelled = self._keep(connection, held, state=state, step=following.name, document=text)
            moments, shown = (f"undone {undo}",), following.shows(document)
            journal.show(connection, workflow, held, turn.document, document, shown, moments, {}, following.name)
            return is_cancelled

        is_cancelled = self.db.write(work)
        self.boundary(held.name, undo, "committed")
        for uuid in woken:
            self.wake(uuid)
        if following is None:
            return None
        return msgspec.structs.replace(
            held,
            state=state,
            step=following.name,
            document=text,
            order=None,
            is_cancelled=is_cancelled,
            wake_at=None,
        )

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

    def _committed(self, turn: Turn[Document], name: str, outcome: str, woken: list[str]) -> None:
        self._count(turn, name, outcome)
        self.boundary(turn.held.name, name, "committed")
        for uuid in woken:
            self.wake(uuid)

    def _count(self, turn: Turn[Document], name: str, outcome: str) -> None:
        elapsed_s = (utcnow() - turn.started).total_seconds()
        metrics.STEPS.labels(turn.held.name, name, outcome).observe(elapsed_s)


def _absorbed(answer: StepAnswer, reading: HostAnswer[Document] | None, document: Document) -> Document:
    """The document with what the host gave back. Raises the error that the host answered with."""
    if answer.error is not None:
        raise errors.by_name(answer.error)(answer.message, **answer.details)
    if reading is None:
        return document
    return reading.absorb(document, msgspec.json.decode(answer.result, type=reading.kind))


def _record_end(
    connection: Connection,
    turn: Turn[Document],
    document: Document,
    record: Callable[[Connection], None] | None,
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


def _failure(
    turn: Turn[Document], error: errors.DomainError, trace: str | None, resume_at: Step[Document] | None = None
) -> Failure:
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
