"""Bring a server's guest to a power state on the host it has: start and stop it, pause it, suspend it, and back.

A guest whose state could not be changed is what it was: the power-state reconciler sees to the record.
"""

import msgspec
from sqlalchemy.engine import Connection

from nova.conductor.engine.operation import OnHost, Operation, Step, always, on_its_host
from nova.conductor.engine.step_context import StepContext
from nova.structs.instance import Instance, PowerState, VmState
from nova.structs.steps import GuestArguments, PowerResult, ReachArguments, StopArguments


class Power(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    instance_id: str
    power_state: int = 0


def power_on(op: Power, context: StepContext) -> OnHost:
    instance = context.instance(op.instance_id, with_user_data=True)
    return OnHost(instance.host, "power_on", GuestArguments(instance=instance))


def power_off(op: Power, context: StepContext) -> OnHost:
    instance = context.instance(op.instance_id)
    return OnHost(instance.host, "power_off", StopArguments(instance=instance))


def pause_guest(op: Power, context: StepContext) -> OnHost:
    """It stands still in memory."""
    return _reach(op, context, PowerState.PAUSED)


def unpause_guest(op: Power, context: StepContext) -> OnHost:
    return _reach(op, context, PowerState.RUNNING)


def suspend_guest(op: Power, context: StepContext) -> OnHost:
    """Its memory goes to disk."""
    return _reach(op, context, PowerState.SUSPENDED)


def resume_guest(op: Power, context: StepContext) -> OnHost:
    return _reach(op, context, PowerState.RUNNING)


def _reach(op: Power, context: StepContext, target: PowerState) -> OnHost:
    instance = context.instance(op.instance_id)
    return OnHost(instance.host, "reach", ReachArguments(instance=instance, target=target))


def keep_power_state(op: Power, result: PowerResult) -> Power:
    return msgspec.structs.replace(op, power_state=result.power_state)


def _finish(connection: Connection, op: Power, instance: Instance) -> dict[str, object]:
    return {"power_state": PowerState(op.power_state)}


START = Operation(
    "start",
    Power,
    steps=(Step(power_on, task_state="powering-on", result=PowerResult, absorb=keep_power_state),),
    from_states=frozenset({VmState.STOPPED}),
    succeeds_as=always(VmState.ACTIVE),
    finish=_finish,
)

STOP = Operation(
    "stop",
    Power,
    steps=(Step(power_off, task_state="powering-off", result=PowerResult, absorb=keep_power_state),),
    from_states=frozenset({VmState.ACTIVE, VmState.RESCUED, VmState.ERROR}),
    succeeds_as=always(VmState.STOPPED),
    finish=_finish,
)

# Each undoes the other: a guest whose pause may have come too late goes on.
PAUSE = Operation(
    "pause",
    Power,
    steps=(Step(pause_guest, unpause_guest, task_state="pausing", result=PowerResult, absorb=keep_power_state),),
    from_states=frozenset({VmState.ACTIVE}),
    begin=on_its_host,
    succeeds_as=always(VmState.PAUSED),
    finish=_finish,
)

UNPAUSE = Operation(
    "unpause",
    Power,
    steps=(Step(unpause_guest, pause_guest, task_state="unpausing", result=PowerResult, absorb=keep_power_state),),
    from_states=frozenset({VmState.PAUSED}),
    begin=on_its_host,
    succeeds_as=always(VmState.ACTIVE),
    finish=_finish,
)

SUSPEND = Operation(
    "suspend",
    Power,
    steps=(Step(suspend_guest, resume_guest, task_state="suspending", result=PowerResult, absorb=keep_power_state),),
    from_states=frozenset({VmState.ACTIVE}),
    begin=on_its_host,
    succeeds_as=always(VmState.SUSPENDED),
    finish=_finish,
    bars_shares=True,
)

RESUME = Operation(
    "resume",
    Power,
    # Not undone: a guest that runs again after all is what the power-state reconciler writes down.
    steps=(Step(resume_guest, task_state="resuming", result=PowerResult, absorb=keep_power_state),),
    from_states=frozenset({VmState.SUSPENDED}),
    begin=on_its_host,
    succeeds_as=always(VmState.ACTIVE),
    finish=_finish,
)
