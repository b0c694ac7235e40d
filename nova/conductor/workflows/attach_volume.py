"""Attach a volume to a server, detach it, and put another one in its place while the guest runs.

The device stands in the server's record from acceptance on, so that nobody attaches a second one in
its place; a failure takes it out again. A server without a host has the volume all the same; it is opened when the server
gets a host.
"""

import string

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step, unchanged
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import volumes
from nova.db import instances, operations
from nova.structs.instance import BlockDevice, Instance, VmState
from nova.structs.steps import SwapArguments, VolumeArguments


class AttachVolume(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """device: as asked for; its device_name is chosen at acceptance where it has none. project_id: whose the volume was
    when its user asked, None for an administrator: it may be given to others meanwhile."""

    instance_id: str
    device: BlockDevice
    project_id: str | None = None


def reserve_volume(op: AttachVolume, context: StepContext) -> AttachVolume:
    """The reservation of an earlier try is used again."""
    attachment = context.volumes.reserve(op.instance_id, _volume(op.device), project_id=op.project_id)
    return _with(op, attachment_id=attachment)


def release_volume(op: AttachVolume, context: StepContext) -> AttachVolume:
    """All attachments of the volume to this server go, whichever try made them."""
    # A reservation that timed out may have been made: they are asked for by server and volume.
    for attachment in context.volumes.attachments(op.instance_id, _volume(op.device)):
        context.volumes.release(attachment["id"])
    return op


def open_to_host(op: AttachVolume, context: StepContext) -> AttachVolume:
    """A volume of a server without a host is opened when the server gets one."""
    host = context.instance(op.instance_id).host
    if host is None:
        return op
    attachment, connector = str(op.device.attachment_id), context.connector(host)
    return _with(op, connection_info=context.volumes.connect(attachment, connector, op.device.device_name))


def plug_in(op: AttachVolume, context: StepContext) -> OnHost | AttachVolume:
    return _on_host(op, context, "attach_volume")


def unplug(op: AttachVolume, context: StepContext) -> OnHost | AttachVolume:
    """A guest on a silent host may hold the volume: it is not closed before the host says so, or is known to be dead."""
    return _on_host(op, context, "detach_volume", is_undo=True)


def complete(op: AttachVolume, context: StepContext) -> AttachVolume:
    """The volume's status becomes in-use, on a host or on none."""
    context.volumes.complete(str(op.device.attachment_id))
    return op


def _on_host(op: AttachVolume, context: StepContext, verb: str, is_undo: bool = False) -> OnHost | AttachVolume:
    instance = context.instance(op.instance_id)
    if instance.host is None:
        return op
    arguments = VolumeArguments(instance=instance, device=op.device)
    return OnHost(instance.host, verb, arguments, skip_if_down=is_undo, waits_if_silent=is_undo)


def _with(op: AttachVolume, **changes: object) -> AttachVolume:
    return msgspec.structs.replace(op, device=msgspec.structs.replace(op.device, **changes))


def _volume(device: BlockDevice) -> str:
    return str(device.volume_id)


def _begin_attach(acceptance: Acceptance, op: AttachVolume) -> AttachVolume:
    """Raises Invalid for a volume or a device the server has already."""
    instance = acceptance.instance
    if any(device.volume_id == op.device.volume_id for device in instance.block_devices):
        raise errors.Invalid(f"Volume {op.device.volume_id} is already attached.")
    check_room(instance)
    if op.device.device_name is None:
        op = _with(op, device_name=free_name(instance))
    elif any(device.device_name == op.device.device_name for device in instance.block_devices):
        raise errors.Invalid(f"The device {op.device.device_name} is already in use.")
    instances.change(acceptance.connection, instance.uuid, block_devices=(*instance.block_devices, op.device))
    return msgspec.structs.replace(op, project_id=volumes.owner(acceptance.context))


def free_name(instance: Instance, taken: tuple[str, ...] = ()) -> str:
    """The next device name nobody has; the first few are those of the server's own disks. Raises TooManyDisks."""
    own = _own_disks(instance)
    used = {device.device_name for device in instance.block_devices} | set(taken)
    prefix = (instance.properties.root_device_name or "/dev/vda")[:-1]
    names = [f"{prefix}{letter}" for letter in string.ascii_lowercase]
    free = next((name for name in names[own:] if name not in used), None)
    if free is None:
        raise TooManyDisks(most=_MOST_DISKS)
    return free


def check_room(instance: Instance, more: int = 1) -> None:
    """Whether a server can have so many more disks, however they are named. Raises TooManyDisks."""
    if _own_disks(instance) + len(instance.block_devices) + more > _MOST_DISKS:
        raise TooManyDisks(most=_MOST_DISKS)


def _own_disks(instance: Instance) -> int:
    flavor = instance.flavor
    return (instance.image_id is not None) + bool(flavor.ephemeral_gb) + bool(flavor.swap_mb)


# Letters of device names.
_MOST_DISKS = len(string.ascii_lowercase)


class TooManyDisks(errors.Forbidden):
    text = "The maximum allowed number of disk devices ({most}) to attach to a single instance has been exceeded."


def _attached(connection: Connection, op: AttachVolume, instance: Instance) -> dict[str, object]:
    return {"block_devices": _replaced(instance, op.device.id, op.device)}


def _not_attached(connection: Connection, op: AttachVolume, instance: Instance) -> dict[str, object]:
    return {"block_devices": _replaced(instance, op.device.id)}


def _replaced(instance: Instance, device_id: str, *by: BlockDevice) -> tuple[BlockDevice, ...]:
    kept = [device for device in instance.block_devices if device.id != device_id]
    return (*kept, *by)


def _tells(op: AttachVolume) -> dict[str, object]:
    return {"volume_id": op.device.volume_id}


class DetachVolume(AttachVolume, frozen=True, kw_only=True, omit_defaults=True):
    device: BlockDevice = BlockDevice(id="", source="volume", destination="volume")
    volume_id: str = ""


def mark_detaching(op: DetachVolume, context: StepContext) -> DetachVolume:
    """Raises VolumeNotReady while something else is being done with the volume."""
    # A volume that a server had when it was offloaded is only reserved, and in use nowhere.
    if context.instance(op.instance_id).host is not None:
        context.volumes.begin_detaching(op.volume_id)
    return op


def mark_attached(op: DetachVolume, context: StepContext) -> DetachVolume:
    """The undo of mark_detaching(): the volume is in use again."""
    context.volumes.roll_detaching(op.volume_id)
    return op


def unplug_volume(op: DetachVolume, context: StepContext) -> OnHost | AttachVolume:
    """Not without the host, where there is one: its guest may be writing to the volume."""
    return _on_host(op, context, "detach_volume")


def plug_again(op: DetachVolume, context: StepContext) -> OnHost | AttachVolume:
    return _on_host(op, context, "attach_volume")


def close(op: DetachVolume, context: StepContext) -> DetachVolume:
    """The server has the volume no more; fine when it was only in the record."""
    if op.device.attachment_id:
        context.volumes.release(op.device.attachment_id)
    return op


def find(instance: Instance, volume_id: str) -> BlockDevice:
    """The device of an attached volume. Raises VolumeNotAttached."""
    for device in instance.block_devices:
        if device.volume_id == volume_id:
            return device
    raise errors.VolumeNotAttached(volume_id=volume_id)


def _begin_detach(acceptance: Acceptance, op: DetachVolume) -> DetachVolume:
    """Raises VolumeNotAttached, Forbidden for the disk that the server boots from, Invalid when it is being detached.

    Nothing is put in the place of the disk that a server boots from.
    """
    device = find(acceptance.instance, op.volume_id)
    for text in operations.open_documents(acceptance.connection, op.instance_id, DETACH_VOLUME.name):
        if msgspec.json.decode(text, type=DetachVolume).volume_id == op.volume_id:
            raise errors.Invalid(f"Volume {op.volume_id} is being detached.")
    if device.boot_index == 0:
        raise errors.Forbidden("Cannot detach a root device volume")
    return msgspec.structs.replace(op, device=device)


class SwapVolume(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """old: the device that is replaced. new: what takes its place, under the same name. project_id: as of AttachVolume."""

    instance_id: str
    volume_id: str
    new_volume_id: str
    old: BlockDevice | None = None
    new: BlockDevice | None = None
    project_id: str | None = None


def open_new(op: SwapVolume, context: StepContext) -> SwapVolume:
    """Reserve the new volume and open it to the server's host."""
    assert op.new is not None
    host = str(context.instance(op.instance_id).host)
    attachment = context.volumes.reserve(op.instance_id, op.new_volume_id, project_id=op.project_id)
    info = context.volumes.connect(attachment, context.connector(host), op.new.device_name)
    return msgspec.structs.replace(
        op, new=msgspec.structs.replace(op.new, attachment_id=attachment, connection_info=info)
    )


def close_new(op: SwapVolume, context: StepContext) -> SwapVolume:
    """Also an attachment that a try made which timed out."""
    for attachment in context.volumes.attachments(op.instance_id, op.new_volume_id):
        context.volumes.release(attachment["id"])
    return op


def swap(op: SwapVolume, context: StepContext) -> OnHost:
    """The host copies the volume's content while the guest runs, for hours if need be."""
    assert op.old is not None and op.new is not None
    instance = context.instance(op.instance_id)
    arguments = SwapArguments(instance=instance, old=op.old, new=op.new)
    return OnHost(str(instance.host), "swap_volume", arguments)


def swap_back(op: SwapVolume, context: StepContext) -> OnHost:
    """The old volume gets the content the guest has now, and is the guest's again.

    A guest on a silent host may write to either: both stay its own until the host answers.
    """
    assert op.old is not None and op.new is not None
    instance = context.instance(op.instance_id)
    arguments = SwapArguments(instance=instance, old=op.new, new=op.old)
    return OnHost(str(instance.host), "swap_volume", arguments, skip_if_down=True, waits_if_silent=True)


def close_old(op: SwapVolume, context: StepContext) -> SwapVolume:
    """The new volume's status becomes in-use; the old one is free."""
    assert op.old is not None and op.new is not None
    context.volumes.complete(str(op.new.attachment_id))
    if op.old.attachment_id:
        context.volumes.release(op.old.attachment_id)
    return op


def _begin_swap(acceptance: Acceptance, op: SwapVolume) -> SwapVolume:
    old = find(acceptance.instance, op.volume_id)
    if any(device.volume_id == op.new_volume_id for device in acceptance.instance.block_devices):
        raise errors.Invalid(f"Volume {op.new_volume_id} is already attached.")
    new = msgspec.structs.replace(old, volume_id=op.new_volume_id, attachment_id=None, connection_info=None)
    return msgspec.structs.replace(op, old=old, new=new, project_id=volumes.owner(acceptance.context))


def _swapped(connection: Connection, op: SwapVolume, instance: Instance) -> dict[str, object]:
    assert op.old is not None and op.new is not None
    return {"block_devices": tuple(op.new if device.id == op.old.id else device for device in instance.block_devices)}


_FROM = frozenset(
    {
        VmState.ACTIVE,
        VmState.PAUSED,
        VmState.STOPPED,
        VmState.RESIZED,
        VmState.SOFT_DELETED,
        VmState.SHELVED,
        VmState.SHELVED_OFFLOADED,
    }
)

ATTACH_VOLUME = Operation(
    "attach_volume",
    AttachVolume,
    steps=(
        Step(reserve_volume, release_volume, retries=20),
        # Closed again with the reservation, by the step above.
        Step(open_to_host),
        Step(plug_in, unplug),
        Step(complete, retries=20),
    ),
    from_states=_FROM,
    begin=_begin_attach,
    succeeds_as=unchanged,
    finish=_attached,
    fail=_not_attached,
    keeps=complete,
    tells=_tells,
    takes_turns=True,
)

DETACH_VOLUME = Operation(
    "detach_volume",
    DetachVolume,
    steps=(
        Step(mark_detaching, mark_attached),
        Step(unplug_volume, plug_again),
        Step(close, retries=20, can_wait=True),
    ),
    from_states=_FROM,
    begin=_begin_detach,
    succeeds_as=unchanged,
    # A volume that is closed is free for others. Detaching one that could not be closed may be asked for again.
    no_return_after=unplug_volume,
    abandons_as=None,
    finishes_later=True,
    finish=_not_attached,
    tells=_tells,
    takes_turns=True,
)

SWAP_VOLUME = Operation(
    "swap_volume",
    SwapVolume,
    steps=(
        Step(open_new, close_new, retries=20),
        Step(swap, swap_back, timeout_s=24 * 3600.0),
        Step(close_old, retries=20, can_wait=True),
    ),
    from_states=frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.RESIZED}),
    begin=_begin_swap,
    succeeds_as=unchanged,
    # The guest writes to the new volume.
    no_return_after=swap,
    abandons_as=None,
    finishes_later=True,
    finish=_swapped,
    abandon=_swapped,
    tells=lambda op: {"volume_id": op.volume_id, "new_volume_id": op.new_volume_id},
    deadline_s=25 * 3600.0,
)
