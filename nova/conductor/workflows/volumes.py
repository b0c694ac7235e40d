"""A server's volumes while the server is built, moved and taken away: their attachments follow it.

An attachment joins one volume, one server and one host. A server that moves has two for a while:
the destination's is made before it goes, the source's is removed once it is there.
"""

import logging
from typing import Any

import msgspec

from nova import errors
from nova.clients.volume import VolumeNotReady
from nova.conductor.engine.operation import Step
from nova.conductor.engine.step_context import StepContext
from nova.structs.context import Context
from nova.structs.instance import BlockDevice, Instance

LOG = logging.getLogger(__name__)


def owner(context: Context) -> str | None:
    """Whose a volume must be that this caller gives to a server; None: an administrator may give it anybody's."""
    return None if context.is_admin else context.project_id or None


def of(instance: Instance) -> tuple[BlockDevice, ...]:
    """The block devices that are volumes."""
    return tuple(device for device in instance.block_devices if device.destination == "volume" and device.volume_id)


def connected(
    context: StepContext,
    instance: Instance,
    host: str,
    leave: frozenset[str] = frozenset(),
    project_id: str | None = None,
) -> tuple[BlockDevice, ...]:
    """The server's block devices with its volumes open to host.

    leave: attachments that are another host's. project_id: whose the volumes must be that the server has not had before.
    """
    devices = []
    connector = context.connector(host) if of(instance) else {}
    for device in instance.block_devices:
        if device.destination == "volume" and device.volume_id:
            attachment, info = context.volumes.connect_beside(
                instance.uuid, device.volume_id, leave, connector, device.device_name, project_id
            )
            device = msgspec.structs.replace(device, attachment_id=attachment, connection_info=info)
        devices.append(device)
    return tuple(devices)


def connect_destination(op: Any, context: StepContext) -> Any:
    """Open the server's volumes to the host it goes to."""
    instance = context.instance(op.instance_id)
    if not of(instance):
        return op
    return msgspec.structs.replace(op, devices=connected(context, instance, op.host, _attachments(instance)))


def disconnect_destination(op: Any, context: StepContext) -> Any:
    """The undo of connect_destination(): attachments that the server's record names stay, those of the source."""
    _release_others(op, context, _attachments(context.instance(op.instance_id)))
    return msgspec.structs.replace(op, devices=None)


def disconnect_source(op: Any, context: StepContext) -> Any:
    """The host the server has left has its volumes no more."""
    if op.devices is not None:
        complete(op.devices, context)
        _release_others(op, context, frozenset(device.attachment_id for device in op.devices if device.attachment_id))
    return op


def reconnect_source(op: Any, context: StepContext) -> Any:
    """A resize is reverted: the server's volumes are opened to its old host, and closed to the new one."""
    instance = context.instance(op.instance_id)
    if not of(instance):
        return op
    devices = connected(context, instance, op.old.host, _attachments(instance))
    back = msgspec.structs.replace(op, devices=devices)
    return disconnect_source(back, context)


def complete(devices: tuple[BlockDevice, ...] | None, context: StepContext) -> None:
    """Tell the Block Storage service that the guest has its volumes."""
    for device in devices or ():
        if device.attachment_id:
            context.volumes.complete(device.attachment_id)


def unattached(instance: Instance) -> tuple[BlockDevice, ...]:
    """The server's block devices as they are on no host."""
    return tuple(
        msgspec.structs.replace(device, attachment_id=None, connection_info=None) for device in instance.block_devices
    )


def reopened(context: StepContext, instance: Instance) -> tuple[BlockDevice, ...] | None:
    """The server's block devices with those volumes open to its host that are only kept for it; None: all are open.

    A rebuild whose image was refused has left one so.
    """
    host = instance.host
    closed = {device.id for device in of(instance) if device.attachment_id and device.connection_info is None}
    if not closed or host is None:
        return None
    connector, devices = context.connector(host), []
    for device in instance.block_devices:
        if device.id in closed:
            status = context.volumes.get(str(device.volume_id)).status
            if status == "downloading":
                # The Block Storage service writes an image over it still.
                raise VolumeNotReady(volume_id=device.volume_id, status=status)
            info = context.volumes.connect(str(device.attachment_id), connector, device.device_name)
            context.volumes.complete(str(device.attachment_id))
            device = msgspec.structs.replace(device, connection_info=info)
        devices.append(device)
    return tuple(devices)


def release_all(context: StepContext, instance: Instance, and_delete: bool = False, had_others: bool = False) -> None:
    """The server has its volumes no more; and_delete: those that go with it are deleted; had_others: it may have
    attachments of volumes that its record does not name any more."""
    owned = of(instance)
    if not owned and not had_others:
        return
    ours = {device.volume_id for device in owned}
    for attachment in context.volumes.attachments(instance.uuid):
        if had_others or attachment["volume_id"] in ours:
            context.volumes.release(attachment["id"])
    for device in owned:
        if and_delete and device.delete_on_termination:
            _delete(context, instance, str(device.volume_id))


def _delete(context: StepContext, instance: Instance, volume_id: str) -> None:
    """A volume that was given away since the server was asked for is its new owner's, whatever the record says."""
    try:
        if context.volumes.get(volume_id).project_id not in (None, instance.project_id):
            LOG.warning("volume %s is not deleted with server %s: it is another project's", volume_id, instance.uuid)
            return
        context.volumes.delete(volume_id)
    except errors.NotFound:
        return
    except errors.Invalid as error:
        # Snapshots of it, an image's for example, need it still: it is free, and its owner may delete it later.
        LOG.warning("volume %s is not deleted with server %s: %s", volume_id, instance.uuid, error)


def _release_others(op: Any, context: StepContext, keep: frozenset[str]) -> None:
    """Remove the attachments of the server's volumes but these; others may have been made unheard of."""
    instance = context.instance(op.instance_id)
    ours = {device.volume_id for device in of(instance)}
    if not ours:
        return
    for attachment in context.volumes.attachments(instance.uuid):
        if attachment["volume_id"] in ours and attachment["id"] not in keep:
            context.volumes.release(attachment["id"])


def _attachments(instance: Instance) -> frozenset[str]:
    return frozenset(device.attachment_id for device in instance.block_devices if device.attachment_id)


def moved_steps(task_state: str) -> tuple[Step[Any], ...]:
    """The step of a move that opens volumes to its destination; disconnect_source ends it."""
    return (Step(connect_destination, disconnect_destination, task_state=task_state, retries=60),)
