"""What users see of an operation while it is under way, written in the transaction that makes it true.

The step events are the instance action's events; the event log is what watchers and notifications read.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from nova.conductor.engine.operation import Operation
from nova.db import events, instance_actions, instances
from nova.db.operations import Failure, Lease
from nova.structs.event_details import EventDetails, StepError
from nova.structs.instance import Instance


def show(
    connection: Connection,
    workflow: Operation[Any],
    held: Lease,
    before: msgspec.Struct,
    document: msgspec.Struct,
    task_state: str | None,
    moments: tuple[str, ...],
    written: Mapping[str, Any],
    step: str,
) -> None:
    """Bring the server's row up to the document, and log that it changed. written: columns that are up to it.

    step: the one that begins now, or is undone next.
    """
    old = workflow.server(before)
    changes = {name: value for name, value in workflow.server(document).items() if old.get(name, ...) != value}
    changes["task_state"] = task_state
    instances.change(connection, held.instance_uuid, **changes)
    append(
        connection,
        "instance.update",
        held,
        {"operation": held.name, "step": step},
        event_details(workflow, held, document, moments, {**written, **changes}),
    )


def append(connection: Connection, kind: str, held: Lease, payload: dict[str, Any], details: EventDetails) -> None:
    """Append an event of this operation to the log."""
    events.append(connection, kind, held.owner_project_id, payload, held.instance_uuid, held.request_id, details)


def record(connection: Connection, held: Lease, name: str, started: datetime, error: str | None = None) -> None:
    """Record how a step ended: its event is open while a host has it in hand."""
    result = "Success" if error is None else "Error"
    if held.order is not None:
        instance_actions.end_event(connection, held.uuid, result, error)
    else:
        instance_actions.record_event(connection, held.uuid, name, started, result, details=error)


def event_details(
    workflow: Operation[Any],
    held: Lease,
    document: msgspec.Struct,
    moments: tuple[str, ...],
    changes: Mapping[str, Any],
    failure: Failure | None = None,
    server: Instance | None = None,
) -> EventDetails:
    """What the event log keeps of a moment in an operation. server: as it was before, where that is at hand."""
    return EventDetails(
        user_id=held.user_id,
        project_id=held.project_id,
        operation=held.name,
        moments=moments,
        about=dict(workflow.tells(document)),
        server=server,
        changes=dict(changes),
        step_error=None if failure is None else _step_error(failure),
    )


def _step_error(failure: Failure) -> StepError:
    return StepError(
        error=failure.error,
        message=failure.whole_message or failure.message,
        function=failure.function,
        module=failure.module,
        traceback=failure.details or "",
    )
