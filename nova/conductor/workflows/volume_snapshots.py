"""Snapshots of attached volumes that are files: the Block Storage service makes the files, the guest's host
moves the guest between them while it runs.

The service asks, and is told the outcome of each snapshot as its status; nobody waits for an answer. Which file
the guest writes to stands in the server's record, so that it is the one it has after its next start.
"""

import contextlib
from typing import Any, TypeVar

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.engine.operation import Acceptance, HostAnswer, OnHost, Operation, Step, on_its_host, unchanged
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import attach_volume
from nova.conductor.workflows.abilities import need
from nova.structs.guest import VolumeFile
from nova.structs.instance import BlockDevice, Instance, VmState
from nova.structs.steps import MergeArguments, VolumeSnapshotArguments


class SnapshotVolume(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """new_file: made by the service beside the volume's file, over it. written: what the guest writes to then."""

    instance_id: str
    volume_id: str
    snapshot_id: str
    new_file: str = ""
    written: VolumeFile | None = None


class MergeSnapshot(SnapshotVolume, frozen=True, kw_only=True, omit_defaults=True):
    """file_to_merge: empty where the service named none; then nothing can be merged. merge_target: where its content
    goes; None: into the file above it, which the guest writes to.
    """

    file_to_merge: str = ""
    merge_target: str | None = None


# A host that is merging answers later, when it is asked again; a delete of the server comes in between.
_ASKS_FOR_S = 60.0

S = TypeVar("S", bound=SnapshotVolume)


def begin_snapshot(op: SnapshotVolume, context: StepContext) -> SnapshotVolume:
    """Does nothing: its undo tells the Block Storage service of a failure in any later step."""
    return op


def report_error(op: SnapshotVolume, context: StepContext) -> SnapshotVolume:
    """The undo of begin_snapshot(): the snapshot's status becomes error."""
    # Nobody asks after a snapshot that the service has not.
    with contextlib.suppress(errors.NotFound):
        context.volumes.update_snapshot_status(op.snapshot_id, "error")
    return op


def switch_to_new_file(op: SnapshotVolume, context: StepContext) -> OnHost:
    """The file the guest wrote to becomes the snapshot. The host answers with the one it writes to now."""
    instance, device = _device(op, context)
    arguments = VolumeSnapshotArguments(instance=instance, device=device, new_file=op.new_file)
    return OnHost(str(instance.host), "snapshot_volume", arguments)


def switch_back(op: SnapshotVolume, context: StepContext) -> OnHost:
    """The undo of switch_to_new_file(): what the guest has written since is merged into the file before.

    A guest on a silent host may write to the new file, which the record does not name: this waits for the host.
    """
    instance, device = _device(op, context)
    arguments = MergeArguments(
        instance=instance, device=device, file_to_merge=op.new_file, merge_target=_file_of(device)
    )
    return OnHost(str(instance.host), "merge_volume_snapshot", arguments, skip_if_down=True, waits_if_silent=True)


def merge(op: MergeSnapshot, context: StepContext) -> OnHost:
    """May take hours, while the guest runs; no error when it is done already. Raises Invalid without a file."""
    if not op.file_to_merge:
        raise errors.Invalid("The request to delete the snapshot names no file to merge.")
    instance, device = _device(op, context)
    arguments = MergeArguments(
        instance=instance, device=device, file_to_merge=op.file_to_merge, merge_target=op.merge_target
    )
    return OnHost(str(instance.host), "merge_volume_snapshot", arguments)


def ask_for_file(op: MergeSnapshot, context: StepContext) -> OnHost:
    """The undo of merge(), which cannot be undone: the host says which file the guest writes to after all.

    A merge whose answer came too late, or never, may be done all the same: the record must not name a file that is gone.
    A host answers when it has ended the merge; this waits for one that is silent.
    """
    instance, device = _device(op, context)
    arguments = MergeArguments(instance=instance, device=device, file_to_merge="", merge_target=None)
    return OnHost(
        str(instance.host), "merge_volume_snapshot", arguments, _ASKS_FOR_S, skip_if_down=True, waits_if_silent=True
    )


def _keep_file(op: S, result: VolumeFile | None) -> S:
    return msgspec.structs.replace(op, written=result)


WRITTEN_FILE: HostAnswer[Any] = HostAnswer(VolumeFile | None, _keep_file)


def report_created(op: SnapshotVolume, context: StepContext) -> SnapshotVolume:
    """The host's part is done; the service does the rest."""
    context.volumes.update_snapshot_status(op.snapshot_id, "creating")
    return op


def begin_merging(op: MergeSnapshot, context: StepContext) -> MergeSnapshot:
    """Does nothing: its undo tells the Block Storage service of a failure in any later step."""
    return op


def report_not_deleted(op: MergeSnapshot, context: StepContext) -> MergeSnapshot:
    """The undo of begin_merging(): the snapshot's status becomes error_deleting."""
    with contextlib.suppress(errors.NotFound):
        context.volumes.update_snapshot_status(op.snapshot_id, "error_deleting")
    return op


def report_merged(op: MergeSnapshot, context: StepContext) -> MergeSnapshot:
    """The service removes the snapshot's file once its status is deleting."""
    context.volumes.update_snapshot_status(op.snapshot_id, "deleting")
    return op


def _device(op: SnapshotVolume, context: StepContext) -> tuple[Instance, BlockDevice]:
    instance = context.instance(op.instance_id)
    return instance, attach_volume.find(instance, op.volume_id)


def _file_of(device: BlockDevice) -> str:
    """The name of the file that the record says the guest writes to."""
    data: Any = (device.connection_info or {}).get("data") or {}
    return str(data.get("name") or data.get("device_path", "")).rpartition("/")[2]


def _write_file(connection: Connection, op: SnapshotVolume, instance: Instance) -> dict[str, object]:
    if op.written is None:
        return {}
    devices = (
        _with_file(device, op.written) if device.volume_id == op.volume_id else device
        for device in instance.block_devices
    )
    return {"block_devices": tuple(devices)}


def _with_file(device: BlockDevice, file: VolumeFile) -> BlockDevice:
    info = dict(device.connection_info or {})
    data: Any = dict(info.get("data") or {})  # type: ignore[call-overload]
    key = "name" if data.get("name") else "device_path"
    directory, slash, _ = str(data.get(key, "")).rpartition("/")
    info["data"] = {**data, key: f"{directory}{slash}{file.name}", "format": file.format}
    return msgspec.structs.replace(device, connection_info=info)


def _begin(acceptance: Acceptance, op: SnapshotVolume) -> SnapshotVolume:
    """Raises NotImplementedHere, VolumeNotAttached."""
    need(acceptance, "VolumeSnapshots", "have its volumes snapshotted")
    attach_volume.find(acceptance.instance, op.volume_id)
    return on_its_host(acceptance, op)


# A guest that is off moves between no files.
_FROM = frozenset({VmState.ACTIVE, VmState.PAUSED})
_LONG_S = 24 * 3600.0

SNAPSHOT_VOLUME = Operation(
    "volume_snapshot_create",
    SnapshotVolume,
    steps=(
        # Undone last: the service is told when everything is as it was.
        Step(begin_snapshot, report_error, retries=20),
        Step(switch_to_new_file, switch_back, answer=WRITTEN_FILE, undo_answer=WRITTEN_FILE),
        Step(report_created, retries=20),
    ),
    from_states=_FROM,
    begin=_begin,
    succeeds_as=unchanged,
    finish=_write_file,
    fail=_write_file,
    ignores_lock=True,
    bars_shares=True,
    takes_turns=True,
)

MERGE_SNAPSHOT = Operation(
    "volume_snapshot_delete",
    MergeSnapshot,
    steps=(
        Step(begin_merging, report_not_deleted, retries=20),
        # Merging again is nothing.
        Step(merge, ask_for_file, answer=WRITTEN_FILE, undo_answer=WRITTEN_FILE, timeout_s=_LONG_S),
        Step(report_merged, retries=20),
    ),
    from_states=_FROM,
    begin=_begin,
    succeeds_as=unchanged,
    finish=_write_file,
    fail=_write_file,
    ignores_lock=True,
    bars_shares=True,
    takes_turns=True,
    deadline_s=25 * 3600.0,
)
