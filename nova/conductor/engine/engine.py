"""Sees to it that every operation goes on: who works on which, from acceptance to its end, and who takes over.

An operation belongs to whoever holds its lease. A conductor that dies loses its leases by silence,
and another goes on from the last commit; so a step may run twice, and every step allows it. While a
host works nobody holds the operation: the answer, a cancellation or the step's deadline wakes it.
The bus only carries wake-up calls: losing one delays an operation until the next look at the rows.
"""

import logging
import time
import uuid as uuids
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import msgspec
from oslo_config import cfg
from sqlalchemy.engine import Connection

from nova import concurrency, errors, log_context, metrics
from nova.clock import utcnow
from nova.conductor.engine import completion
from nova.conductor.engine.liveness import Liveness
from nova.conductor.engine.operation import Document, Operation
from nova.conductor.engine.setbacks import Setbacks
from nova.conductor.engine.step_context import StepContext
from nova.conductor.engine.step_runner import StepRunner, UnknownStep
from nova.conductor.engine.turn import Commits, no_boundary
from nova.db import operations
from nova.db.engine import Database
from nova.db.operations import RUNNING, Lease, LeaseLost
from nova.readiness import Check
from nova.rpc.compute import ComputeCalls
from nova.structs.context import Context
from nova.structs.instance import Instance
from nova.structs.operation import StepAnswer

LOG = logging.getLogger(__name__)


class Engine:
    """One conductor's engine: it takes hold of operations and takes their turns (nova.conductor.engine.step_runner)."""

    def __init__(
        self,
        db: Database,
        context: StepContext,
        workflows: Mapping[str, Operation[Any]],
        compute: Callable[[str], ComputeCalls],
        liveness: Liveness,
        conf: cfg.ConfigOpts,
        boundary: Callable[[str, str, str], None] = no_boundary,
    ) -> None:
        self._db = db
        self._workflows = workflows
        self._lease_s = conf.conductor.lease_s
        self._poll_s = conf.conductor.poll_interval_s
        self._owner = str(uuids.uuid4())
        commits = Commits(db, self.wake, self._owner, self._lease_s, boundary)
        setbacks = Setbacks(commits, conf.conductor.step_pauses_s, conf.conductor.left_pauses_s)
        self._runner = StepRunner(commits, setbacks, context, workflows, compute, liveness)
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

    def check(self) -> Check:
        """Whether operations go on: none waits for a conductor in vain."""

        def look() -> None:
            late_s = self._late_s()
            if late_s >= 3 * self._lease_s:
                raise errors.Unavailable(service="The engine", reason=f"an operation is due for {late_s:.0f} s")

        return Check("operations", "The search for operations", look, behind=self._db.name)

    def held(self) -> list[str]:
        """The operations that this conductor works on now."""
        return sorted(self._driving.copy())

    def accept(
        self,
        connection: Connection,
        context: Context,
        workflow: Operation[Document],
        instance: Instance,
        document: Document,
        state: str = RUNNING,
        is_first: bool = False,
    ) -> Lease | None:
        """Make an operation durable, within the caller's transaction.

        The result goes to run() after the commit. None: it waits for the operation under way to be unwound
        (state QUEUED) or to end (WAITING), or another one was first. is_first: the server is made in this transaction.
        """
        now = utcnow()
        new = operations.NewOperation(
            uuid=str(uuids.uuid4()),
            name=workflow.name,
            instance_uuid=instance.uuid,
            project_id=context.project_id or instance.project_id,
            user_id=context.user_id or instance.user_id,
            owner_project_id=instance.project_id,
            request_id=context.request_id or f"req-{uuids.uuid4()}",
            step=workflow.steps[0].name,
            document=msgspec.json.encode(document).decode(),
            deadline_at=now + timedelta(seconds=self._workflows[workflow.name].deadline_s),
        )
        owner = self._owner if state == RUNNING else None
        added = operations.add(connection, new, state, owner, now + timedelta(seconds=self._lease_s), is_first)
        return Lease(**msgspec.structs.asdict(new)) if added and state == RUNNING else None

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
        metrics.LEFT.set(self._db.read(operations.count_left))
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

    def host_decided(self, host: str) -> None:
        """A host is heard again, or forced down: what waits for the one or the other goes on."""
        for uuid in self._db.read(lambda c: operations.waiting_for(c, host)):
            self.wake(uuid)

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
            self._runner.leased(held)
            going: Lease | None = held
            while going is not None:
                going = self._runner.run(going, answer)
                answer = None
        except UnknownStep as error:
            self._leave_to_others(held, error)
        except LeaseLost:
            LOG.warning("operation %s (%s) was taken over", held.uuid, held.name)
        except errors.OutcomeUnknown as error:
            # What the row says when the lease has run out is true, whatever became of the commit.
            LOG.warning("operation %s (%s) waits for the end of its lease: %s", held.uuid, held.name, error)
        except errors.Unavailable as error:
            LOG.warning("operation %s (%s) waits until it is tried again: %s", held.uuid, held.name, error)
        except Exception:
            LOG.exception("operation %s (%s) cannot go on now; it is tried again", held.uuid, held.name)
        finally:
            self._driving.discard(held.uuid)
            metrics.DRIVING.set(len(self._driving))

    def _leave_to_others(self, held: Lease, error: UnknownStep) -> None:
        """A conductor of the release that wrote the step knows it; after the deadline there is none any more."""
        LOG.error("%s, which this release does not have", error)
        if utcnow() >= held.deadline_at:
            self._db.write(lambda c: completion.end_unknown(c, held))
            return
        later = utcnow() + timedelta(seconds=self._lease_s)
        self._db.write(lambda c: operations.advance(c, held, lease_owner=None, wake_at=later))

    def _late_s(self) -> float:
        since = self._db.read(operations.oldest_due)
        return 0.0 if since is None else (utcnow() - since).total_seconds()

    def _renew(self) -> None:
        going = sorted(self._driving)
        if going:
            self._db.write(lambda c: operations.renew(c, self._owner, going, self._lease_s), is_repeatable=True)
