"""Bring a server's guest to a power state on the host it has: start and stop it, pause it, suspend it, and back.

A guest whose state could not be changed is what it was: the power-state reconciler sees to the record.
"""

from nova.conductor.engine.operation import OnHost, Operation, Step, always, on_its_host
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest
from nova.conductor.workflows.guest import GuestDocument
from nova.structs.instance import PowerState, VmState
from nova.structs.steps import ReachArguments


class Power(GuestDocument, frozen=True, kw_only=True, omit_defaults=True):
    """The guest is all there is to know."""


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
    return OnHost(guest.host_of(instance), "reach", ReachArguments(instance=instance, target=target))


START = Operation(
    "start",
    Power,
    steps=(Step(guest.start_guest, task_state="powering-on", answer=guest.POWER_STATE),),
    from_states=frozenset({VmState.STOPPED}),
    succeeds_as=always(VmState.ACTIVE),
    finish=guest.power_state_column,
    beside_left=True,
)

STOP = Operation(
    "stop",
    Power,
    steps=(Step(guest.stop_guest, task_state="powering-off", answer=guest.POWER_STATE),),
    from_states=frozenset({VmState.ACTIVE, VmState.ERROR}),
    succeeds_as=always(VmState.STOPPED),
    finish=guest.power_state_column,
    beside_left=True,
)

# Each undoes the other: a guest whose pause may have come too late goes on.
PAUSE = Operation(
    "pause",
    Power,
    steps=(Step(pause_guest, unpause_guest, task_state="pausing", answer=guest.POWER_STATE),),
    from_states=frozenset({VmState.ACTIVE}),
    begin=on_its_host,
    succeeds_as=always(VmState.PAUSED),
    finish=guest.power_state_column,
    beside_left=True,
)

UNPAUSE = Operation(
    "unpause",
    Power,
    steps=(Step(unpause_guest, pause_guest, task_state="unpausing", answer=guest.POWER_STATE),),
    from_states=frozenset({VmState.PAUSED}),
    begin=on_its_host,
    succeeds_as=always(VmState.ACTIVE),
    finish=guest.power_state_column,
    beside_left=True,
)

SUSPEND = Operation(
    "suspend",
    Power,
    steps=(Step(suspend_guest, resume_guest, task_state="suspending", answer=guest.POWER_STATE),),
    from_states=frozenset({VmState.ACTIVE}),
    begin=on_its_host,
    succeeds_as=always(VmState.SUSPENDED),
    finish=guest.power_state_column,
    bars_shares=True,
    beside_left=True,
)

RESUME = Operation(
    "resume",
    Power,
    # Not undone: a guest that runs again after all is what the power-state reconciler writes down.
    steps=(Step(resume_guest, task_state="resuming", answer=guest.POWER_STATE),),
    from_states=frozenset({VmState.SUSPENDED}),
    begin=on_its_host,
    succeeds_as=always(VmState.ACTIVE),
    finish=guest.power_state_column,
    beside_left=True,
)
