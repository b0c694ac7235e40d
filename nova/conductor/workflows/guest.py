"""What workflows ask of a guest on its host, and what they keep of the answer."""

from typing import Any, TypeVar

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.engine.operation import HostAnswer, OnHost
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import shelved_image
from nova.structs.instance import Instance, PowerState
from nova.structs.steps import (
    BringToArguments,
    DestroyArguments,
    GuestArguments,
    PowerResult,
    SpawnArguments,
    StopArguments,
)


class GuestDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """power_state: the guest's, as its host reported it last."""

    instance_id: str
    power_state: int = 0


D = TypeVar("D", bound=GuestDocument)


def keep_power_state(op: D, result: PowerResult) -> D:
    """For a document whose finish writes the state into the server's record."""
    return msgspec.structs.replace(op, power_state=result.power_state)


def forget_password(op: D, result: PowerResult) -> D:
    """For a document that carries the administrator's password."""
    return msgspec.structs.replace(op, power_state=result.power_state, password=None)


POWER_STATE: HostAnswer[Any] = HostAnswer(PowerResult, keep_power_state)
# The host has the password: it need not lie in the operation's row any longer.
POWER_STATE_AND_NO_PASSWORD: HostAnswer[Any] = HostAnswer(PowerResult, forget_password)


def power_state_column(connection: Connection, op: GuestDocument, instance: Instance) -> dict[str, object]:
    """The finish of an operation that changed the guest's power state alone.

    A guest that runs has its disk: an image of it that the record names from a shelve is not the newest any more.
    """
    columns: dict[str, object] = {"power_state": PowerState(op.power_state)}
    if op.power_state == PowerState.RUNNING and shelved_image.is_named(instance):
        columns["system_metadata"] = shelved_image.forgotten(instance)
    return columns


def host_of(instance: Instance) -> str:
    """The host that a server's guest is on. Raises ServerNotReady."""
    if instance.host is None:
        raise errors.ServerNotReady(server_id=instance.uuid)
    return instance.host


# Orders. host: where the guest is, unless that is what its server's record says.


def spawn(
    instance: Instance,
    host: str | None = None,
    personality: dict[str, str] | None = None,
    password: str | None = None,
) -> OnHost:
    """personality: files by path, in base64. password: the administrator's. Neither is kept for later."""
    arguments = SpawnArguments(instance=instance, personality=personality or {}, password=password)
    return OnHost(host or host_of(instance), "spawn", arguments)


def destroy(
    instance: Instance,
    host: str | None = None,
    skip_if_down: bool = False,
    keep_disks: bool = False,
    generation: int | None = None,
    waits_if_silent: bool = False,
) -> OnHost:
    """generation: of the disks that go; None: all go. waits_if_silent: what the guest holds is given away next."""
    arguments = DestroyArguments(instance=instance, keep_disks=keep_disks, generation=generation)
    return OnHost(host or host_of(instance), "destroy", arguments, None, skip_if_down, waits_if_silent)


def power_on(instance: Instance, host: str | None = None) -> OnHost:
    """The instance must have its user data: the host may have to define the guest anew."""
    return OnHost(host or host_of(instance), "power_on", GuestArguments(instance=instance))


def power_off(instance: Instance, host: str | None = None) -> OnHost:
    """Asks the guest first, for as long as the server's image and the host's configuration say."""
    return OnHost(host or host_of(instance), "power_off", StopArguments(instance=instance))


def bring_to(instance: Instance, target: PowerState, host: str | None = None) -> OnHost:
    """Reach a power state from wherever the guest is."""
    return OnHost(host or host_of(instance), "bring_to", BringToArguments(instance=instance, target=target))


# Steps that are the same wherever they stand.


def start_guest(op: D, context: StepContext) -> OnHost:
    return power_on(context.instance(op.instance_id, with_user_data=True))


def stop_guest(op: D, context: StepContext) -> OnHost:
    return power_off(context.instance(op.instance_id))
