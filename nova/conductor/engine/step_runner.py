"""Runs one step of an operation, or undoes one, and commits what it made with what users see of it.

A step runner writes only while its lease holds, and leaves the operation in one of three hands: its own, for
the next step; a host's, which has been ordered something; or nobody's, because it is over or has to wait.
"""

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.engine import completion, journal, recovery, remains
from nova.conductor.engine.liveness import Liveness
from nova.conductor.engine.operation import Document, HostAnswer, OnHost, Operation, Recorded, nothing_to_undo
from nova.conductor.engine.recovery import Course
from nova.conductor.engine.setbacks import Setbacks
from nova.conductor.engine.step_context import StepContext
from nova.conductor.engine.turn import Commits, Record, Turn, record_end
from nova.db import instance_actions, operations
from nova.db.operations import LEFT, RUNNING, UNWINDING, Lease, LeaseLost
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


@dataclass(frozen=True)
class StepRunner:
    """Runs steps for one conductor.

    context is what steps may ask; compute(host) reaches a host's daemon.
    """

    commits: Commits
    setbacks: Setbacks
    context: StepContext
    workflows: Mapping[str, Operation[Any]]
    compute: Callable[[str], ComputeCalls]
    liveness: Liveness

    def run(self, held: Lease, answer: StepAnswer | None) -> Lease | None:
        """Do, or undo, the step that the operation is at; None when it is in other hands then.

        Raises UnknownStep, LeaseLost.
        """
        turn = self._turn(held, answer)
        if held.state == UNWINDING:
            return self._backward(turn)
        if held.state == LEFT and held.is_cancelled:
            self.setbacks.abandon(turn, errors.Cancelled())
            return None
        if held.state == LEFT:
            return self._forward(turn)
        if held.is_cancelled or utcnow() >= held.deadline_at:
            is_tried = held.order is not None or self.commits.db.read(
                lambda c: instance_actions.has_begun(c, held.uuid, held.step)
            )
            is_behind = self.setbacks.is_behind_return(turn, is_tried)
            # Behind the point of no return only what is waited for is given up: the rest is soon done.
            if is_tried or not is_behind:
                return self.setbacks.stop(turn, is_behind)
        return self._forward(turn)

    def leased(self, held: Lease) -> None:
        """An operation was just leased."""
        self.commits.boundary(held.name, self._turn(held, None).step.name, "leased")

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

    def _do(self, turn: Turn[Document]) -> tuple[Document, Record | None]:
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
            self.commits.db.write(lambda c: operations.advance(c, held, lease_owner=None, wake_at=answer_by))
            raise _HandedOver
        outcome = function(turn.document, self.context)
        self.commits.boundary(held.name, function.__name__, moment)
        if not isinstance(outcome, OnHost):
            return outcome
        if self.liveness.is_up(outcome.host):
            self._send_order(turn, outcome, function.__name__)
            raise _HandedOver
        if outcome.waits_if_silent and self._may_have_guest(turn, outcome.host):
            raise errors.HostSilent(host=outcome.host)
        if outcome.skip_if_down:
            return turn.document
        raise errors.HostUnreachable(host=outcome.host)

    def _may_have_guest(self, turn: Turn[Document], host: str) -> bool:
        """Whether a host that is down may have done this step, and goes on with what it did."""
        held = turn.held
        if self.context.is_fenced(host):
            return False
        if held.state != UNWINDING:
            return True
        # A host that was never sent the step has not done it.
        return self.commits.db.read(lambda c: instance_actions.has_begun(c, held.uuid, turn.step.name, host))

    def _advance(self, turn: Turn[Document], document: Document, record: Record | None = None) -> Lease | None:
        """Commit a step that is done: its result, the server's new state, and the next step."""
        workflow, held, step = turn.workflow, turn.held, turn.step
        following, failure = remains.following(
            workflow, step, document, remains.done(held.failure, step), held.state == LEFT
        )
        if following is None and remains.is_missing_any(failure):
            assert failure is not None
            return self.setbacks.go_on(turn, None, failure, document, record)
        text = msgspec.json.encode(document).decode()
        woken: list[str] = []

        def work(connection: Connection) -> bool:
            woken.clear()
            written = record_end(connection, turn, document, record, None)
            if following is None:
                ended = msgspec.structs.replace(held, failure=failure)
                woken.extend(completion.succeed(connection, workflow, ended, document, text))
                return False
            is_cancelled = self.commits.keep(
                connection, held, step=following.name, document=text, state=held.state, failure=failure
            )
            moments = (f"done {step.name}", f"begins {following.name}")
            task_state = None if held.state == LEFT else following.shows(document)
            name = following.name
            journal.show(connection, workflow, held, turn.document, document, task_state, moments, written, name)
            return is_cancelled

        is_cancelled = self.commits.db.write(work)
        self.commits.committed(turn, step.name, "success", woken)
        if following is None:
            self.commits.ended(turn, "success", None)
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
            waits_if_silent=outcome.waits_if_silent,
        )

        def work(connection: Connection) -> bool:
            instance_actions.begin_event(connection, held.uuid, name, outcome.host)
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

        is_cancelled = self.commits.db.write(work)
        self.commits.boundary(held.name, turn.step.name, "ordered")
        try:
            self.compute(outcome.host).run_step(order)
        except errors.DomainError as error:
            LOG.warning("order %s to %s is not on the bus (%s); the host will ask", held.uuid, outcome.host, error)
        if is_cancelled and held.state == RUNNING:
            self.commits.wake(held.uuid)

    def _failed(
        self, turn: Turn[Document], error: errors.DomainError, document: Document, trace: str | None = None
    ) -> Lease | None:
        """A step failed: try it again, pass over it, go back, or end here.

        document: what the step made, when it was its commit that was refused. Going back begins with that, so that
        what was refused is known when it is tried anew: a host is not chosen again and again.
        """
        held, step = turn.held, turn.step
        LOG.info("%s of server %s: %s failed: %s", held.name, held.instance_uuid, step.name, error)
        course, tries = self.setbacks.course(turn, error)
        match course:
            case Course.RETRY:
                self.setbacks.pause(turn, step.name, error.message, tries)
            case Course.SKIP:
                LOG.warning("%s of server %s goes on without %s", held.name, held.instance_uuid, step.name)
                return self._advance(turn, turn.document)
            case Course.UNWIND:
                document = step.learns(document, error)
                return self.setbacks.unwind(turn, error, trace, turn.workflow.again_at(step, error), document)
            case Course.ABANDON:
                return self.setbacks.go_without(turn, error, trace)
        return None

    # Backward

    def _backward(self, turn: Turn[Document]) -> Lease | None:
        step, held = turn.step, turn.held
        name = step.undo.__name__
        document = turn.document
        try:
            if turn.answer is not None:
                document = _absorbed(turn.answer, step.undo_answer, document)
            else:
                document = self._local(turn, step.undo, "undone")
        except _HandedOver:
            return None
        except (LeaseLost, errors.OutcomeUnknown):
            raise
        except errors.PointPassed as error:
            return self._turn_forward(turn, error)
        except errors.HostSilent as error:
            self.setbacks.wait_for_host(turn, str(error.details["host"]), error.message)
            return None
        except Exception as error:
            if not isinstance(error, errors.DomainError):
                LOG.exception("undo %s of operation %s", name, held.uuid)
            tries = self.commits.db.read(lambda c: instance_actions.failures(c, held.uuid, name))
            reason = error.message if isinstance(error, errors.DomainError) else "internal error"
            if recovery.undo_is_retried(error, step, tries, is_late=utcnow() >= held.deadline_at):
                self.setbacks.pause(turn, name, reason, tries)
                return None
            if held.order is not None and held.order.waits_if_silent:
                # The guest may have what is given away next.
                if not self._is_kept(turn, error, reason):
                    self.setbacks.wait_for_host(turn, held.order.host, reason)
                return None
            # Never stuck: what this undo leaves behind is for the reconcilers.
            LOG.error("%s of operation %s is given up: %s", name, held.uuid, error)
        return self._step_back(turn, document)

    def _is_kept(self, turn: Turn[Document], error: Exception, reason: str) -> bool:
        """Whether the operation ends here: the server keeps what its guest refuses to give back."""
        keeps = turn.workflow.keeps
        if keeps is None or not recovery.is_refusal(error, turn.answer):
            return False
        try:
            document = keeps(turn.document, self.context)
        except errors.DomainError as refused:
            LOG.info("operation %s keeps nothing yet: %s", turn.held.uuid, refused)
            return False
        self.setbacks.keep(turn, document, reason)
        return True

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
            is_cancelled = self.commits.keep(connection, held, state=state, step=following.name, document=text)
            moments, shown = (f"undone {undo}",), following.shows(document)
            journal.show(connection, workflow, held, turn.document, document, shown, moments, {}, following.name)
            return is_cancelled

        is_cancelled = self.commits.db.write(work)
        self.commits.boundary(held.name, undo, "committed")
        for uuid in woken:
            self.commits.wake(uuid)
        if following is None:
            is_cancelled = held.failure.error == errors.Cancelled.__name__
            self.commits.ended(turn, "cancelled" if is_cancelled else "failed", held.failure)
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


def _absorbed(answer: StepAnswer, reading: HostAnswer[Document] | None, document: Document) -> Document:
    """The document with what the host gave back. Raises the error that the host answered with."""
    if answer.error is not None:
        raise errors.by_name(answer.error)(answer.message, **answer.details)
    if reading is None:
        return document
    return reading.absorb(document, msgspec.json.decode(answer.result, type=reading.kind))
