"""Rebuild a server: a new root disk on the same host, everything else it has stays.

Until the host is known to take the new image nothing has changed. From then on the old disk is
given up: a rebuild that fails leaves the server in ERROR, from where it may be rebuilt again.
"""

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clients.volume import VolumeNotReady
from nova.clock import utcnow
from nova.conductor.acceptance import image_fit, image_properties
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step, on_its_host
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest, shelved_image
from nova.conductor.workflows.guest import GuestDocument
from nova.db import hosts, instances, keypairs
from nova.structs.image import Image
from nova.structs.instance import BlockDevice, Instance, KeypairRef, PowerState, VmState
from nova.structs.schedule import PlacementRequest


class Rebuild(GuestDocument, frozen=True, kw_only=True, omit_defaults=True):
    """columns and properties: what of the server's record the request changes, by field.

    key_name: a key pair of the caller's, "" for none, None for the one there is. reimages: the
    content of the root volume is replaced, and root is that volume's device as it is then. password: the administrator's, for the new guest.
    """

    image: Image | None = None
    columns: dict[str, object] = {}
    properties: dict[str, object] = {}
    key_name: str | None = None
    keypair: KeypairRef | None = None
    personality: dict[str, str] = {}
    password: str | None = None
    reimages: bool = False
    was_stopped: bool = False
    root: BlockDevice | None = None


def check_host(op: Rebuild, context: StepContext) -> Rebuild:
    """Whether the server's host runs the new image, and its root volume holds it; no resources are claimed.

    Raises NoValidHost, StepFailed.
    """
    instance = context.instance(op.instance_id)
    if reimages(op):
        _check_room(op, context, _root_volume(instance))
    if op.image is not None and op.image.id != instance.image_id:
        request = PlacementRequest(
            instance_id=instance.uuid,
            project_id=instance.project_id,
            user_id=instance.user_id,
            flavor=instance.flavor,
            image=op.image,
            resources={},
            only_host=instance.host,
            only_node=instance.node,
            only_image=True,
            is_dry_run=True,
            hosts_version=context.db.read(hosts.view_version),
        )
        decision = context.scheduler.select(request)
        context.record_decision(op.instance_id, "rebuild", decision)
        if decision.host is None:
            raise errors.NoValidHost(reason=decision.reason or "")
    return op


def write_changes(connection: Connection, op: Rebuild) -> dict[str, object]:
    """The record is what was asked for from here on."""
    instance = instances.get(connection, op.instance_id, for_update=True)
    columns = dict(op.columns)
    properties = dict(op.properties)
    if op.key_name is not None:
        columns["key_name"] = op.key_name or None
        properties["keypair"] = op.keypair
    if op.image is not None and not op.reimages:
        columns |= {"image": op.image, "image_id": op.image.id}
    if op.image is not None and image_properties.wants_config_drive(op.image.properties):
        properties["config_drive"] = True
    columns["properties"] = msgspec.structs.replace(instance.properties, **properties)
    if shelved_image.is_named(instance):
        # Its user wants another disk, and may want the image.
        columns["system_metadata"] = shelved_image.forgotten(instance)
    instances.change(connection, op.instance_id, **columns)
    return columns


def destroy_guest(op: Rebuild, context: StepContext) -> OnHost:
    """What is destroyed stays so: the user asked for it."""
    return guest.destroy(context.instance(op.instance_id))


def reimages(op: Rebuild) -> bool:
    """Whether the image is written over the root volume, of a server that boots from one."""
    return op.reimages and op.image is not None


def close_root(op: Rebuild, context: StepContext) -> Rebuild:
    """Keep the root volume for the server without a host: nobody has it open while it is written."""
    instance = context.instance(op.instance_id)
    root = _root_volume(instance)
    volume_id, before = str(root.volume_id), root.attachment_id
    opened = frozenset({before} if before and root.connection_info is not None else ())
    attachment = context.volumes.reserve(instance.uuid, volume_id, opened)
    if opened:
        context.volumes.release(str(before))
    root = msgspec.structs.replace(root, attachment_id=attachment, connection_info=None)
    return msgspec.structs.replace(op, root=root)


def reimage_root(op: Rebuild, context: StepContext) -> Rebuild:
    """Have the Block Storage service write the image over the root volume."""
    # An older release closed the volume with this step.
    op = close_root(op, context) if op.root is None else op
    assert op.image is not None and op.root is not None
    volume_id = str(op.root.volume_id)
    if context.volumes.get(volume_id).status != "downloading":
        context.volumes.reimage(volume_id, op.image.id)
    return op


def open_root(op: Rebuild, context: StepContext) -> Rebuild:
    """Open the root volume to the host again once it is written. Raises VolumeNotReady, StepFailed."""
    if op.root is None:
        return op
    volume_id, attachment = str(op.root.volume_id), str(op.root.attachment_id)
    status = context.volumes.get(volume_id).status
    if status == "downloading":
        raise VolumeNotReady(volume_id=volume_id, status=status)
    if status.startswith("error"):
        raise errors.StepFailed(reason=f"The image could not be written to volume {volume_id}, which is {status}.")
    connector = context.connector(str(context.instance(op.instance_id).host))
    info = context.volumes.connect(attachment, connector, op.root.device_name)
    context.volumes.complete(attachment)
    return msgspec.structs.replace(op, root=msgspec.structs.replace(op.root, connection_info=info))


def write_root(connection: Connection, op: Rebuild) -> None:
    """Keep the root volume's new attachment in the record as soon as it is there."""
    if op.root is not None:
        instance = instances.get(connection, op.instance_id, for_update=True)
        devices = tuple(op.root if device.id == op.root.id else device for device in instance.block_devices)
        instances.change(connection, op.instance_id, block_devices=devices)


def _check_room(op: Rebuild, context: StepContext, root: BlockDevice) -> None:
    """The Block Storage service would refuse it when the guest is gone."""
    assert op.image is not None
    size_gb = context.volumes.get(str(root.volume_id)).size_gb
    if max(op.image.size, op.image.min_disk << 30) > size_gb << 30:
        raise errors.StepFailed(
            reason=f"Image {op.image.id} is too large for volume {root.volume_id}, which has {size_gb} GiB."
        )


def _root_volume(instance: Instance) -> BlockDevice:
    return next(device for device in instance.block_devices if device.boot_index == 0 and device.volume_id)


def spawn(op: Rebuild, context: StepContext) -> OnHost:
    instance = context.instance(op.instance_id, with_user_data=True)
    return guest.spawn(instance, personality=op.personality, password=op.password)


def stop_again(op: Rebuild, context: StepContext) -> OnHost | Rebuild:
    """Making a guest starts it: one that was off is stopped again."""
    return guest.stop_guest(op, context) if op.was_stopped else op


def _begin(acceptance: Acceptance, op: Rebuild) -> Rebuild:
    instance = acceptance.instance
    on_its_host(acceptance, op)
    image_fit.check(None if op.reimages else op.image, instance.flavor)
    keypair = None
    if op.key_name:
        try:
            pair = keypairs.get(acceptance.connection, acceptance.context.user_id, op.key_name)
        except errors.KeypairNotFound as error:
            raise errors.Invalid("Invalid key_name provided.") from error
        keypair = KeypairRef(name=pair.name, type=pair.type, public_key=pair.public_key, fingerprint=pair.fingerprint)
    return msgspec.structs.replace(op, keypair=keypair, was_stopped=instance.vm_state is VmState.STOPPED)


def _finish(connection: Connection, op: Rebuild, instance: Instance) -> dict[str, object]:
    return {"power_state": PowerState(op.power_state), "launched_at": utcnow()}


def _abandon(connection: Connection, op: Rebuild, instance: Instance) -> dict[str, object]:
    return {"power_state": PowerState.NOSTATE}


def _end(op: Rebuild) -> VmState:
    return VmState.STOPPED if op.was_stopped else VmState.ACTIVE


_MAPPING = "rebuild_block_device_mapping"
_SPAWNING = "rebuild_spawning"

REBUILD = Operation(
    "rebuild",
    Rebuild,
    steps=(
        Step(check_host, task_state="rebuilding"),
        Step(destroy_guest, task_state="rebuilding", commit=(write_changes,)),
        # Where the image is refused, the record says how the server keeps its volume all the same.
        Step(close_root, task_state=_MAPPING, commit=(write_root,), retries=20, applies=reimages),
        Step(reimage_root, task_state=_MAPPING, commit=(write_root,), retries=20, applies=reimages),
        Step(open_root, task_state=_MAPPING, commit=(write_root,), retries=240, applies=reimages),
        Step(spawn, task_state=_SPAWNING, answer=guest.POWER_STATE_AND_NO_PASSWORD, timeout_s=1800),
        Step(stop_again, task_state=_SPAWNING, answer=guest.POWER_STATE),
    ),
    from_states=frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR}),
    begin=_begin,
    succeeds_as=_end,
    no_return_after=check_host,
    indexed=(
        *(check_host.__name__, destroy_guest.__name__, reimage_root.__name__, open_root.__name__, spawn.__name__),
        *(stop_again.__name__,) * 2,
    ),
    finish=_finish,
    abandon=_abandon,
    secrets=("password",),
    bars_shares=True,
)
