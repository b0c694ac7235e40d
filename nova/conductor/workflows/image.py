"""Make an image, or one of a series of backups, of a server's root disk while it stays what it is.

The image's record is there before the operation is accepted: its id is in the answer. A failure
takes the record away again. The image of a server that boots from a volume has no data: it names
snapshots of the server's volumes, which were asked for with the record.
"""

import contextlib
import io
from typing import Any

import msgspec

from nova import errors
from nova.conductor.engine.operation import OnHost, Operation, Step, on_its_host, unchanged
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest
from nova.structs.instance import VmState
from nova.structs.steps import SnapshotArguments


class CreateImage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """snapshots: of the volumes of a server that boots from one; empty for any other."""

    instance_id: str
    image_id: str
    disk_format: str
    snapshots: tuple[str, ...] = ()


class CreateBackup(CreateImage, frozen=True, kw_only=True, omit_defaults=True):
    """rotation: how many backups of this type are kept, this one among them."""

    backup_type: str
    rotation: int


def copy_disk(op: CreateImage, context: StepContext) -> OnHost | CreateImage:
    """Copy the disk on its host, or wait until the snapshots are there. Raises SnapshotFailed."""
    if not op.snapshots:
        return _on_host(op, context, "snapshot")
    for snapshot_id in op.snapshots:
        context.volumes.check_snapshot(snapshot_id)
    return op


def remove_copy(op: CreateImage, context: StepContext) -> OnHost | CreateImage:
    """The image's record goes, with the snapshots it names and the copy on the host.

    Raises PointPassed for an image that has its data: its user may have deleted the server in return for it.
    """
    with contextlib.suppress(errors.ImageNotFound):
        if context.images.get(op.image_id).status == "active":
            raise errors.PointPassed(reason="The image has its data")
    context.images.delete(op.image_id)
    for snapshot_id in op.snapshots:
        context.volumes.delete_snapshot(snapshot_id)
    if op.snapshots:
        return op
    # A dead host's copy is removed with the next snapshot of this image, which there is not: it is a file without a name.
    return _on_host(op, context, "forget_snapshot", skip_if_down=True)


def upload_image(op: CreateImage, context: StepContext) -> OnHost | CreateImage:
    """An image that names snapshots gets no data, which makes it active."""
    if not op.snapshots:
        return _on_host(op, context, "upload_snapshot")
    # An image without data is not usable before that was said.
    context.images.upload(op.image_id, io.BytesIO())
    return op


def _on_host(op: CreateImage, context: StepContext, verb: str, skip_if_down: bool = False) -> OnHost:
    instance = context.instance(op.instance_id)
    arguments = SnapshotArguments(instance=instance, image_id=op.image_id, disk_format=op.disk_format)
    return OnHost(guest.host_of(instance), verb, arguments, timeout_s=6 * 3600, skip_if_down=skip_if_down)


def rotate(op: CreateBackup, context: StepContext) -> CreateBackup:
    """Delete the oldest backups of this type beyond those to be kept, of the project that this one belongs to.

    Anybody may write a backup's properties on images of his own, and the service sees all images.
    """
    owner = context.images.get(op.image_id).owner
    facts = {"instance_uuid": op.instance_id, "image_type": "backup", "backup_type": op.backup_type}
    backups = [one for one in context.images.list(owner=owner or "", **facts) if owner and one.owner == owner]
    ordered = sorted(backups, key=lambda backup: (backup.id == op.image_id, backup.created_at or ""), reverse=True)
    for backup in ordered[op.rotation :]:
        context.images.delete(backup.id)
    return op


_COPY: tuple[Step[Any], ...] = (
    Step(copy_disk, remove_copy, task_state="image_snapshot", timeout_s=6 * 3600, retries=60),
    # What was uploaded in part is removed with the image's record, by the undo of the step before.
    Step(upload_image, task_state="image_uploading", timeout_s=6 * 3600),
)
_FROM = frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED})

CREATE_IMAGE = Operation(
    "createImage",
    CreateImage,
    steps=_COPY,
    no_return_after=upload_image,
    from_states=_FROM,
    begin=on_its_host,
    succeeds_as=unchanged,
    tells=lambda op: {"image_id": op.image_id},
    deadline_s=13 * 3600.0,
    beside_left=True,
)

CREATE_BACKUP = Operation(
    "createBackup",
    CreateBackup,
    # A backup that could not be rotated is a backup: what is deleted comes last.
    steps=(*_COPY, Step(rotate, task_state="image_backup", is_optional=True)),
    no_return_after=upload_image,
    from_states=_FROM,
    begin=on_its_host,
    succeeds_as=unchanged,
    tells=lambda op: {"image_id": op.image_id},
    deadline_s=13 * 3600.0,
    beside_left=True,
)
