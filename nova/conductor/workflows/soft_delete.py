"""Soft-delete a server, and restore it: for [DEFAULT] reclaim_instance_interval it is off, and all that it had is its own.

What it counts for in the quota stays counted: it can come back at any time.
"""

import msgspec
from sqlalchemy.engine import Connection

from nova.clock import utcnow
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step, always
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest
from nova.conductor.workflows.guest import GuestDocument
from nova.structs.instance import Instance, PowerState, VmState

SINCE = "soft_deleted_at"

_POWER = {
    VmState.ACTIVE: PowerState.RUNNING,
    VmState.RESCUED: PowerState.RUNNING,
    VmState.PAUSED: PowerState.PAUSED,
    VmState.SUSPENDED: PowerState.SUSPENDED,
}


class SoftDelete(GuestDocument, frozen=True, kw_only=True, omit_defaults=True):
    """was: the power state the guest had, for the way back."""

    was: PowerState = PowerState.SHUTDOWN


def stop_guest(op: SoftDelete, context: StepContext) -> OnHost | SoftDelete:
    """Also the undo of a restore. A server without a host has no guest to stop."""
    instance = context.instance(op.instance_id)
    return op if instance.host is None else guest.power_off(instance)


def start_again(op: SoftDelete, context: StepContext) -> OnHost | SoftDelete:
    """The undo of stop_guest(): the guest is brought to the power state it had, op.was."""
    instance = context.instance(op.instance_id, with_user_data=True)
    return op if instance.host is None else guest.bring_to(instance, op.was)


def start_guest(op: SoftDelete, context: StepContext) -> OnHost | SoftDelete:
    """A restored server runs, whatever it did before it was deleted."""
    instance = context.instance(op.instance_id, with_user_data=True)
    return op if instance.host is None else guest.power_on(instance)


def _begin(acceptance: Acceptance, op: SoftDelete) -> SoftDelete:
    was = _POWER.get(acceptance.instance.vm_state, PowerState.SHUTDOWN)
    return msgspec.structs.replace(op, was=was)


def _deleted(connection: Connection, op: SoftDelete, instance: Instance) -> dict[str, object]:
    kept = instance.system_metadata | {SINCE: utcnow().isoformat()}
    return {"system_metadata": kept, "power_state": PowerState(op.power_state)}


def _restored(connection: Connection, op: SoftDelete, instance: Instance) -> dict[str, object]:
    kept = {key: value for key, value in instance.system_metadata.items() if key != SINCE}
    return {"system_metadata": kept, "power_state": PowerState(op.power_state)}


SOFT_DELETE = Operation(
    "softDelete",
    SoftDelete,
    asked_as="delete",
    steps=(Step(stop_guest, start_again, task_state="soft-deleting", answer=guest.POWER_STATE),),
    from_states=frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED, VmState.RESCUED}),
    begin=_begin,
    succeeds_as=always(VmState.SOFT_DELETED),
    finish=_deleted,
    overtakes=True,
    beside_left=True,
)

RESTORE = Operation(
    "restore",
    SoftDelete,
    steps=(Step(start_guest, stop_guest, task_state="restoring", answer=guest.POWER_STATE),),
    from_states=frozenset({VmState.SOFT_DELETED}),
    succeeds_as=always(VmState.ACTIVE),
    finish=_restored,
    beside_left=True,
)
