"""Soft-delete a server, and restore it: for [DEFAULT] reclaim_instance_interval it is off, and all that it had is its own.

What it counts for in the quota stays counted: it can come back at any time.
"""

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step, always
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest, shelved_image
from nova.conductor.workflows.guest import GuestDocument
from nova.structs.instance import Instance, PowerState, VmState

SINCE = "soft_deleted_at"

_FROM = frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED, VmState.RESCUED})
_POWER = {
    VmState.ACTIVE: PowerState.RUNNING,
    VmState.RESCUED: PowerState.RUNNING,
    VmState.PAUSED: PowerState.PAUSED,
    VmState.SUSPENDED: PowerState.SUSPENDED,
}


class SoftDelete(GuestDocument, frozen=True, kw_only=True, omit_defaults=True):
    """becomes: what a restored server is."""

    becomes: VmState = VmState.ACTIVE


def stop_guest(op: SoftDelete, context: StepContext) -> OnHost:
    """Whatever this has overtaken may have made of the server what is not kept. Raises WrongServerState, ServerNotReady."""
    instance = context.instance(op.instance_id)
    if instance.vm_state not in _FROM:
        raise errors.WrongServerState(
            action="delete", server_id=instance.uuid, attribute="vm_state", state=str(instance.vm_state)
        )
    return guest.power_off(instance)


def start_again(op: SoftDelete, context: StepContext) -> OnHost | SoftDelete:
    """The undo of stop_guest(): the guest is brought to the power state it had."""
    instance = context.instance(op.instance_id, with_user_data=True)
    if instance.host is None or instance.vm_state not in _FROM:
        return op
    return guest.bring_to(instance, _POWER.get(instance.vm_state, PowerState.SHUTDOWN))


def stop_restored(op: SoftDelete, context: StepContext) -> OnHost | SoftDelete:
    """The undo of a restore. A server without a host has no guest to stop."""
    instance = context.instance(op.instance_id)
    return op if instance.host is None else guest.power_off(instance)


def start_guest(op: SoftDelete, context: StepContext) -> OnHost | SoftDelete:
    """A restored server runs, whatever it did before it was deleted."""
    instance = context.instance(op.instance_id, with_user_data=True)
    return op if instance.host is None else guest.power_on(instance)


def _begin_restore(acceptance: Acceptance, op: SoftDelete) -> SoftDelete:
    """Earlier releases deleted servers in states that are not kept. Raises ServerNotReady where nothing can come back."""
    instance = acceptance.instance
    if instance.host is None:
        if not shelved_image.is_named(instance):
            raise errors.ServerNotReady(server_id=instance.uuid)
        return msgspec.structs.replace(op, becomes=VmState.SHELVED_OFFLOADED)
    is_resized = instance.properties.resized_from is not None
    return msgspec.structs.replace(op, becomes=VmState.RESIZED if is_resized else VmState.ACTIVE)


def _deleted(connection: Connection, op: SoftDelete, instance: Instance) -> dict[str, object]:
    kept = instance.system_metadata | {SINCE: utcnow().isoformat()}
    return {"system_metadata": kept, "power_state": PowerState(op.power_state)}


def _restored(connection: Connection, op: SoftDelete, instance: Instance) -> dict[str, object]:
    is_running = op.power_state == PowerState.RUNNING
    before = shelved_image.forgotten(instance) if is_running else instance.system_metadata
    kept = {key: value for key, value in before.items() if key != SINCE}
    return {"system_metadata": kept, "power_state": PowerState(op.power_state)}


SOFT_DELETE = Operation(
    "softDelete",
    SoftDelete,
    asked_as="delete",
    steps=(Step(stop_guest, start_again, task_state="soft-deleting", answer=guest.POWER_STATE),),
    from_states=_FROM,
    succeeds_as=always(VmState.SOFT_DELETED),
    finish=_deleted,
    overtakes=True,
    beside_left=True,
)

RESTORE = Operation(
    "restore",
    SoftDelete,
    steps=(Step(start_guest, stop_restored, task_state="restoring", answer=guest.POWER_STATE),),
    from_states=frozenset({VmState.SOFT_DELETED}),
    begin=_begin_restore,
    succeeds_as=lambda op: op.becomes,
    finish=_restored,
    beside_left=True,
)
