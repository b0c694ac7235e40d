"""Suspend and resume a server: its guest's memory goes to disk, and comes back."""

import msgspec
from sqlalchemy.engine import Connection

from nova.conductor.cloud import Cloud
from nova.conductor.operation import OnHost, Operation, Step, always, on_its_host
from nova.structs.instance import Instance, PowerState, VmState
from nova.structs.steps import PowerResult, ReachArguments


class Suspend(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    instance_id: str
    power_state: int = 0


def suspend_guest(op: Suspend, cloud: Cloud) -> OnHost:
    return _reach(op, cloud, PowerState.SUSPENDED)


def resume_guest(op: Suspend, cloud: Cloud) -> OnHost:
    return _reach(op, cloud, PowerState.RUNNING)


def _reach(op: Suspend, cloud: Cloud, target: PowerState) -> OnHost:
    instance = cloud.instance(op.instance_id)
    return OnHost(instance.host, "reach", ReachArguments(instance=instance, target=target))


def keep_power_state(op: Suspend, result: PowerResult) -> Suspend:
    return msgspec.structs.replace(op, power_state=result.power_state)


def _finish(connection: Connection, op: Suspend, instance: Instance) -> dict[str, object]:
    return {"power_state": PowerState(op.power_state)}


SUSPEND = Operation(
    "suspend",
    Suspend,
    steps=(Step(suspend_guest, resume_guest, task_state="suspending", result=PowerResult, absorb=keep_power_state),),
    from_states=frozenset({VmState.ACTIVE}),
    begin=on_its_host,
    succeeds_as=always(VmState.SUSPENDED),
    finish=_finish,
    bars_shares=True,
)

RESUME = Operation(
    "resume",
    Suspend,
    # Not undone: a guest that runs again after all is what the power-state reconciler writes down.
    steps=(Step(resume_guest, task_state="resuming", result=PowerResult, absorb=keep_power_state),),
    from_states=frozenset({VmState.SUSPENDED}),
    begin=on_its_host,
    succeeds_as=always(VmState.ACTIVE),
    finish=_finish,
    bars_shares=True,
)
