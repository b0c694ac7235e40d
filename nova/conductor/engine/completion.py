"""How an operation ends: the last transaction, in which the server becomes what the operation made of it.

The one place that assigns vm_state. Each function returns the operations to wake after the commit.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from nova.clock import utcnow
from nova.conductor.engine import journal
from nova.conductor.engine.operation import Document, Operation
from nova.db import events, instances, operations
from nova.db.operations import CANCELLED, FAILED, LEFT, SUCCEEDED, Failure, Lease
from nova.errors import Cancelled, DiskMissing
from nova.structs.event_details import EventDetails
from nova.structs.instance import Fault, Instance, PowerState, VmState

_QUEUED_DEADLINE_S = 3600.0
_WITH_GUEST = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED, VmState.RESCUED})
_NO_GUEST = "The server's host has no guest of it. A hard reboot makes it again, where its disks are there."


def succeed(
    connection: Connection, workflow: Operation[Document], held: Lease, document: Document, text: str
) -> list[str]:
    """The operation did what it was for."""
    if held.state == LEFT and held.failure is not None and held.failure.is_settled:
        return end_settled(connection, workflow, held, document)
    instance = instances.get(connection, held.instance_uuid, for_update=True)
    changes = _succeeded(connection, workflow, document, instance)
    end = _End(SUCCEEDED, f"done {workflow.step(held.step).name}", text)
    return _close(connection, workflow, held, document, end, instance, changes)


def leave(
    connection: Connection,
    workflow: Operation[Document],
    held: Lease,
    document: Document,
    text: str,
    until: datetime,
) -> list[str]:
    """The operation is over but for some steps, which are tried again: the server may be used meanwhile."""
    failure = held.failure
    assert failure is not None
    if operations.leave(connection, held, text, failure.message, until):
        # Somebody waits for the server, and does without what is left.
        return abandon(connection, workflow, held, document)
    if held.state == LEFT:
        return _promote(connection, operations.waiting(connection, held.instance_uuid), held.instance_uuid)
    instance = instances.get(connection, held.instance_uuid, for_update=True)
    if failure.is_settled:
        changes = _succeeded(connection, workflow, document, instance)
    else:
        changes = {
            **_failed(workflow, held, document, workflow.abandons_as),
            **workflow.abandon(connection, document, instance),
        }
    instances.change(connection, held.instance_uuid, **changes)
    woken: list[str] = []
    if changes.get("vm_state") is VmState.DELETED:
        operations.drop_waiting(connection, held.instance_uuid)
    else:
        woken = _promote(connection, operations.waiting(connection, held.instance_uuid), held.instance_uuid)
    end = _End(LEFT, "abandoned", text)
    _log(connection, workflow, held, document, end, "left", instance, changes)
    return woken


def end_settled(connection: Connection, workflow: Operation[Document], held: Lease, document: Document) -> list[str]:
    """What was left is done, or will never be: the server has been what it should be, and stays what it is by now."""
    instance = instances.get(connection, held.instance_uuid, for_update=True)
    failure = held.failure
    is_done = failure is None or not (failure.left or failure.given_up)
    end = _End(SUCCEEDED, "finished", held.document) if is_done else _End(_state_of(held), "given up", held.document)
    return _close(connection, workflow, held, document, end, instance, {"task_state": instance.task_state})


def fail(
    connection: Connection, workflow: Operation[Document], held: Lease, document: Document, text: str
) -> list[str]:
    """The operation is unwound: the server is in ERROR with the reason, or as it was before."""
    instance = instances.get(connection, held.instance_uuid, for_update=True)
    changes = {
        **_failed(workflow, held, document, workflow.fails_as),
        **workflow.fail(connection, document, instance),
    }
    end = _End(_state_of(held), f"undone {workflow.step(held.step).undo.__name__}", text)
    return _close(connection, workflow, held, document, end, instance, changes)


def abandon(connection: Connection, workflow: Operation[Document], held: Lease, document: Document) -> list[str]:
    """The operation ends behind its point of no return: nothing is undone, what holds the server's data stays."""
    if held.state == LEFT and held.failure is not None and held.failure.is_settled:
        return end_settled(connection, workflow, held, document)
    instance = instances.get(connection, held.instance_uuid, for_update=True)
    changes = {
        **_failed(workflow, held, document, workflow.abandons_as),
        **workflow.abandon(connection, document, instance),
    }
    end = _End(_state_of(held), "abandoned", held.document)
    return _close(connection, workflow, held, document, end, instance, changes)


def make_way(connection: Connection, workflow: Operation[Document], held: Lease, document: Document) -> list[str]:
    """The operation ends half undone, for a delete: the record says where to look for what it has made."""
    instance = instances.get(connection, held.instance_uuid, for_update=True)
    changes = {**_failed(workflow, held, document, None), **workflow.makes_way(connection, document, instance)}
    return _close(connection, workflow, held, document, _End(CANCELLED, "abandoned", held.document), instance, changes)


def keep(connection: Connection, workflow: Operation[Document], held: Lease, document: Document) -> list[str]:
    """The operation has failed, and the server has what it was for: its guest refused to give that back."""
    instance = instances.get(connection, held.instance_uuid, for_update=True)
    changes = {
        **_failed(workflow, held, document, workflow.fails_as),
        **workflow.finish(connection, document, instance),
    }
    end = _End(_state_of(held), "abandoned", held.document)
    return _close(connection, workflow, held, document, end, instance, changes)


def end_unknown(connection: Connection, held: Lease) -> None:
    """End an operation that is at a step this release does not have: the server is in ERROR, and untouched."""
    message = f"This release of nova-conductor has no step '{held.step}' in '{held.name}'."
    operations.close(connection, held, FAILED, held.document, message)
    fault = Fault(code=500, message=message, created_at=utcnow())
    instances.change(connection, held.instance_uuid, vm_state=VmState.ERROR, task_state=None, fault=fault)


def reset(connection: Connection, instance: Instance, state: VmState) -> tuple[dict[str, Any], list[str]]:
    """An administrator says what the server is; an operation under way makes way. Gives what changed, too."""
    changes: dict[str, Any] = {"vm_state": state, "task_state": None}
    operations.end_left(connection, instance.uuid)
    if state is VmState.ACTIVE:
        changes["fault"] = None
    instances.change(connection, instance.uuid, **changes)
    active = operations.active(connection, instance.uuid, for_update=True)
    if active is None:
        return changes, []
    operations.cancel(connection, active.uuid)
    return changes, [active.uuid]


def seems_to_run(instance: Instance) -> bool:
    """Whether a server has a guest by its record, and nothing is being done to it."""
    return instance.task_state is None and instance.vm_state in _WITH_GUEST


def lose_guest(connection: Connection, seen: Instance) -> None:
    """A server was found without its guest, as it was seen: it is in ERROR, unless it has changed since."""
    now = instances.get(connection, seen.uuid, for_update=True)
    if not seems_to_run(now) or (now.host, now.updated_at) != (seen.host, seen.updated_at):
        return
    if operations.active(connection, now.uuid) is not None:
        return
    fault = Fault(code=500, message=_NO_GUEST, created_at=utcnow())
    changes: dict[str, Any] = {"vm_state": VmState.ERROR, "power_state": PowerState.NOSTATE, "fault": fault}
    instances.change(connection, now.uuid, **changes)
    details = EventDetails(server=now, changes=changes)
    payload = {"vm_state": str(VmState.ERROR), "message": _NO_GUEST}
    events.append(connection, "instance.guest_missing", now.project_id, payload, now.uuid, details=details)


@dataclass(frozen=True)
class _End:
    """state: of the operation. moment: its last one, for the event log. text: the document as it is left."""

    state: str
    moment: str
    text: str


def _is_cancelled(failure: Failure) -> bool:
    return failure.error == Cancelled.__name__


def _state_of(held: Lease) -> str:
    assert held.failure is not None
    return CANCELLED if _is_cancelled(held.failure) else FAILED


def _succeeded(
    connection: Connection, workflow: Operation[Document], document: Document, instance: Instance
) -> dict[str, Any]:
    """What the server is after an operation that did what it was for."""
    state = workflow.succeeds_as(document)
    reached = {} if state is None else {"vm_state": state, "fault": None}
    finished = workflow.finish(connection, document, instance)
    return {**workflow.server(document), **reached, "task_state": None, **finished}


def _failed(workflow: Operation[Document], held: Lease, document: Document, state: VmState | None) -> dict[str, Any]:
    """What the server is after an operation that failed, or that had to make way."""
    failure = held.failure
    assert failure is not None
    changes: dict[str, Any] = {**workflow.server(document), "task_state": None}
    if not _is_cancelled(failure):
        changes["fault"] = Fault(
            code=failure.status, message=failure.message[:1000], created_at=utcnow(), details=failure.details
        )
        if failure.error == DiskMissing.__name__:
            # Whatever the operation was for: the server is not what it was.
            state = VmState.ERROR
        if state is not None:
            changes["vm_state"] = state
    return changes


def _close(
    connection: Connection,
    workflow: Operation[Document],
    held: Lease,
    document: Document,
    end: _End,
    instance: Instance,
    changes: dict[str, Any],
) -> list[str]:
    """End the operation, write the server, and let the operation begin that waits for this one."""
    failure = None if end.state == SUCCEEDED else held.failure
    message = None if failure is None else failure.message
    is_cancelled = operations.close(connection, held, end.state, _without_secrets(workflow, end.text), message)
    # Whoever waits for this one has cancelled it.
    successor = operations.queued(connection, held.instance_uuid) if is_cancelled else None
    if successor is not None:
        changes["task_state"] = "deleting"
        woken = _promote(connection, successor.uuid, held.instance_uuid)
    elif changes.get("vm_state") is VmState.DELETED:
        operations.drop_waiting(connection, held.instance_uuid)
        woken = []
    else:
        woken = _promote(connection, operations.waiting(connection, held.instance_uuid), held.instance_uuid)
    instances.change(connection, held.instance_uuid, **changes)
    _log(connection, workflow, held, document, end, "error" if failure else "end", instance, changes)
    return woken


def _promote(connection: Connection, successor: str | None, instance_uuid: str) -> list[str]:
    if successor is None:
        return []
    operations.promote(connection, successor, instance_uuid, utcnow() + timedelta(seconds=_QUEUED_DEADLINE_S))
    return [successor]


def _log(
    connection: Connection,
    workflow: Operation[Document],
    held: Lease,
    document: Document,
    end: _End,
    moment: str,
    instance: Instance,
    changes: dict[str, Any],
) -> None:
    failure = None if end.state == SUCCEEDED else held.failure
    payload: dict[str, Any] = {
        "operation": workflow.name,
        "step": workflow.step(held.step).name,
        "message": None if failure is None else failure.message,
    }
    if failure is not None and failure.left:
        payload["left"] = list(failure.left)
    details = journal.event_details(workflow, held, document, (end.moment, moment), changes, failure, instance)
    journal.append(connection, f"instance.{workflow.name}.{moment}", held, payload, details)


def _without_secrets(workflow: Operation[Document], text: str) -> str:
    if not workflow.secrets:
        return text
    fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({name: v for name, v in fields.items() if name not in workflow.secrets}).decode()
