"""Pause and unpause a server: its guest stands still in memory, and goes on."""

import msgspec
from sqlalchemy.engine import Connection

from nova.conductor.cloud import Cloud
from nova.conductor.operation import OnHost, Operation, Step, always, on_its_host
from nova.structs.instance import Instance, PowerState, VmState
from nova.structs.steps import PowerResult, ReachArguments


class Pause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    instance_id: str
    power_state: int = 0


def pause_guest(op: Pause, cloud: Cloud) -> OnHost:
    return _reach(op, cloud, PowerState.PAUSED)


def unpause_guest(op: Pause, cloud: Cloud) -> OnHost:
    return _reach(op, cloud, PowerState.RUNNING)


def _reach(op: Pause, cloud: Cloud, target: PowerState) -> OnHost:
    instance = cloud.instance(op.instance_id)
    return OnHost(instance.host, "reach", ReachArguments(instance=instance, target=target))


def keep_power_state(op: Pause, result: PowerResult) -> Pause:
    return msgspec.structs.replace(op, power_state=result.power_state)


def _finish(connection: Connection, op: Pause, instance: Instance) -> dict[str, object]:
    return {"power_state": PowerState(op.power_state)}


# Each undoes the other: a guest whose pause may have come too late goes on.
PAUSE = Operation(
    "pause",
    Pause,
    steps=(Step(pause_guest, unpause_guest, task_state="pausing", result=PowerResult, absorb=keep_power_state),),
    from_states=frozenset({VmState.ACTIVE}),
    begin=on_its_host,
    succeeds_as=always(VmState.PAUSED),
    finish=_finish,
)

UNPAUSE = Operation(
    "unpause",
    Pause,
    steps=(Step(unpause_guest, pause_guest, task_state="unpausing", result=PowerResult, absorb=keep_power_state),),
    from_states=frozenset({VmState.PAUSED}),
    begin=on_its_host,
    succeeds_as=always(VmState.ACTIVE),
    finish=_finish,
)
