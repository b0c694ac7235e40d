"""Reboot a server: soft asks the guest, hard makes its definition anew and so mends one that broke."""

import msgspec
from sqlalchemy.engine import Connection

from nova.conductor.engine.operation import OnHost, Operation, Step, always
from nova.conductor.engine.step_context import StepContext
from nova.structs.guest import RebootKind
from nova.structs.instance import Instance, PowerState, VmState
from nova.structs.steps import PowerResult, RebootArguments


class Reboot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    instance_id: str
    kind: RebootKind = RebootKind.SOFT
    power_state: int = 0


def reboot_guest(op: Reboot, context: StepContext) -> OnHost:
    instance = context.instance(op.instance_id, with_user_data=True)
    return OnHost(instance.host, "reboot", RebootArguments(instance=instance, kind=op.kind))


def keep_power_state(op: Reboot, result: PowerResult) -> Reboot:
    return msgspec.structs.replace(op, power_state=result.power_state)


def _finish(connection: Connection, op: Reboot, instance: Instance) -> dict[str, object]:
    return {"power_state": PowerState(op.power_state)}


_SOFT = frozenset({VmState.ACTIVE})
_HARD = _SOFT | {VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED, VmState.ERROR}


def allowed_from(op: Reboot) -> frozenset[VmState]:
    return _HARD if op.kind is RebootKind.HARD else _SOFT


def _task_state(op: Reboot) -> str:
    return "rebooting_hard" if op.kind is RebootKind.HARD else "rebooting"


REBOOT = Operation(
    "reboot",
    Reboot,
    steps=(Step(reboot_guest, task_state=_task_state, result=PowerResult, absorb=keep_power_state),),
    from_states=allowed_from,
    succeeds_as=always(VmState.ACTIVE),
    finish=_finish,
)
