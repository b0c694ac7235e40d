"""Rescue a server, and end that: its guest runs from a rescue disk, its own disks behind it.

The password lies in the operation's row only until the host has it.
"""

import msgspec

from nova import errors
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step, always, on_its_host
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest
from nova.conductor.workflows.abilities import need
from nova.conductor.workflows.guest import GuestDocument
from nova.db import operations
from nova.structs.image import Image
from nova.structs.instance import VmState
from nova.structs.steps import RescueArguments, UnrescueArguments

# What gives a server a guest without a rescue disk.
_TAKE_RESCUE_DISK_AWAY = ("unrescue", "rebuild", "evacuate", "resize", "migrate", "unshelve")


class Rescue(GuestDocument, frozen=True, kw_only=True, omit_defaults=True):
    """image: what the rescue disk is made of. was_running: whether the guest runs again after a failure."""

    image: Image | None = None
    password: str | None = None
    was_running: bool = True


def rescue_guest(op: Rescue, context: StepContext) -> OnHost:
    """The rescue disk is made of the image asked for, or of the server's own."""
    instance = context.instance(op.instance_id, with_user_data=True)
    arguments = RescueArguments(instance=instance, image=op.image or instance.image, password=op.password or "")
    return OnHost(guest.host_of(instance), "rescue", arguments)


def unrescue_guest(op: Rescue, context: StepContext) -> OnHost:
    """As the undo of a rescue it leaves a guest off that was off before."""
    instance = context.instance(op.instance_id, with_user_data=True)
    return OnHost(guest.host_of(instance), "unrescue", UnrescueArguments(instance=instance, is_running=op.was_running))


def _begin_unrescue(acceptance: Acceptance, op: Rescue) -> Rescue:
    """Also of a server that was stopped, or deleted and restored, on its rescue disk. Raises WrongServerState for others."""
    instance = acceptance.instance
    if instance.vm_state is not VmState.RESCUED:
        done = operations.newest_done(acceptance.connection, instance.uuid, (RESCUE.name, *_TAKE_RESCUE_DISK_AWAY))
        if done != RESCUE.name:
            raise errors.WrongServerState(
                action="unrescue", server_id=instance.uuid, attribute="vm_state", state=str(instance.vm_state)
            )
    return _begin(acceptance, op)


def _begin(acceptance: Acceptance, op: Rescue) -> Rescue:
    need(acceptance, "Rescue", "be rescued")
    on_its_host(acceptance, op)
    is_running = acceptance.instance.vm_state in (VmState.ACTIVE, VmState.RESCUED)
    return msgspec.structs.replace(op, was_running=is_running)


RESCUE = Operation(
    "rescue",
    Rescue,
    steps=(Step(rescue_guest, unrescue_guest, task_state="rescuing", answer=guest.POWER_STATE_AND_NO_PASSWORD),),
    from_states=frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR}),
    begin=_begin,
    succeeds_as=always(VmState.RESCUED),
    finish=guest.power_state_column,
    tells=lambda op: {"image_id": op.image.id if op.image else None},
    secrets=("password",),
    beside_left=True,
)

UNRESCUE = Operation(
    "unrescue",
    Rescue,
    # Not undone: rescuing again would need the rescue image; the server stays what it was and may be asked again.
    steps=(Step(unrescue_guest, task_state="unrescuing", answer=guest.POWER_STATE_AND_NO_PASSWORD),),
    from_states=frozenset({VmState.RESCUED, VmState.ACTIVE, VmState.STOPPED}),
    begin=_begin_unrescue,
    succeeds_as=lambda op: VmState.ACTIVE if op.was_running else VmState.STOPPED,
    finish=guest.power_state_column,
    beside_left=True,
)
