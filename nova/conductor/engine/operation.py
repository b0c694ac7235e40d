"""The words in which a workflow is written: Operation, Step, OnHost.

A workflow is one list of steps, undo beside do, in one file of nova.conductor.workflows. Its whole
travelling state is one frozen struct, the document. The engine runs it; nothing here does anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from oslo_config import cfg
from sqlalchemy.engine import Connection

from nova.errors import DomainError, ServerNotReady
from nova.structs.context import Context
from nova.structs.instance import Instance, VmState

Document = Any


@dataclass(frozen=True)
class OnHost:
    """A step a host is to do. The operation waits for the answer; no thread does.

    skip_if_down: with the host down the step counts as done, because what it would have removed is
    removed by the host's own reconciler when it comes back.
    """

    host: str
    verb: str
    arguments: msgspec.Struct | None = None
    timeout_s: float | None = None
    skip_if_down: bool = False


@dataclass(frozen=True)
class Noted:
    """The document a step leaves, and a note that is written in the transaction of the step's success."""

    document: Document
    note: Callable[[Connection], None]


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


def unchanged(document: Document) -> None:
    """The end of an operation after which the server is what it was."""


def always(state: VmState) -> Callable[[Document], VmState]:
    """The end of an operation that has only one good end."""
    return lambda _: state


def nothing_to_undo(document: Document, context: Any) -> Document:
    """The undo of a step that leaves nothing behind, said aloud."""
    return document


@dataclass(frozen=True)
class Step:
    """One step: how to do it, how to undo it, and what the user sees meanwhile.

    do and undo take (document, context) and give the new document, or an OnHost; do may give it Noted. absorb takes
    (document, result) when the host has answered. commit runs in the transaction that records the
    step's success, and gives the fields of the server it wrote, if any. A service that is unavailable is
    tried again here, up to retries times; an error in again_on, here or in a later step, unwinds to this
    step and does it again. A step that does not apply to the document is passed over, both ways, without
    a trace.
    """

    do: Callable[[Document, Any], Any]
    undo: Callable[[Document, Any], Any] = nothing_to_undo
    task_state: str | Callable[[Document], str | None] | None = None
    result: Any = None
    absorb: Callable[[Document, Any], Document] = lambda document, _: document
    commit: Callable[[Connection, Document], Mapping[str, Any] | None] | None = None
    again_on: tuple[type[DomainError], ...] = ()
    # Nearly a minute, with the pauses that are the default: the time in which a daemon comes back.
    retries: int = 6
    timeout_s: float = 600.0
    applies: Callable[[Document], bool] = lambda document: True

    @property
    def name(self) -> str:
        return self.do.__name__

    def shows(self, document: Document) -> str | None:
        """The server's task_state while this step is next or under way."""
        return self.task_state(document) if callable(self.task_state) else self.task_state


@dataclass(frozen=True)
class Operation:
    """A long action on a server, from its acceptance to its end.

    name is the instance action's. from_states are the vm_states it may start in. begin runs in the
    transaction of acceptance: it completes the document, and raises what the request is refused for.
    On success the server becomes succeeds_as, or stays what it is where that gives None; on failure
    fails_as, or what it was where that is None. server says which columns of the server follow from
    the document; it is applied with every commit. finish and fail run in the last transaction. tells is
    what the event log says of this operation: the ids and states that notifications carry.
    """

    name: str
    document: type[msgspec.Struct]
    steps: tuple[Step, ...]
    from_states: frozenset[VmState] | Callable[[Document], frozenset[VmState]]
    succeeds_as: Callable[[Document], VmState | None]
    begin: Callable[[Acceptance, Document], Document] = lambda _, document: document
    fails_as: VmState | None = None
    server: Callable[[Document], Mapping[str, Any]] = lambda document: {}
    finish: Callable[[Connection, Document, Instance], Mapping[str, Any]] = lambda *_: {}
    fail: Callable[[Connection, Document, Instance], Mapping[str, Any]] = lambda *_: {}
    tells: Callable[[Document], Mapping[str, Any]] = lambda document: {}
    deadline_s: float = 3600.0
    # The action's name in the API, where a refusal has to say another one than the instance action's.
    asked_as: str | None = None
    # Delete may overtake: the operation under way is told to unwind first.
    overtakes: bool = False
    # Works on a locked server for its owner too.
    ignores_lock: bool = False
    # Not on a server that has shares. Source: admin guide, "Manage shares", limitations.
    bars_shares: bool = False
    # Fields of the document that are blanked when the operation ends, however it ends.
    secrets: tuple[str, ...] = ()

    def after(self, index: int, document: Document) -> int | None:
        """The step that comes next when that of index is done; None: it was the last."""
        later = range(index + 1, len(self.steps))
        return next((one for one in later if self.steps[one].applies(document)), None)

    def before(self, index: int, floor: int, document: Document) -> int | None:
        """The step to undo when that of index is undone, not beyond floor; None: there is none."""
        earlier = range(index - 1, floor - 1, -1)
        return next((one for one in earlier if self.steps[one].applies(document)), None)

    @property
    def asked_for(self) -> str:
        """What a user asked for, in the API's words."""
        return self.asked_as or self.name

    def may_start_in(self, state: VmState, document: Document) -> bool:
        states = self.from_states if isinstance(self.from_states, frozenset) else self.from_states(document)
        return state in states
