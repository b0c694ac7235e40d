"""Shelve a server: an image of it is kept, and sooner or later its host forgets it.

SHELVED servers still lie on their host; SHELVED_OFFLOADED ones have neither host nor resources, and
are their record, their ports and their volumes. shelved_image.py has what the record says of that.
"""

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.engine.operation import Acceptance, HostAnswer, OnHost, Operation, Step, always, on_its_host
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest, shelved_image, volumes
from nova.conductor.workflows.shelved_image import HOST, IMAGE, SINCE
from nova.structs.image import Image
from nova.structs.instance import BlockDevice, Instance, PowerState, VmState
from nova.structs.network import Vif
from nova.structs.steps import SnapshotArguments, UploadResult

_RUNNING_AS = {VmState.ACTIVE: PowerState.RUNNING, VmState.PAUSED: PowerState.PAUSED}


class Shelve(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """image_id: chosen before the first step; None for a server that boots from a volume. size: the image's, in bytes, as
    far as its host told it."""

    instance_id: str
    image_id: str | None = None
    size: int | None = None
    disk_format: str = "qcow2"
    was: VmState = VmState.ACTIVE
    power_state: PowerState = PowerState.RUNNING
    offloads: bool = True
    vifs: tuple[Vif, ...] | None = None
    devices: tuple[BlockDevice, ...] | None = None


def stop_guest(op: Shelve, context: StepContext) -> OnHost:
    return guest.power_off(context.instance(op.instance_id))


def start_again(op: Shelve, context: StepContext) -> OnHost:
    """The undo of stop_guest(): the guest is brought to the power state it had."""
    return guest.bring_to(context.instance(op.instance_id, with_user_data=True), op.power_state)


def make_image(op: Shelve, context: StepContext) -> Shelve:
    """The image's record, the project's own."""
    if op.image_id is None:
        return op
    instance = context.instance(op.instance_id)
    source = instance.image or Image(id="")
    kept_back = context.conf.non_inheritable_image_properties
    inherited = {key: value for key, value in source.properties.items() if key not in kept_back}
    image = Image(
        id=op.image_id,
        name=f"{instance.name}-shelved",
        owner=instance.project_id,
        visibility="private",
        disk_format=op.disk_format,
        container_format="bare",
        min_disk=max(source.min_disk, instance.flavor.root_gb),
        min_ram=source.min_ram,
        properties={
            **inherited,
            "base_image_ref": instance.image_id or "",
            "image_type": "snapshot",
            "instance_uuid": instance.uuid,
            "user_id": instance.user_id,
        },
    )
    context.images.create(image)
    return op


def remove_image(op: Shelve, context: StepContext) -> Shelve:
    """Fine before there is an image."""
    if op.image_id is not None:
        context.images.delete(op.image_id)
    return op


def copy_disk(op: Shelve, context: StepContext) -> OnHost | Shelve:
    return _copying(op, context, "snapshot")


def remove_copy(op: Shelve, context: StepContext) -> OnHost | Shelve:
    return _copying(op, context, "forget_snapshot", skip_if_down=True)


def upload_image(op: Shelve, context: StepContext) -> OnHost | Shelve:
    return _copying(op, context, "upload_snapshot")


def _keep_size(op: Shelve, result: UploadResult | None) -> Shelve:
    """A host of an older release says nothing."""
    return msgspec.structs.replace(op, size=result.size if result is not None else None)


def _copying(op: Shelve, context: StepContext, verb: str, skip_if_down: bool = False) -> OnHost | Shelve:
    if op.image_id is None:
        return op
    instance = context.instance(op.instance_id)
    arguments = SnapshotArguments(instance=instance, image_id=op.image_id, disk_format=op.disk_format)
    return OnHost(guest.host_of(instance), verb, arguments, skip_if_down=skip_if_down)


def check_image(op: Shelve, context: StepContext) -> Shelve:
    """The image is about to be the only copy of the server's disk. Raises StepFailed unless it is whole, and the newest."""
    if op.was is VmState.ERROR:
        _check_is_off(op, context)
    if op.offloads and op.image_id is None and context.instance(op.instance_id).image_id is not None:
        raise errors.StepFailed(reason="The server's disk is kept: its record names no image of it.")
    if op.offloads and op.image_id is not None:
        state = _state_of_image(op.image_id, op.size, context)
        if state != "active":
            raise errors.StepFailed(reason=f"The server's disk is kept: image {op.image_id} is {state}.")
    return op


def _state_of_image(image_id: str, size: int | None, context: StepContext) -> str:
    try:
        image = context.images.get(image_id)
    except errors.ImageNotFound:
        return "not there"
    # An Image service that gives no size is believed.
    if size is not None and image.size and image.size != size:
        return f"of {image.size} bytes, and the disk's copy of {size}"
    return str(image.status)


def _check_is_off(op: Shelve, context: StepContext) -> None:
    """A guest that runs has written to its disk since it was shelved. Raises StepFailed, Unavailable."""
    assert context.compute is not None
    host = guest.host_of(context.instance(op.instance_id))
    try:
        state = context.compute(host).power_state(op.instance_id)
    except errors.GuestNotFound:
        return
    if state not in (PowerState.SHUTDOWN, PowerState.CRASHED):
        raise errors.StepFailed(reason="The server's disk is kept: its guest runs.")


def destroy_guest(op: Shelve, context: StepContext) -> OnHost | Shelve:
    """From here on the server is offloaded: its disks are gone, and the image is what it is."""
    return guest.destroy(context.instance(op.instance_id)) if op.offloads else op


def unbind_ports(op: Shelve, context: StepContext) -> Shelve:
    """The server keeps its ports and their addresses."""
    instance = context.instance(op.instance_id)
    if not op.offloads or not instance.vifs:
        return op
    context.network.unbind(op.instance_id)
    return msgspec.structs.replace(op, vifs=context.network.view(op.instance_id, instance.vifs))


def keep_volumes_reserved(op: Shelve, context: StepContext) -> Shelve:
    """The server keeps its volumes; no host has them."""
    instance = context.instance(op.instance_id)
    if not op.offloads or not volumes.of(instance):
        return op
    connected = frozenset(device.attachment_id for device in instance.block_devices if device.attachment_id)
    devices = []
    for device in instance.block_devices:
        if device.destination == "volume" and device.volume_id:
            attachment = context.volumes.reserve(instance.uuid, device.volume_id, connected)
            device = msgspec.structs.replace(device, attachment_id=attachment, connection_info=None)
        devices.append(device)
    for attachment in connected:
        context.volumes.release(attachment)
    return msgspec.structs.replace(op, devices=tuple(devices))


def release_allocations(op: Shelve, context: StepContext) -> Shelve:
    """A server that is not offloaded goes on holding its host."""
    if op.offloads:
        context.give_host_back(op.instance_id)
    return op


def _begin_shelve(acceptance: Acceptance, op: Shelve) -> Shelve:
    on_its_host(acceptance, op)
    instance, conf = acceptance.instance, acceptance.conf
    is_volume_backed = instance.image_id is None
    source_format = instance.image.disk_format if instance.image else "qcow2"
    chosen = conf.libvirt.snapshot_image_format or source_format
    return msgspec.structs.replace(
        op,
        image_id=None if is_volume_backed else op.image_id,
        disk_format=chosen if chosen in ("raw", "qcow2", "vmdk", "vdi") else "qcow2",
        was=instance.vm_state,
        power_state=_RUNNING_AS.get(
            instance.vm_state,
            PowerState.SUSPENDED if instance.vm_state is VmState.SUSPENDED else PowerState.SHUTDOWN,
        ),
        # Nothing lies on the host that could be used again sooner.
        offloads=is_volume_backed or conf.shelved_offload_time == 0,
    )


def _begin_offload(acceptance: Acceptance, op: Shelve) -> Shelve:
    """From ERROR it ends a shelve that broke off. Raises WrongServerState for a server that was not shelved before."""
    on_its_host(acceptance, op)
    instance = acceptance.instance
    image_id = shelved_image.of(instance)
    is_shelved = image_id is not None or (instance.image_id is None and shelved_image.is_named(instance))
    if instance.vm_state is VmState.ERROR and not is_shelved:
        raise errors.WrongServerState(
            action="shelveOffload", server_id=instance.uuid, attribute="vm_state", state=str(instance.vm_state)
        )
    return msgspec.structs.replace(op, was=instance.vm_state, offloads=True, image_id=image_id)


def _finish(connection: Connection, op: Shelve, instance: Instance) -> dict[str, object]:
    changes: dict[str, object] = {"system_metadata": _kept(op, instance), "power_state": PowerState.SHUTDOWN}
    if op.offloads:
        changes |= _without_host(op)
    return changes


def _abandon(connection: Connection, op: Shelve, instance: Instance) -> dict[str, object]:
    """The record keeps the host, for whoever looks what became of the guest; it names the image, and the volumes as
    they are reserved by now."""
    return {"system_metadata": _kept(op, instance), **_devices_without_host(op)}


def _kept(op: Shelve, instance: Instance) -> dict[str, str]:
    """The server's system_metadata with the image it can be made of again."""
    kept = dict(instance.system_metadata)
    if op.was not in (VmState.SHELVED, VmState.ERROR):
        kept |= {SINCE: utcnow().isoformat(), HOST: instance.host or ""}
        if op.image_id is not None:
            kept[IMAGE] = op.image_id
    return kept


def _without_host(op: Shelve) -> dict[str, object]:
    return {"host": None, "node": None, "power_state": PowerState.NOSTATE, **_devices_without_host(op)}


def _devices_without_host(op: Shelve) -> dict[str, object]:
    columns: dict[str, object] = {}
    if op.vifs is not None:
        columns["vifs"] = op.vifs
    if op.devices is not None:
        columns["block_devices"] = op.devices
    return columns


def _end(op: Shelve) -> VmState:
    return VmState.SHELVED_OFFLOADED if op.offloads else VmState.SHELVED


_OFFLOADING = "shelving_offloading"
_OFFLOAD = (
    Step(check_image, task_state=_OFFLOADING),
    Step(destroy_guest, task_state=_OFFLOADING),
    Step(unbind_ports, task_state=_OFFLOADING, retries=20),
    Step(keep_volumes_reserved, task_state=_OFFLOADING, retries=20, despite=(unbind_ports,)),
    Step(
        release_allocations,
        task_state=_OFFLOADING,
        retries=20,
        despite=(unbind_ports, keep_volumes_reserved),
        can_wait=True,
    ),
)

SHELVE = Operation(
    "shelve",
    Shelve,
    steps=(
        Step(stop_guest, start_again, task_state="shelving"),
        Step(make_image, remove_image, task_state="shelving"),
        Step(copy_disk, remove_copy, task_state="shelving_image_pending_upload", timeout_s=6 * 3600),
        Step(
            upload_image,
            task_state="shelving_image_uploading",
            answer=HostAnswer(UploadResult | None, _keep_size),
            timeout_s=6 * 3600,
        ),
        *_OFFLOAD,
    ),
    from_states=frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED}),
    begin=_begin_shelve,
    succeeds_as=_end,
    no_return_after=check_image,
    finishes_later=True,
    finish=_finish,
    abandon=_abandon,
    tells=lambda op: {"offloads": op.offloads},
    deadline_s=13 * 3600.0,
    bars_shares=True,
)

SHELVE_OFFLOAD = Operation(
    "shelveOffload",
    Shelve,
    steps=_OFFLOAD,
    from_states=frozenset({VmState.SHELVED, VmState.ERROR}),
    begin=_begin_offload,
    succeeds_as=always(VmState.SHELVED_OFFLOADED),
    no_return_after=check_image,
    finishes_later=True,
    finish=_finish,
    abandon=_abandon,
    tells=lambda op: {"offloads": op.offloads},
    bars_shares=True,
)
