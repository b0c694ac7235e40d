"""One turn of an operation: a step is done, or undone, and what it made is committed with what users see of it.

A turn writes only while its lease holds, and leaves the operation in one of three hands: its own, for the
next turn; a host's, which has been ordered something; or nobody's, because it is over or has to wait.
"""

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from nova import errors, metrics
from nova.clock import utcnow
from nova.conductor.engine import completion
from nova.conductor.engine.liveness import Liveness
from nova.conductor.engine.operation import Noted, OnHost, Operation, Step
from nova.db import events, instances, operations
from nova.db.engine import Database
from nova.db.operations import RUNNING, UNWINDING, Failure, Lease, LeaseLost
from nova.rpc.bus import BusFailure
from nova.rpc.compute import ComputeCalls
from nova.structs.operation import StepAnswer, StepOrder

LOG = logging.getLogger(__name__)

# What a turn gives after which a host has the operation in hand.
_LET_GO = object()


class StepDefect(errors.StepFailed):
    """A step raised what it never should: a defect, told to users without its text."""

    text = "Step '{step}' failed for an internal reason; the log of nova-conductor has it."


def no_boundary(operation: str, step: str, moment: str) -> None:
    """Called between the commits; the tests kill a conductor here."""


@dataclass(frozen=True)
class StepRunner:
    """StepRunner of operations, for one conductor.

    context is what steps may ask; compute(host) reaches a host's daemon; wake has an operation looked at; owner and
    lease_s are of the leases it goes on with; pauses_s come between the tries of a step, the last again and again.
    """

    db: Database
    context: Any
    workflows: Mapping[str, Operation]
    compute: Callable[[str], ComputeCalls]
    liveness: Liveness
    wake: Callable[[str], None]
    owner: str
    lease_s: float
    pauses_s: Sequence[float]
    boundary: Callable[[str, str, str], None] = no_boundary

    def taken(self, held: Lease) -> None:
        """An operation was just taken hold of."""
        self.boundary(held.name, self.workflows[held.name].steps[held.step].name, "leased")

    def take(self, held: Lease, answer: StepAnswer | None) -> Lease | None:
        workflow = self.workflows[held.name]
        document = msgspec.json.decode(held.document, type=workflow.document)
        if answer is not None and (held.order is None or held.order.number != answer.number):
            answer = None
        if held.state == UNWINDING:
            return self._backward(workflow, held, document, answer)
        if held.is_cancelled:
            return self._give_up(workflow, held, document, errors.Cancelled())
        if utcnow() >= held.deadline_at:
            late = errors.StepFailed(reason=f"The operation was not done within {workflow.deadline_s:.0f} s.")
            return self._give_up(workflow, held, document, late)
        return self._forward(workflow, held, document, answer)

    def _forward(self, workflow: Operation, held: Lease, document: Any, answer: StepAnswer | None) -> Lease | None:
        step = workflow.steps[held.step]
        started = utcnow() if held.order is None else held.order.sent_at
        try:
            outcome = self._act(workflow, held, document, answer, step.do, "done")
            if outcome is _LET_GO:
                return None
            if answer is not None:
                outcome = step.absorb(document, _result(answer, step.result))
            note = None
            if isinstance(outcome, Noted):
                outcome, note = outcome.document, outcome.note
            return self._advance(workflow, held, document, outcome, started, note)
        except (LeaseLost, msgspec.MsgspecError):
            raise
        except errors.DomainError as error:
            return self._failed(workflow, held, document, error, started)
        except Exception:
            LOG.exception("step %s of operation %s", step.name, held.uuid)
            defect = StepDefect(step=step.name)
            return self._failed(workflow, held, document, defect, started, traceback.format_exc())

    def _act(
        self,
        workflow: Operation,
        held: Lease,
        document: Any,
        answer: StepAnswer | None,
        function: Callable[[Any, Any], Any],
        moment: str,
    ) -> Any:
        """Do a step, or undo it, or see what became of the order to do so; the document it leaves.

        _LET_GO when a host has it in hand. Raises what do or undo raises, HostUnreachable, StepTimedOut.
        """
        step = workflow.steps[held.step]
        name = function.__name__
        if held.order is not None:
            if answer is not None:
                return document
            deadline = held.order.answer_by
            if deadline <= utcnow():
                raise errors.StepTimedOut(host=held.order.host, step=name, timeout_s=step.timeout_s)
            # It has nothing to do yet.
            self.db.write(lambda c: operations.advance(c, held, lease_owner=None, wake_at=deadline))
            return _LET_GO
        outcome = function(document, self.context)
        self.boundary(held.name, name, moment)
        if not isinstance(outcome, OnHost):
            return outcome
        if self.liveness.is_up(outcome.host):
            self._send_order(workflow, held, document, outcome, step, name)
            return _LET_GO
        if outcome.skip_if_down:
            return document
        raise errors.HostUnreachable(host=outcome.host)

    def _advance(
        self,
        workflow: Operation,
        held: Lease,
        old: Any,
        document: Any,
        started: datetime,
        note: Callable[[Connection], None] | None = None,
    ) -> Lease | None:
        """Commit a step that is done: its result, the server's new state, and the next step."""
        step = workflow.steps[held.step]
        following = workflow.after(held.step, document)
        text = msgspec.json.encode(document).decode()
        follow: list[str] = []

        def work(connection: Connection) -> bool:
            follow.clear()
            if note:
                note(connection)
            written = (step.commit(connection, document) if step.commit else None) or {}
            self._record_success(connection, held, step.name, started)
            if following is None:
                follow.extend(completion.succeed(connection, workflow, held, document, text))
                return False
            is_cancelled = operations.advance(
                connection,
                held,
                step=following,
                document=text,
                order=None,
                waiting_host=None,
                wake_at=utcnow() + timedelta(seconds=self.lease_s),
                lease_owner=self.owner,
            )
            coming = workflow.steps[following]
            moments = (f"done {step.name}", f"begins {coming.name}")
            self._show(connection, workflow, held, old, document, coming.shows(document), moments, written)
            return is_cancelled

        is_cancelled = self.db.write(work)
        self._count(held, step.name, "success", started)
        self.boundary(held.name, step.name, "committed")
        for uuid in follow:
            self.wake(uuid)
        if following is None:
            return None
        return msgspec.structs.replace(
            held, step=following, document=text, order=None, is_cancelled=is_cancelled, wake_at=None
        )

    def _send_order(
        self, workflow: Operation, held: Lease, document: Any, outcome: OnHost, step: Step, event: str
    ) -> None:
        """Commit that a host is to do this step, let go of the operation, and tell the host."""
        now = utcnow()
        order = StepOrder(
            operation_id=held.uuid,
            instance_id=held.instance_uuid,
            host=outcome.host,
            request_id=held.request_id,
            number=held.attempt + 1,
            verb=outcome.verb,
            arguments=msgspec.Raw(msgspec.json.encode(outcome.arguments)),
            sent_at=now,
            answer_by=now + timedelta(seconds=outcome.timeout_s or step.timeout_s),
        )

        def work(connection: Connection) -> bool:
            operations.begin_event(connection, held.uuid, event, outcome.host)
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
        self.boundary(held.name, step.name, "ordered")
        try:
            self.compute(outcome.host).run_step(order)
        except errors.DomainError as error:
            LOG.warning("order %s to %s is not on the bus (%s); the host will ask", held.uuid, outcome.host, error)
        if is_cancelled and held.state == RUNNING:
            self.wake(held.uuid)

    def _failed(
        self,
        workflow: Operation,
        held: Lease,
        document: Any,
        error: errors.DomainError,
        started: datetime,
        trace: str | None = None,
    ) -> Lease | None:
        """A step failed: try it again, go back to where another way begins, or give up."""
        step = workflow.steps[held.step]
        LOG.info("%s of server %s: %s failed: %s", held.name, held.instance_uuid, step.name, error)
        if isinstance(error, errors.Unavailable) and not isinstance(error, errors.HostUnreachable):
            tried = self.db.read(lambda c: operations.failures(c, held.uuid, step.name))
            if tried < step.retries:
                return self._pause(held, step.name, error, started, tried)
        resume_at = next((i for i in range(held.step, -1, -1) if isinstance(error, workflow.steps[i].again_on)), None)
        return self._give_up(workflow, held, document, error, started, trace, resume_at)

    def _pause(self, held: Lease, name: str, error: errors.DomainError, started: datetime, tried: int) -> None:
        until = utcnow() + timedelta(seconds=self.pauses_s[min(tried, len(self.pauses_s) - 1)])

        def work(connection: Connection) -> None:
            self._record_failure(connection, held, name, started, error.message)
            operations.advance(connection, held, order=None, waiting_host=None, lease_owner=None, wake_at=until)

        self.db.write(work)

    def _give_up(
        self,
        workflow: Operation,
        held: Lease,
        document: Any,
        error: errors.DomainError,
        started: datetime | None = None,
        trace: str | None = None,
        resume_at: int | None = None,
    ) -> Lease:
        """Commit that the operation goes back from here, and why."""
        step = workflow.steps[held.step]
        failure = Failure(
            error=type(error).__name__,
            message=_with_history(error.message, held.failure),
            details=trace,
            resume_at=resume_at,
            status=error.status,
            function=step.name,
            module=step.do.__module__,
        )

        def work(connection: Connection) -> None:
            self._record_failure(connection, held, step.name, started or utcnow(), trace or error.message)
            operations.advance(
                connection,
                held,
                state=UNWINDING,
                failure=failure,
                order=None,
                waiting_host=None,
                wake_at=utcnow() + timedelta(seconds=self.lease_s),
                lease_owner=self.owner,
            )
            events.append(
                connection,
                f"instance.{held.name}.unwinding",
                held.owner_project_id,
                {"operation": held.name},
                held.instance_uuid,
                held.request_id,
                completion.event_details(workflow, held, document, ("unwinds",), {}, failure),
            )

        self.db.write(work)
        self._count(held, step.name, "error", started or utcnow())
        self.boundary(held.name, step.name, "failed")
        return msgspec.structs.replace(held, state=UNWINDING, failure=failure, order=None, wake_at=None)

    def _backward(self, workflow: Operation, held: Lease, document: Any, answer: StepAnswer | None) -> Lease | None:
        step = workflow.steps[held.step]
        name = step.undo.__name__
        started = utcnow()
        after = document
        try:
            outcome = self._act(workflow, held, document, answer, step.undo, "undone")
            if outcome is _LET_GO:
                return None
            if answer is not None:
                _result(answer, None)
            after = outcome
        except LeaseLost:
            raise
        except Exception as error:
            if not isinstance(error, errors.DomainError):
                LOG.exception("undo %s of operation %s", name, held.uuid)
            failed_before = self.db.read(lambda c: operations.failures(c, held.uuid, name))
            if failed_before < step.retries or (_passes(error) and utcnow() < held.deadline_at):
                return self._pause(held, name, _as_domain_error(error), started, failed_before)
            # Never stuck: what this undo leaves behind is for the reconcilers.
            LOG.error("%s of operation %s is given up: %s", name, held.uuid, error)
        return self._step_back(workflow, held, document, after, started)

    def _step_back(self, workflow: Operation, held: Lease, old: Any, document: Any, started: datetime) -> Lease | None:
        """Commit an undone step, and turn forward again, go further back, or end."""
        failure = held.failure
        assert failure is not None
        step = workflow.steps[held.step]
        earlier = workflow.before(held.step, failure.resume_at or 0, document)
        is_over = earlier is None and failure.resume_at is None
        next_step = (failure.resume_at or 0) if earlier is None else earlier
        state = RUNNING if earlier is None else UNWINDING
        text = msgspec.json.encode(document).decode()
        follow: list[str] = []

        def work(connection: Connection) -> bool:
            follow.clear()
            if held.order is not None or step.undo.__name__ != "nothing_to_undo":
                self._record_success(connection, held, step.undo.__name__, started)
            if is_over:
                follow.extend(completion.fail(connection, workflow, held, document, text))
                return False
            is_cancelled = operations.advance(
                connection,
                held,
                state=state,
                step=next_step,
                document=text,
                order=None,
                waiting_host=None,
                wake_at=utcnow() + timedelta(seconds=self.lease_s),
                lease_owner=self.owner,
            )
            moments = (f"undone {step.undo.__name__}",)
            self._show(connection, workflow, held, old, document, workflow.steps[next_step].shows(document), moments)
            return is_cancelled

        is_cancelled = self.db.write(work)
        self.boundary(held.name, step.undo.__name__, "committed")
        for uuid in follow:
            self.wake(uuid)
        if is_over:
            return None
        return msgspec.structs.replace(
            held,
            state=state,
            step=next_step,
            document=text,
            order=None,
            is_cancelled=is_cancelled,
            wake_at=None,
        )

    # What the user sees, written in the transaction that makes it true.

    def _show(
        self,
        connection: Connection,
        workflow: Operation,
        held: Lease,
        old: Any,
        document: Any,
        task_state: str | None,
        moments: tuple[str, ...] = (),
        written: Mapping[str, Any] | None = None,
    ) -> None:
        """Bring the server's row up to the document, and log that it changed; written: what did so already."""
        before = workflow.server(old)
        changes = {name: value for name, value in workflow.server(document).items() if before.get(name, ...) != value}
        changes["task_state"] = task_state
        instances.change(connection, held.instance_uuid, **changes)
        events.append(
            connection,
            "instance.update",
            held.owner_project_id,
            {"operation": held.name, "task_state": task_state},
            held.instance_uuid,
            held.request_id,
            completion.event_details(workflow, held, document, moments, {**(written or {}), **changes}),
        )

    def _record_success(self, connection: Connection, held: Lease, name: str, started: datetime) -> None:
        if held.order is not None:
            operations.end_event(connection, held.uuid, "Success")
        else:
            operations.record_event(connection, held.uuid, name, started, "Success")

    def _record_failure(self, connection: Connection, held: Lease, name: str, started: datetime, details: str) -> None:
        if held.order is not None:
            operations.end_event(connection, held.uuid, "Error", details)
        else:
            operations.record_event(connection, held.uuid, name, started, "Error", details=details)

    def _count(self, held: Lease, step: str, outcome: str, started: datetime) -> None:
        elapsed = (utcnow() - started).total_seconds()
        metrics.STEPS.labels(held.name, step, outcome).observe(elapsed)


def _result(answer: StepAnswer, kind: Any) -> Any:
    """What the host gave back, as kind, or the error it raised."""
    if answer.error is not None:
        raise errors.by_name(answer.error)(answer.message, **answer.details)
    return None if kind is None else msgspec.json.decode(answer.result, type=kind)


def _passes(error: Exception) -> bool:
    """Whether what another service holds for this operation can be taken back when that service is there again.

    A host that is silent cleans up by itself when it comes back.
    """
    return isinstance(error, errors.Unavailable) and not isinstance(error, errors.HostUnreachable | BusFailure)


def _as_domain_error(error: Exception) -> errors.DomainError:
    return error if isinstance(error, errors.DomainError) else errors.StepFailed(reason="internal error")


def _with_history(message: str, earlier: Failure | None) -> str:
    """A failure after others: the last reason first, for whoever reads only the beginning."""
    if earlier is None or earlier.message == message:
        return message
    return f"{message} Before that: {earlier.message}"
