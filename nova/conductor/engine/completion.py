"""How an operation ends: the last transaction, in which the server becomes what the operation made of it.

The one place that assigns vm_state. Each function returns the operations to wake after the commit.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from nova.clock import utcnow
from nova.conductor.engine.operation import Operation
from nova.db import events, instances, operations
from nova.db.operations import CANCELLED, FAILED, SUCCEEDED, Failure, Lease
from nova.structs.event_details import EventDetails, StepError
from nova.structs.instance import Fault, Instance, VmState

_QUEUED_DEADLINE_S = 3600.0


def succeed(connection: Connection, workflow: Operation, held: Lease, document: Any, text: str) -> list[str]:
    """The operation did what it was for."""
    instance = instances.get(connection, held.instance_uuid, for_update=True)
    state = workflow.succeeds_as(document)
    reached = {} if state is None else {"vm_state": state, "fault": None}
    changes = {
        **workflow.server(document),
        **reached,
        "task_state": None,
        **workflow.finish(connection, document, instance),
    }
    return _end(connection, workflow, held, document, text, SUCCEEDED, instance, changes)


def fail(connection: Connection, workflow: Operation, held: Lease, document: Any, text: str) -> list[str]:
    """The operation is unwound: the server is in ERROR with the reason, or as it was before."""
    failure = held.failure
    assert failure is not None
    instance = instances.get(connection, held.instance_uuid, for_update=True)
    is_cancelled = failure.error == "Cancelled"
    changes: dict[str, Any] = {**workflow.server(document), "task_state": None}
    if not is_cancelled:
        changes["fault"] = Fault(
            code=failure.status, message=failure.message[:1000], created_at=utcnow(), details=failure.details
        )
        if workflow.fails_as is not None:
            changes["vm_state"] = workflow.fails_as
    changes |= workflow.fail(connection, document, instance)
    state = CANCELLED if is_cancelled else FAILED
    return _end(connection, workflow, held, document, text, state, instance, changes, failure.message)


def reset(connection: Connection, instance: Instance, state: VmState) -> tuple[dict[str, Any], list[str]]:
    """An administrator says what the server is; an operation under way makes way. Gives what changed, too."""
    changes: dict[str, Any] = {"vm_state": state, "task_state": None}
    if state is VmState.ACTIVE:
        changes["fault"] = None
    instances.change(connection, instance.uuid, **changes)
    active = operations.active(connection, instance.uuid, for_update=True)
    if active is None:
        return changes, []
    operations.cancel(connection, active.uuid)
    return changes, [active.uuid]


def event_details(
    workflow: Operation,
    held: Lease,
    document: Any,
    moments: tuple[str, ...],
    changes: Mapping[str, Any],
    failure: Failure | None = None,
    server: Instance | None = None,
) -> EventDetails:
    """What the event log keeps of a moment in an operation. server: as it was before, where that is at hand."""
    step_error = failure and StepError(
        error=failure.error,
        message=failure.message,
        function=failure.function,
        module=failure.module,
        traceback=failure.details or "",
    )
    return EventDetails(
        user_id=held.user_id,
        project_id=held.project_id,
        operation=held.name,
        moments=moments,
        about=dict(workflow.tells(document)),
        server=server,
        changes=dict(changes),
        step_error=step_error,
    )


def _without_secrets(workflow: Operation, text: str) -> str:
    if not workflow.secrets:
        return text
    fields: dict[str, msgspec.Raw] = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({name: v for name, v in fields.items() if name not in workflow.secrets}).decode()


def _end(
    connection: Connection,
    workflow: Operation,
    held: Lease,
    document: Any,
    text: str,
    state: str,
    instance: Instance,
    changes: dict[str, Any],
    message: str | None = None,
) -> list[str]:
    is_cancelled = operations.advance(
        connection,
        held,
        state=state,
        document=_without_secrets(workflow, text),
        active_key=None,
        order=None,
        waiting_host=None,
        lease_owner=None,
        wake_at=None,
        message=message,
        finished_at=utcnow(),
    )
    # Whoever waits for this one has cancelled it.
    successor = operations.queued(connection, held.instance_uuid) if is_cancelled else None
    if successor is not None:
        deadline = utcnow() + timedelta(seconds=_QUEUED_DEADLINE_S)
        operations.promote(connection, successor, held.instance_uuid, deadline)
        changes["task_state"] = "deleting"
    instances.change(connection, held.instance_uuid, **changes)
    vm_state: VmState | None = changes.get("vm_state")
    if state == SUCCEEDED:
        moment, failure = "end", None
        last = f"done {workflow.steps[held.step].name}"
    else:
        moment, failure = "error", held.failure
        last = f"undone {workflow.steps[held.step].undo.__name__}"
    events.append(
        connection,
        f"instance.{workflow.name}.{moment}",
        held.owner_project_id,
        {"operation": workflow.name, "vm_state": vm_state, "task_state": changes["task_state"], "message": message},
        held.instance_uuid,
        held.request_id,
        event_details(workflow, held, document, (last, moment), changes, failure, instance),
    )
    return [successor] if successor is not None else []
