"""Empties a compute host: its servers move to others, live where they run, and what cannot move is named.

Each move is an operation of the conductor's, which goes on whatever becomes of this command; whoever runs it again goes on
from there.
"""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nova import errors
from nova.rpc.conductor import ConductorCalls
from nova.structs.context import Context
from nova.structs.instance import Instance, VmState
from nova.structs.migration import MigrationQuery
from nova.structs.requests import ServerQuery

LIVE, COLD, CONFIRM, OFFLOAD = "live-migration", "migrate", "confirmResize", "shelveOffload"
_HOW = {
    VmState.ACTIVE: (LIVE,),
    VmState.PAUSED: (LIVE,),
    # The old disk lies on the host until the move is confirmed.
    VmState.STOPPED: (COLD, CONFIRM),
    VmState.SHELVED: (OFFLOAD,),
}
_MOVED = "finished"
_OLDEST_FIRST = (("created_at", "asc"), ("id", "asc"))
_LOOK_S = 1.0
# Refusals of one that nothing is done to: the operation before may have ended in between.
_REFUSALS = 1


@dataclass
class Move:
    """What is done about one server. steps: operations still to come; result None: none has failed so far."""

    server: Instance
    steps: list[str]
    how: str
    request_id: str = ""
    refusals: int = 0
    result: str | None = None

    @property
    def context(self) -> Context:
        """Who asks: the operator, for the server's project."""
        return Context(
            is_admin=True, user_id="nova-manage", project_id=self.server.project_id, request_id=self.request_id
        )


@dataclass
class Drain:
    """to: the host to move to; None: the scheduler chooses. at_once: moves under way at most. may_stop: servers that cannot
    be moved while they run are moved with downtime."""

    conductor: ConductorCalls
    host: str
    to: str | None = None
    at_once: int = 2
    may_stop: bool = False
    moves: list[Move] = field(default_factory=list)

    def run(self) -> Iterator[Move]:
        """Each move as it ends."""
        self.moves = [*self._unconfirmed(), *map(self._move, self.servers())]
        waiting, under_way = list(self.moves), list[Move]()
        while waiting or under_way:
            while waiting and len(under_way) < self.at_once:
                under_way.append(waiting.pop(0))
                self._begin(under_way[-1])
            for move in list(under_way):
                if move.result is None and move.steps:
                    self._look(move)
                if move.result is not None or not move.steps:
                    under_way.remove(move)
                    yield move

    def servers(self) -> list[Instance]:
        """Those that are on the host now, the oldest first."""
        return self.conductor.servers(Context(is_admin=True), ServerQuery(host=self.host, sort=_OLDEST_FIRST))

    def _unconfirmed(self) -> Iterator[Move]:
        """Servers that this command has moved away, and did not live to confirm: their old disks are here."""
        query = MigrationQuery(source_host=self.host, kind="migration", status=_MOVED)
        for migration in self.conductor.migrations(Context(is_admin=True), query):
            server = self.conductor.server(Context(is_admin=True), migration.instance_uuid)
            if server.vm_state is VmState.RESIZED and migration.user_id == "nova-manage":
                yield Move(server, [CONFIRM], COLD)

    def _move(self, server: Instance) -> Move:
        steps = _HOW.get(server.vm_state)
        if steps is None:
            return Move(server, [], "-", result=f"stays: it is {server.vm_state.value}")
        return Move(server, list(steps), steps[0])

    def _begin(self, move: Move) -> None:
        if move.result is not None:
            return
        step = move.steps[0]
        move.request_id = f"req-{uuid.uuid4()}"
        try:
            self.conductor.operate(move.context, move.server.uuid, step, self._arguments(step))
        except errors.Conflict as error:
            # Another operation may be under way, one that this command began the last time, too.
            move.request_id = ""
            move.refusals += 1
            if move.refusals > _REFUSALS:
                self._failed(move, error.for_administrators or error.message)
        except errors.DomainError as error:
            self._failed(move, error.for_administrators or error.message)

    def _arguments(self, step: str) -> dict[str, Any]:
        if step in (LIVE, COLD):
            return {"migration_id": str(uuid.uuid4()), "only_host": self.to}
        return {}

    def _look(self, move: Move) -> None:
        """Wait a moment for the step to end, and begin the next one."""
        if not move.request_id:
            time.sleep(_LOOK_S)
            self._begin_anew(move)
            return
        try:
            outcome = self.conductor.outcome(move.context, move.server.uuid, move.request_id, move.steps[0], _LOOK_S)
        except errors.Unavailable:
            # The conductor is away; the operation is not.
            time.sleep(_LOOK_S)
            return
        if outcome is None:
            return
        if outcome.error is not None:
            self._failed(move, outcome.whole_message or outcome.message or outcome.error)
            return
        move.steps.pop(0)
        if move.steps:
            self._begin(move)

    def _begin_anew(self, move: Move) -> None:
        """The server has become what another operation has made of it."""
        server = self.conductor.server(Context(is_admin=True), move.server.uuid)
        if server.task_state is not None:
            move.refusals = 0
            return
        if server.host != self.host and move.steps[0] != CONFIRM:
            move.steps.clear()
            return
        if move.steps[0] != CONFIRM:
            now = self._move(server)
            move.server, move.steps[:], move.how, move.result = now.server, now.steps, now.how, now.result
        self._begin(move)

    def _failed(self, move: Move, reason: str) -> None:
        if move.steps[0] == LIVE and self.may_stop:
            move.steps[:], move.how, move.refusals = [COLD, CONFIRM], f"{COLD}, as {LIVE} failed: {reason}", 0
            self._begin(move)
        else:
            move.result = f"stays: {reason}"
