"""Reboot a server: soft asks the guest, hard makes its definition anew and so mends one that broke."""

import msgspec
from sqlalchemy.engine import Connection

from nova.conductor.engine.operation import OnHost, Operation, Step, always
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest, volumes
from nova.conductor.workflows.guest import GuestDocument
from nova.db import instances
from nova.structs.guest import RebootKind
from nova.structs.instance import BlockDevice, VmState
from nova.structs.steps import RebootArguments


class Reboot(GuestDocument, frozen=True, kw_only=True, omit_defaults=True):
    """devices: as they are with volumes that had to be opened again."""

    kind: RebootKind = RebootKind.SOFT
    devices: tuple[BlockDevice, ...] | None = None


def open_volumes(op: Reboot, context: StepContext) -> Reboot:
    """Volumes that are only kept for the server are opened to its host."""
    return msgspec.structs.replace(op, devices=volumes.reopened(context, context.instance(op.instance_id)))


def write_volumes(connection: Connection, op: Reboot) -> None:
    """The record says how the host reaches them, whatever becomes of the guest."""
    if op.devices is not None:
        instances.change(connection, op.instance_id, block_devices=op.devices)


def is_hard(op: Reboot) -> bool:
    return op.kind is RebootKind.HARD


def reboot_guest(op: Reboot, context: StepContext) -> OnHost:
    instance = context.instance(op.instance_id, with_user_data=True)
    return OnHost(guest.host_of(instance), "reboot", RebootArguments(instance=instance, kind=op.kind))


_SOFT = frozenset({VmState.ACTIVE})
_HARD = _SOFT | {VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED, VmState.ERROR}


def allowed_from(op: Reboot) -> frozenset[VmState]:
    """A hard reboot mends servers in states from which a soft one is refused."""
    return _HARD if is_hard(op) else _SOFT


def _task_state(op: Reboot) -> str:
    return "rebooting_hard" if is_hard(op) else "rebooting"


REBOOT = Operation(
    "reboot",
    Reboot,
    steps=(
        Step(open_volumes, task_state=_task_state, commit=(write_volumes,), applies=is_hard),
        Step(reboot_guest, task_state=_task_state, answer=guest.POWER_STATE),
    ),
    indexed=(reboot_guest.__name__,) * 2,
    from_states=allowed_from,
    succeeds_as=always(VmState.ACTIVE),
    finish=guest.power_state_column,
    beside_left=True,
)
