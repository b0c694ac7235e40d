"""Runs one step of an operation, or undoes one, and decides what follows; nova.conductor.engine.commits writes it down.

A step runner writes only while its lease holds, and leaves the operation in one of three hands: its own, for
the next step; a host's, which has been ordered something; or nobody's, because it is over or has to wait.
"""

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.engine import recovery, remains
from nova.conductor.engine.commits import Commits
from nova.conductor.engine.liveness import Liveness
from nova.conductor.engine.operation import Document, HostAnswer, OnHost, Operation, Recorded
from nova.conductor.engine.recovery import Course, OperationExpired
from nova.conductor.engine.step_context import StepContext
from nova.conductor.engine.turn import Turn
from nova.db import operations
from nova.db.engine import Database
from nova.db.operations import LEFT, RUNNING, UNWINDING, Lease, LeaseLost
from nova.rpc.compute import ComputeCalls
from nova.structs.operation import StepAnswer

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
    """Runs steps for one conductor. context is what steps may ask; compute(host) reaches a host's daemon."""

    db: Database
    commits: Commits
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
            cancelled = errors.Cancelled()
            self.commits.abandon(turn, turn.failure(cancelled), cancelled.message)
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
            self.commits.let_go(turn, held.order)
            raise _HandedOver
        outcome = function(turn.document, self.context)
        self.commits.boundary(held.name, function.__name__, moment)
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
        """A step is done: begin the next one, or end the operation, or this round of what is left of it."""
        is_late = turn.held.state == LEFT
        failure = remains.done(turn.held.failure, turn.step)
        following, failure = remains.following(turn.workflow, turn.step, document, failure, is_late)
        if following is not None:
            return self.commits.go_on(turn, following, document, failure, record)
        if failure is not None and remains.is_missing_any(failure):
            self.commits.end_round(turn, document, remains.settled(turn.workflow, failure, is_late), record)
        else:
            self.commits.succeed(turn, document, failure, record)
        return None

    def _send_order(self, turn: Turn[Document], wanted: OnHost, name: str) -> None:
        """Let go of the operation, and tell a host to do this step."""
        order, is_cancelled = self.commits.order(turn, wanted, name)
        try:
            self.compute(wanted.host).run_step(order)
        except errors.DomainError as error:
            LOG.warning(
                "order %s to %s is not on the bus (%s); the host will ask", order.operation_id, wanted.host, error
            )
        if is_cancelled and turn.held.state == RUNNING:
            self.commits.wake(turn.held.uuid)

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
                self.commits.pause(turn, step.name, error.message, tries)
            case Course.SKIP:
                LOG.warning("%s of server %s goes on without %s", held.name, held.instance_uuid, step.name)
                return self._advance(turn, turn.document)
            case Course.UNWIND:
                document = step.learns(document, error)
                failure = turn.failure(error, trace, resume_at=turn.workflow.again_at(step, error))
                return self.commits.unwind(turn, failure, trace or error.message, document)
            case Course.ABANDON:
                return self._go_without(turn, error, trace)
        return None

    def _stop(self, turn: Turn[Document], is_behind_return: bool) -> Lease | None:
        """The operation is not to go on: go back, or end here."""
        error: errors.DomainError = errors.Cancelled()
        if not turn.held.is_cancelled:
            error = OperationExpired(deadline_s=turn.workflow.deadline_s)
        if recovery.course_after(error, turn.step, 0, is_behind_return) is Course.UNWIND:
            return self.commits.unwind(turn, turn.failure(error), error.message, None)
        if not turn.held.is_cancelled:
            # What it waited for may come later.
            return self._go_without(turn, error)
        self.commits.abandon(turn, turn.failure(error), error.message)
        return None

    def _is_behind_return(self, turn: Turn[Document], is_tried: bool) -> bool:
        """Whether nothing can be undone any more at this step, tried before or not."""
        workflow, step = turn.workflow, turn.step
        if not workflow.is_behind_return(step):
            return False
        before = workflow.before(step, None, turn.document)
        return workflow.passes_when_done or is_tried or (before is not None and workflow.is_behind_return(before))

    def _go_without(self, turn: Turn[Document], error: errors.DomainError, trace: str | None = None) -> Lease | None:
        """A step behind the point of no return has used up its tries: go on with the steps that do not need it."""
        workflow, held, step = turn.workflow, turn.held, turn.step
        is_late, reason = held.state == LEFT, trace or error.message
        earlier = held.failure if is_late else None
        failure = remains.without(workflow, step, earlier or turn.failure(error, trace), error, is_late)
        following, missing = remains.following(workflow, step, turn.document, failure, is_late)
        assert missing is not None
        if following is None and not missing.left and not is_late:
            self.commits.abandon(turn, turn.failure(error, trace), reason)
            return None
        LOG.warning("%s of server %s goes on without %s: %s", held.name, held.instance_uuid, step.name, error)
        if following is not None:
            return self.commits.go_on(turn, following, turn.document, missing, reason=reason)
        self.commits.end_round(turn, turn.document, remains.settled(workflow, missing, is_late), reason=reason)
        return None

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
                self.commits.pause(turn, name, reason, tries)
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
        """A step is undone: turn forward again, go further back, or end."""
        assert turn.held.failure is not None
        resume_at = None if turn.held.failure.resume_at is None else str(turn.held.failure.resume_at)
        earlier = turn.workflow.before(turn.step, resume_at, document)
        if earlier is not None:
            return self.commits.undone(turn, earlier, UNWINDING, document)
        if resume_at is not None:
            return self.commits.undone(turn, turn.workflow.step(resume_at), RUNNING, document)
        self.commits.fail(turn, document)
        return None


def _absorbed(answer: StepAnswer, reading: HostAnswer[Document] | None, document: Document) -> Document:
    """The document with what the host gave back. Raises the error that the host answered with."""
    if answer.error is not None:
        raise errors.by_name(answer.error)(answer.message, **answer.details)
    if reading is None:
        return document
    return reading.absorb(document, msgspec.json.decode(answer.result, type=reading.kind))
