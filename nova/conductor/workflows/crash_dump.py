"""Have a guest dump its memory: an interrupt that its kernel answers as it is configured to."""

import msgspec

from nova.conductor.engine.operation import OnHost, Operation, Step, on_its_host, unchanged
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest
from nova.structs.instance import VmState
from nova.structs.steps import GuestArguments


class CrashDump(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    instance_id: str


def interrupt_guest(op: CrashDump, context: StepContext) -> OnHost:
    """The host answers once the guest is interrupted; what it dumps, and where, nobody waits for."""
    instance = context.instance(op.instance_id)
    return OnHost(guest.host_of(instance), "crash_dump", GuestArguments(instance=instance))


CRASH_DUMP = Operation(
    "trigger_crash_dump",
    CrashDump,
    # An interrupt cannot be taken back.
    steps=(Step(interrupt_guest),),
    from_states=frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.RESCUED, VmState.RESIZED, VmState.ERROR}),
    begin=on_its_host,
    succeeds_as=unchanged,
    beside_left=True,
)
