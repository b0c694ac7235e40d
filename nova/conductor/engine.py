"""Runs operations: one step at a time, each committed together with what the user sees of it.

An operation belongs to whoever holds its lease. A conductor that dies loses its leases by silence,
and another goes on from the last commit; so a step may run twice, and every step allows it. While a
host works nobody holds the operation: the answer, a cancellation or the step's deadline wakes it.
The bus only carries wake-up calls: losing one delays an operation until the next look at the rows.
"""

import logging
import time
import traceback
import uuid as uuids
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from oslo_config import cfg
from sqlalchemy.engine import Connection

from nova import concurrency, errors, log_context, metrics
from nova.clock import utcnow
from nova.compute.interface import ComputeCalls
from nova.conductor import ending
from nova.conductor.liveness import Liveness
from nova.conductor.operation import OnHost, Operation, Step
from nova.db import events, instances, operations
from nova.db.database import Database
from nova.db.operations import RUNNING, UNWINDING, Failure, Lease, LeaseLost
from nova.structs.context import Context
from nova.structs.instance import Instance
from nova.structs.operation import StepAnswer, StepOrder

LOG = logging.getLogger(__name__)

_BACKOFF_S = (0.2, 1.0, 5.0, 15.0)

# What a turn gives after which a host has the operation in hand.
_LET_GO = object()


class StepDefect(errors.StepFailed):
    """A step raised what it never should: a defect, told to users without its text."""

    text = "Step '{step}' failed for an internal reason; the log of nova-conductor has it."


def no_boundary(operation: str, step: str, moment: str) -> None:
    """Called between the commits; the tests kill a conductor here."""


class Engine:
    """One conductor's engine. cloud is what steps may ask; compute(host) reaches a host's daemon."""

    def __init__(
        self,
        db: Database,
        cloud: Any,
        workflows: Mapping[str, Operation],
        compute: Callable[[str], ComputeCalls],
        liveness: Liveness,
        conf: cfg.ConfigOpts,
        boundary: Callable[[str, str, str], None] = no_boundary,
    ) -> None:
        self._db = db
        self._cloud = cloud
        self._workflows = workflows
        self._compute = compute
        self._liveness = liveness
        self._lease_s = conf.conductor.lease_s
        self._poll_s = conf.conductor.poll_interval_s
        self._boundary = boundary
        self._owner = str(uuids.uuid4())
        self._pool = concurrency.Pool(conf.conductor.threads, "engine")
        self._periodics: list[concurrency.Periodic] = []
        # Only what really goes on here keeps its lease: whatever else this conductor holds runs out.
        self._driving: set[str] = set()
        self._waking: set[str] = set()

    def start(self) -> None:
        self._periodics = [
            concurrency.Periodic(self._poll_s, self.take_due, "search for operations", at_once=True),
            concurrency.Periodic(self._lease_s / 3, self._renew, "renewal of leases"),
        ]

    def stop(self) -> None:
        """Finish the steps under way; what they leave is for another conductor, or for the next start."""
        for periodic in self._periodics:
            periodic.stop()
        self._pool.close()

    def checks(self) -> dict[str, bool]:
        return {"operations go on": self._late_s() < 3 * self._lease_s}

    def accept(
        self,
        connection: Connection,
        context: Context,
        workflow: Operation,
        instance: Instance,
        document: Any,
        queue: bool,
    ) -> Lease | None:
        """Make an operation durable, within the caller's transaction.

        The result goes to run() after the commit. None: it waits for the operation under way
        (queue), or another one was first.
        """
        uuid = str(uuids.uuid4())
        deadline = utcnow() + timedelta(seconds=workflow.deadline_s)
        text = msgspec.json.encode(document).decode()
        request_id = context.request_id or f"req-{uuids.uuid4()}"
        added = operations.add(
            connection,
            uuid=uuid,
            name=workflow.name,
            instance_uuid=instance.uuid,
            project_id=context.project_id or instance.project_id,
            user_id=context.user_id or instance.user_id,
            owner_project_id=instance.project_id,
            request_id=request_id,
            document=text,
            deadline_at=deadline,
            state=operations.QUEUED if queue else RUNNING,
            owner=None if queue else self._owner,
            lease_until=utcnow() + timedelta(seconds=self._lease_s),
        )
        if queue or not added:
            return None
        return Lease(
            uuid=uuid,
            name=workflow.name,
            instance_uuid=instance.uuid,
            project_id=context.project_id or instance.project_id,
            user_id=context.user_id or instance.user_id,
            owner_project_id=instance.project_id,
            request_id=request_id,
            state=RUNNING,
            step=0,
            attempt=0,
            document=text,
            generation=1,
            is_cancelled=False,
            deadline_at=deadline,
        )

    def run(self, held: Lease) -> None:
        """Go on with an operation this conductor holds."""
        # It may have to wait for a thread, and keeps its lease meanwhile.
        self._driving.add(held.uuid)
        self._pool.submit(self._drive, held)

    def wake(self, uuid: str) -> None:
        """Look at an operation now, if nobody holds it."""
        self._pool.submit(self._take, uuid)

    def take_due(self) -> None:
        """Look at every operation whose time has come: takeovers, deadlines, pauses, lost wake-up calls."""
        metrics.LATE.set(self._late_s())
        for uuid in self._db.read(operations.due):
            if uuid not in self._driving and uuid not in self._waking:
                self._waking.add(uuid)
                self.wake(uuid)

    def answered(self, answer: StepAnswer) -> None:
        """A host has answered an order."""
        self._pool.submit(self._take_with_answer, answer)

    def host_lost(self, host: str) -> None:
        """Nobody hears from a host any more: what waits for it shall not wait for its deadline."""
        for order in self._db.read(lambda c: operations.waiting_on(c, [host])):
            lost = errors.HostUnreachable(host=host)
            self.answered(
                StepAnswer(
                    operation_id=order.operation_id,
                    number=order.number,
                    host=host,
                    error=type(lost).__name__,
                    message=lost.message,
                    details=lost.details,
                )
            )

    # The way of one operation through this conductor.

    def _take(self, uuid: str) -> None:
        self._waking.discard(uuid)
        held = self._db.write(lambda c: operations.lease(c, uuid, self._owner, self._lease_s))
        if held is not None:
            if held.lease_owner is not None:
                metrics.TAKEOVERS.inc()
            self._drive(held)

    def _take_with_answer(self, answer: StepAnswer) -> None:
        for _ in range(20):
            held = self._db.write(lambda c: operations.lease(c, answer.operation_id, self._owner, self._lease_s))
            if held is not None:
                self._drive(held, answer)
                return
            if not self._db.read(lambda c: operations.awaits(c, answer.operation_id, answer.number)):
                return
            # Somebody just looks at it; the host would ask again, but not soon.
            time.sleep(0.05)

    def _drive(self, held: Lease, answer: StepAnswer | None = None) -> None:
        self._driving.add(held.uuid)
        metrics.DRIVING.set(len(self._driving))
        log_context.follow(held.request_id, held.user_id, held.project_id, held.instance_uuid)
        try:
            self._boundary(held.name, self._step_of(held).name, "leased")
            going: Lease | None = held
            while going is not None:
                going = self._turn(going, answer)
                answer = None
        except LeaseLost:
            LOG.warning("operation %s (%s) was taken over", held.uuid, held.name)
        except Exception:
            LOG.exception("operation %s (%s) cannot go on now; it is tried again", held.uuid, held.name)
        finally:
            self._driving.discard(held.uuid)
            metrics.DRIVING.set(len(self._driving))

    def _turn(self, held: Lease, answer: StepAnswer | None) -> Lease | None:
        workflow = self._workflows[held.name]
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
            return self._advance(workflow, held, document, outcome, started)
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
            self._db.write(lambda c: operations.advance(c, held, lease_owner=None, wake_at=deadline))
            return _LET_GO
        outcome = function(document, self._cloud)
        self._boundary(held.name, name, moment)
        if not isinstance(outcome, OnHost):
            return outcome
        if self._liveness.is_up(outcome.host):
            self._send_order(workflow, held, document, outcome, step, name)
            return _LET_GO
        if outcome.skip_if_down:
            return document
        raise errors.HostUnreachable(host=outcome.host)

    def _advance(self, workflow: Operation, held: Lease, old: Any, document: Any, started: datetime) -> Lease | None:
        """Commit a step that is done: its result, the server's new state, and the next step."""
        step = workflow.steps[held.step]
        following = workflow.after(held.step, document)
        text = msgspec.json.encode(document).decode()
        follow: list[str] = []

        def work(connection: Connection) -> bool:
            follow.clear()
            written = (step.commit(connection, document) if step.commit else None) or {}
            self._record_success(connection, held, step.name, started)
            if following is None:
                follow.extend(ending.succeed(connection, workflow, held, document, text))
                return False
            operations.advance(
                connection,
                held,
                step=following,
                document=text,
                order=None,
                waiting_host=None,
                wake_at=utcnow() + timedelta(seconds=self._lease_s),
                lease_owner=self._owner,
            )
            coming = workflow.steps[following]
            moments = (f"done {step.name}", f"begins {coming.name}")
            self._show(connection, workflow, held, old, document, coming.shows(document), moments, written)
            return operations.is_cancelled(connection, held.uuid)

        is_cancelled = self._db.write(work)
        self._count(held, step.name, "success", started)
        self._boundary(held.name, step.name, "committed")
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
            operations.advance(
                connection,
                held,
                order=order,
                attempt=order.number,
                waiting_host=outcome.host,
                wake_at=order.answer_by,
                lease_owner=None,
            )
            self._show(connection, workflow, held, None, document, step.shows(document))
            return operations.is_cancelled(connection, held.uuid)

        is_cancelled = self._db.write(work)
        self._boundary(held.name, step.name, "ordered")
        try:
            self._compute(outcome.host).run_step(order)
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
            tried = self._db.read(lambda c: operations.failures(c, held.uuid, step.name))
            if tried < step.retries:
                return self._pause(held, step.name, error, started, tried)
        resume_at = next((i for i in range(held.step, -1, -1) if isinstance(error, workflow.steps[i].again_on)), None)
        return self._give_up(workflow, held, document, error, started, trace, resume_at)

    def _pause(self, held: Lease, name: str, error: errors.DomainError, started: datetime, tried: int) -> None:
        until = utcnow() + timedelta(seconds=_BACKOFF_S[min(tried, len(_BACKOFF_S) - 1)])

        def work(connection: Connection) -> None:
            self._record_failure(connection, held, name, started, error.message)
            operations.advance(connection, held, order=None, waiting_host=None, lease_owner=None, wake_at=until)

        self._db.write(work)

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
                wake_at=utcnow() + timedelta(seconds=self._lease_s),
                lease_owner=self._owner,
            )
            events.append(
                connection,
                f"instance.{held.name}.unwinding",
                held.owner_project_id,
                {"operation": held.name},
                held.instance_uuid,
                held.request_id,
                ending.circumstances(workflow, held, document, ("unwinds",), {}, failure),
            )

        self._db.write(work)
        self._count(held, step.name, "error", started or utcnow())
        self._boundary(held.name, step.name, "failed")
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
            failed_before = self._db.read(lambda c: operations.failures(c, held.uuid, name))
            if failed_before < step.retries:
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
                follow.extend(ending.fail(connection, workflow, held, document, text))
                return False
            operations.advance(
                connection,
                held,
                state=state,
                step=next_step,
                document=text,
                order=None,
                waiting_host=None,
                wake_at=utcnow() + timedelta(seconds=self._lease_s),
                lease_owner=self._owner,
            )
            moments = (f"undone {step.undo.__name__}",)
            self._show(connection, workflow, held, old, document, workflow.steps[next_step].shows(document), moments)
            return operations.is_cancelled(connection, held.uuid)

        is_cancelled = self._db.write(work)
        self._boundary(held.name, step.undo.__name__, "committed")
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
        changes = dict(workflow.server(document))
        if old is not None:
            before = workflow.server(old)
            changes = {name: value for name, value in changes.items() if before.get(name, ...) != value}
        changes["task_state"] = task_state
        instances.change(connection, held.instance_uuid, **changes)
        events.append(
            connection,
            "instance.update",
            held.owner_project_id,
            {"operation": held.name, "task_state": task_state},
            held.instance_uuid,
            held.request_id,
            ending.circumstances(workflow, held, document, moments, {**(written or {}), **changes}),
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

    def _late_s(self) -> float:
        since = self._db.read(operations.oldest_due)
        return 0.0 if since is None else (utcnow() - since).total_seconds()

    def _renew(self) -> None:
        going = sorted(self._driving)
        if going:
            self._db.write(lambda c: operations.renew(c, self._owner, going, self._lease_s))

    def _step_of(self, held: Lease) -> Step:
        return self._workflows[held.name].steps[held.step]


def _result(answer: StepAnswer, kind: Any) -> Any:
    """What the host gave back, as kind, or the error it raised."""
    if answer.error is not None:
        raise errors.by_name(answer.error)(answer.message, **answer.details)
    return None if kind is None else msgspec.json.decode(answer.result, type=kind)


def _as_domain_error(error: Exception) -> errors.DomainError:
    return error if isinstance(error, errors.DomainError) else errors.StepFailed(reason="internal error")


def _with_history(message: str, earlier: Failure | None) -> str:
    """A failure after others: the last reason first, for whoever reads only the beginning."""
    if earlier is None or earlier.message == message:
        return message
    return f"{message} Before that: {earlier.message}"
