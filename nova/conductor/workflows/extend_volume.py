"""Let a server see that one of its volumes has grown, as the Block Storage service tells when it has extended it.

The size is asked of that service, never taken from what was told. A server with another operation under way sees
it when that is over.
"""

import msgspec

from nova.clients.volume import VolumeNotReady
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step, on_its_host, unchanged
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import attach_volume
from nova.conductor.workflows.abilities import need
from nova.structs.instance import VmState
from nova.structs.steps import ExtendArguments

_GIB = 1024**3


class ExtendVolume(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """size_bytes: of the volume, once the Block Storage service has said it."""

    instance_id: str
    volume_id: str
    size_bytes: int = 0


def read_size(op: ExtendVolume, context: StepContext) -> ExtendVolume:
    """Raises VolumeNotFound, VolumeNotReady while the service is still at it."""
    volume = context.volumes.get(op.volume_id)
    if volume.status == "extending":
        raise VolumeNotReady(volume_id=op.volume_id, status=volume.status)
    return msgspec.structs.replace(op, size_bytes=volume.size_gb * _GIB)


def show_size(op: ExtendVolume, context: StepContext) -> OnHost | ExtendVolume:
    """Raises VolumeNotAttached when it was detached meanwhile."""
    instance = context.instance(op.instance_id)
    device = attach_volume.find(instance, op.volume_id)
    # Where it has no host any more, the next one finds the volume as it is.
    if instance.host is None:
        return op
    arguments = ExtendArguments(instance=instance, device=device, size_bytes=op.size_bytes)
    return OnHost(instance.host, "extend_volume", arguments)


def _begin(acceptance: Acceptance, op: ExtendVolume) -> ExtendVolume:
    """Raises VolumeNotAttached, NotImplementedHere."""
    attach_volume.find(acceptance.instance, op.volume_id)
    need(acceptance, "VolumeExtension", "extend volumes")
    return on_its_host(acceptance, op)


EXTEND_VOLUME = Operation(
    "extend_volume",
    ExtendVolume,
    # A volume never shrinks, so there is nothing to undo.
    steps=(Step(read_size, retries=20), Step(show_size)),
    from_states=frozenset(VmState) - {VmState.BUILDING, VmState.DELETED, VmState.SHELVED_OFFLOADED},
    begin=_begin,
    succeeds_as=unchanged,
    tells=lambda op: {"volume_id": op.volume_id},
    ignores_lock=True,
    waits=True,
)
