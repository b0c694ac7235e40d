"""Change a password inside a running guest, through its agent.

The password lies in the operation's row only until the host has it, or could not use it.
"""

import msgspec

from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step, on_its_host, unchanged
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest
from nova.conductor.workflows.abilities import need
from nova.structs.instance import VmState
from nova.structs.steps import PasswordArguments


class ChangePassword(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    instance_id: str
    password: str = ""


def set_password(op: ChangePassword, context: StepContext) -> OnHost:
    instance = context.instance(op.instance_id)
    return OnHost(guest.host_of(instance), "set_password", PasswordArguments(instance=instance, password=op.password))


def _begin(acceptance: Acceptance, op: ChangePassword) -> ChangePassword:
    need(acceptance, "GuestAgent", "change passwords")
    return on_its_host(acceptance, op)


CHANGE_PASSWORD = Operation(
    "changePassword",
    ChangePassword,
    # What the guest was told cannot be taken back: the old password is not known.
    steps=(Step(set_password, task_state="updating_password"),),
    from_states=frozenset({VmState.ACTIVE}),
    begin=_begin,
    succeeds_as=unchanged,
    secrets=("password",),
    beside_left=True,
)
