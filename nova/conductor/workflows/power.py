"""Start and stop a server: bring its guest to a power state on the host it has."""

import msgspec
from sqlalchemy.engine import Connection

from nova.conductor.cloud import Cloud
from nova.conductor.operation import OnHost, Operation, Step, always
from nova.structs.instance import Instance, PowerState, VmState
from nova.structs.steps import GuestArguments, PowerResult, StopArguments


class Power(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    instance_id: str
    power_state: int = 0


def power_on(op: Power, cloud: Cloud) -> OnHost:
    instance = cloud.instance(op.instance_id, with_user_data=True)
    return OnHost(instance.host, "power_on", GuestArguments(instance=instance))


def power_off(op: Power, cloud: Cloud) -> OnHost:
    instance = cloud.instance(op.instance_id)
    return OnHost(instance.host, "power_off", StopArguments(instance=instance))


def keep_power_state(op: Power, result: PowerResult) -> Power:
    return msgspec.structs.replace(op, power_state=result.power_state)


def _finish(connection: Connection, op: Power, instance: Instance) -> dict[str, object]:
    return {"power_state": PowerState(op.power_state)}


# A guest whose power could not be changed is what it was: the power-state reconciler sees to the record.
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
