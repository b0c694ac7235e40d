"""The words in which a workflow is written: Operation, Step, OnHost.

A workflow is one list of steps, undo beside do, in one file of nova.conductor.workflows. Its whole
travelling state is one frozen struct, the document. The engine runs it; nothing here does anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec
from oslo_config import cfg
from sqlalchemy.engine import Connection

from nova.conductor.engine.step_context import StepContext
from nova.errors import DomainError, ServerNotReady
from nova.structs.context import Context
from nova.structs.instance import Instance, VmState

Document = TypeVar("Document", bound=msgspec.Struct)


@dataclass(frozen=True)
class OnHost:
    """A step that a host is to do. The operation waits for the answer; no thread does.

    skip_if_down: with the host down the step counts as done, because what it would have removed is
    removed by the host's own reconciler when it comes back. waits_if_silent: but for a host that is only
    silent. Its guest may run, and holds what later steps give away: the order waits until the host answers, or an operator
    has forced it down (HostSilent).
    """

    host: str
    verb: str
    arguments: msgspec.Struct | None = None
    timeout_s: float | None = None
    skip_if_down: bool = False
    waits_if_silent: bool = False


@dataclass(frozen=True)
class Recorded(Generic[Document]):
    """The document that a step leaves, and a record that is written in the transaction of its success."""

    document: Document
    record: Callable[[Connection], None]


@dataclass(frozen=True)
class HostAnswer(Generic[Document]):
    """How a host's answer is read, as a value of this kind, and what the document becomes with it."""

    kind: Any
    absorb: Callable[[Document, Any], Document]


@dataclass(frozen=True)
class Acceptance:
    """What a request is accepted with: the transaction, the caller, and the server as it is."""

    connection: Connection
    conf: cfg.ConfigOpts
    context: Context
    instance: Instance


def on_its_host(acceptance: Acceptance, document: Document) -> Document:
    """The begin of an operation that needs the server's host. Raises ServerNotReady where it has none."""
    if acceptance.instance.host is None:
        raise ServerNotReady(server_id=acceptance.instance.uuid)
    return document


def unchanged(document: msgspec.Struct) -> None:
    """The end of an operation after which the server is what it was."""


def always(state: VmState) -> Callable[[msgspec.Struct], VmState]:
    """The end of an operation that has only one good end."""
    return lambda _: state


def nothing_to_undo(document: Document, context: StepContext) -> Document:
    """The undo of a step that leaves nothing behind, said aloud."""
    return document


def from_the_start() -> None:
    """The point of no return of an operation whose first step cannot be undone."""


Commit = Callable[[Connection, Document], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Step(Generic[Document]):
    """One step: how to do it, how to undo it, and what the user sees meanwhile.

    do and undo give the new document, or an OnHost; do may give it Recorded. answer reads what the host gives
    back, undo_answer what it gives back when it has undone the step. Each function of commit runs in the transaction that records the step's success, and gives the columns
    of the server that it wrote, if any. learns puts into the document what its undo, or another try after an unwinding,
    must know of the error it failed with. A service that is unavailable is asked again, up to retries times; an
    error in again_on, here or in a later step, unwinds to this step and does it again. An undo that raises
    PointPassed turns the operation forward, behind its point of no return. A step that does not apply
    to the document is passed over, both ways, without a trace. One that is_optional and fails for good counts as
    done.

    Behind the point of no return a step needs those before it, but for those in despite: when one of these has used up
    its tries, it is done all the same. The server is what the operation makes of it before a step is done
    that can_wait.
    """

    do: Callable[[Document, StepContext], Document | OnHost | Recorded[Document]]
    undo: Callable[[Document, StepContext], Document | OnHost] = nothing_to_undo
    task_state: str | Callable[[Document], str | None] | None = None
    answer: HostAnswer[Document] | None = None
    undo_answer: HostAnswer[Document] | None = None
    commit: tuple[Commit[Document], ...] = ()
    again_on: tuple[type[DomainError], ...] = ()
    # Nearly a minute, with the pauses that are the default: the time in which a daemon comes back.
    retries: int = 6
    timeout_s: float = 600.0
    learns: Callable[[Document, DomainError], Document] = lambda document, error: document
    applies: Callable[[Document], bool] = lambda document: True
    is_optional: bool = False
    despite: tuple[Callable[..., Any], ...] = ()
    can_wait: bool = False

    @property
    def name(self) -> str:
        return self.do.__name__

    @property
    def able_without(self) -> frozenset[str]:
        """The names of the steps before it that it does not need."""
        return frozenset(function.__name__ for function in self.despite)

    def shows(self, document: Document) -> str | None:
        """The server's task_state while this step is next or under way."""
        return self.task_state(document) if callable(self.task_state) else self.task_state


@dataclass(frozen=True)
class Operation(Generic[Document]):
    """A long action on a server, from its acceptance to its end.

    name is the instance action's. from_states are the vm_states it may start in. begin runs in the
    transaction of acceptance: it completes the document, and raises what the request is refused for.
    On success the server becomes succeeds_as, or stays what it is where that gives None; when it was unwound
    fails_as, or what it was where that is None. server says which columns of the server follow from
    the document; it is applied with every commit. finish, fail and abandon run in the last transaction and give
    the columns to write; so does makes_way, where a delete takes the place of one that is half undone, for that to
    find what there may be. tells is what the event log says of this operation: the ids and states that
    notifications carry.

    keeps is done where a guest refuses for good to give back what an undo asks for: the operation ends there with an
    error, finish writes what the server has all the same, for another operation to take, and the server is free.
    Without it the undo waits for the host.

    no_return_after: the function of the last step that can still be undone, or from_the_start. Behind it the
    engine undoes nothing: it goes forward, and where that fails for good the operation is abandoned. The server
    is then abandons_as (None: what it was), and everything that holds its data is left as it is. The point is passed
    when the step behind it is first tried; with passes_when_done, as soon as the last step before it is done.
    finishes_later: steps behind it that failed because somebody is away are tried again when the operation is over, for
    as long as it takes. Meanwhile other operations on the server are refused, but for those that run beside_left where the
    server is whole, and for those that end it (ends_left).
    """

    name: str
    document: type[Document]
    steps: tuple[Step[Document], ...]
    from_states: frozenset[VmState] | Callable[[Document], frozenset[VmState]]
    succeeds_as: Callable[[Document], VmState | None]
    begin: Callable[[Acceptance, Document], Document] = lambda _, document: document
    fails_as: VmState | None = None
    no_return_after: Callable[..., Any] | None = None
    passes_when_done: bool = False
    abandons_as: VmState | None = VmState.ERROR
    server: Callable[[Document], Mapping[str, Any]] = lambda document: {}
    finish: Callable[[Connection, Document, Instance], Mapping[str, Any]] = lambda *_: {}
    fail: Callable[[Connection, Document, Instance], Mapping[str, Any]] = lambda *_: {}
    abandon: Callable[[Connection, Document, Instance], Mapping[str, Any]] = lambda *_: {}
    makes_way: Callable[[Connection, Document, Instance], Mapping[str, Any]] = lambda *_: {}
    keeps: Callable[[Document, StepContext], Document] | None = None
    tells: Callable[[Document], Mapping[str, Any]] = lambda document: {}
    deadline_s: float = 3600.0
    # The action's name in the API, where a refusal has to say another one than the instance action's.
    asked_as: str | None = None
    # Delete may overtake: the operation under way is told to unwind first.
    overtakes: bool = False
    finishes_later: bool = False
    beside_left: bool = False
    ends_left: bool = False
    # Begins when the operation under way is over, where there is one; others are refused then.
    waits: bool = False
    # Shows nothing of itself, so that nothing tells users to wait: a request for such an operation that finds another one of
    # them under way is made again for a while.
    takes_turns: bool = False
    # Works on a locked server for its owner too.
    ignores_lock: bool = False
    # Not on a server that has shares. Source: admin guide, "Manage shares", limitations.
    bars_shares: bool = False
    # The steps by the index that older releases stored, where steps have changed their places since.
    indexed: tuple[str, ...] = ()
    # Fields of the document that are blanked when the operation ends, however it ends.
    secrets: tuple[str, ...] = ()

    @cached_property
    def _indexes(self) -> dict[str, int]:
        return {step.name: index for index, step in enumerate(self.steps)}

    def step(self, name: str) -> Step[Document]:
        """A step by its name, or by the index that releases before 2027 stored. Raises KeyError."""
        return self.steps[self._index(name)]

    def after(self, step: Step[Document], document: Document) -> Step[Document] | None:
        """The step that comes next when this one is done; None: it was the last."""
        later = self.steps[self._index(step.name) + 1 :]
        return next((other for other in later if other.applies(document)), None)

    def before(self, step: Step[Document], floor: str | None, document: Document) -> Step[Document] | None:
        """The step to undo when this one is undone, not beyond the step named floor; None: there is none."""
        lowest = 0 if floor is None else self._index(floor)
        earlier = self.steps[lowest : self._index(step.name)]
        return next((other for other in reversed(earlier) if other.applies(document)), None)

    def again_at(self, step: Step[Document], error: DomainError) -> Step[Document] | None:
        """The step that knows another way after this error: this one, or the nearest before it."""
        until = self.steps[: self._index(step.name) + 1]
        return next((other for other in reversed(until) if isinstance(error, other.again_on)), None)

    def is_behind_return(self, step: Step[Document]) -> bool:
        """Whether a step comes after the last one that can be undone."""
        if self.no_return_after is None:
            return False
        if self.no_return_after is from_the_start:
            return True
        return self._index(step.name) > self._indexes[self.no_return_after.__name__]

    @property
    def last_undoable(self) -> Step[Document]:
        """The step at the point of no return. Raises KeyError for a workflow that has none to be done."""
        return self.steps[self._indexes[getattr(self.no_return_after, "__name__", "")]]

    @property
    def asked_for(self) -> str:
        """What a user asked for, in the API's words."""
        return self.asked_as or self.name

    def may_start_in(self, state: VmState, document: Document) -> bool:
        """The document counts where the states depend on what is asked for."""
        states = self.from_states if isinstance(self.from_states, frozenset) else self.from_states(document)
        return state in states

    def _index(self, name: str) -> int:
        if name.isdigit() and int(name) < len(self.steps):
            return self._indexes[self.indexed[int(name)]] if self.indexed else int(name)
        return self._indexes[name]
