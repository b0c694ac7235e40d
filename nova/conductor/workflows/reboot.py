"""Reboot a server: soft asks the guest, hard makes its definition anew and so mends one that broke."""

from nova.conductor.engine.operation import OnHost, Operation, Step, always
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest
from nova.conductor.workflows.guest import GuestDocument
from nova.structs.guest import RebootKind
from nova.structs.instance import VmState
from nova.structs.steps import RebootArguments


class Reboot(GuestDocument, frozen=True, kw_only=True, omit_defaults=True):
    kind: RebootKind = RebootKind.SOFT


def reboot_guest(op: Reboot, context: StepContext) -> OnHost:
    instance = context.instance(op.instance_id, with_user_data=True)
    return OnHost(guest.host_of(instance), "reboot", RebootArguments(instance=instance, kind=op.kind))


_SOFT = frozenset({VmState.ACTIVE})
_HARD = _SOFT | {VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED, VmState.ERROR}


def allowed_from(op: Reboot) -> frozenset[VmState]:
    """A hard reboot mends servers in states from which a soft one is refused."""
    return _HARD if op.kind is RebootKind.HARD else _SOFT


def _task_state(op: Reboot) -> str:
    return "rebooting_hard" if op.kind is RebootKind.HARD else "rebooting"


REBOOT = Operation(
    "reboot",
    Reboot,
    steps=(Step(reboot_guest, task_state=_task_state, answer=guest.POWER_STATE),),
    from_states=allowed_from,
    succeeds_as=always(VmState.ACTIVE),
    finish=guest.power_state_column,
    beside_left=True,
)
