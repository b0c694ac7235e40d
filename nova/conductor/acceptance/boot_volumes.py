"""The volumes that servers are to be built with: made in the user's name, before the request is accepted.

A request that is refused, and servers that did not fit into the quota, leave none behind.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec

from nova import errors
from nova.clients.rollback import Rollback
from nova.clients.volume import Volume
from nova.conductor.engine.step_context import StepContext
from nova.structs.context import Context
from nova.structs.instance import BlockDevice
from nova.structs.requests import BuildRequest

# The metadata of a volume that was made for a server: with it one is found again whose making was never answered.
MARK = "made_for_request"
# A service that was slow may make the volume when nobody waits for it any more.
_LOOKS = 4


@dataclass(frozen=True)
class BootVolumes:
    """The block devices of each server of a request, and how to undo what was made for each."""

    devices: list[tuple[BlockDevice, ...]]
    rollbacks: list[Rollback]

    @classmethod
    def create(cls, services: StepContext, context: Context, request: BuildRequest) -> Self:
        """Make the volumes of all servers that may come of a request.

        Raises what the Block Storage service refuses them for; then none of them is left.
        """
        if not any(map(_is_to_be_made, request.block_devices)):
            return cls([request.block_devices] * request.max_count, [])
        volumes = cls([], [])
        try:
            for _ in range(request.max_count):
                volumes.rollbacks.append(Rollback())
                volumes.devices.append(_devices(services, context, request, volumes.rollbacks[-1]))
        except errors.DomainError as error:
            volumes.discard_from(0, at_once=not isinstance(error, errors.Unavailable))
            raise
        return volumes

    def discard_from(self, index: int, at_once: bool = True) -> None:
        """Delete what was made for the server of this index and for those after it."""
        for rollback in self.rollbacks[index:]:
            rollback.run(at_once)


def _is_to_be_made(device: BlockDevice) -> bool:
    return device.destination == "volume" and device.volume_id is None


def _devices(
    services: StepContext, context: Context, request: BuildRequest, rollback: Rollback
) -> tuple[BlockDevice, ...]:
    """The devices of one server, with the volumes that were made for it."""
    devices = []
    for device in request.block_devices:
        if _is_to_be_made(device):
            size = device.size_gb
            if size is None and device.snapshot_id:
                size = services.volumes.snapshot(device.snapshot_id, context)["size"]
            volume = _make(services, context, request, device, size or 1, rollback)
            device = msgspec.structs.replace(device, volume_id=volume.id, size_gb=size)
        devices.append(device)
    return tuple(devices)


def _make(
    services: StepContext,
    context: Context,
    request: BuildRequest,
    device: BlockDevice,
    size_gb: int,
    rollback: Rollback,
) -> Volume:
    mark = str(uuid.uuid4())
    try:
        volume: Volume = services.volumes.create(
            size_gb,
            context,
            image_id=device.image_id,
            snapshot_id=device.snapshot_id,
            volume_type=device.volume_type,
            zone=request.availability_zone if not services.conf.cinder.cross_az_attach else None,
            metadata={MARK: mark},
        )
    except errors.Unavailable:
        rollback.made(f"volume with metadata {MARK}={mark}", _Lost(services.volumes, context, mark).delete)
        raise
    rollback.made(f"volume {volume.id}", services.volumes.delete, volume.id, context)
    return volume


@dataclass
class _Lost:
    """A volume that was asked for, and may have been made."""

    volumes: Any
    context: Context
    mark: str
    looks: int = field(default=0, init=False)

    def delete(self) -> None:
        """Raises Unavailable until there was one to delete, or none whenever it was looked for."""
        made = [
            volume
            for volume in self.volumes.find(self.context, metadata=str({MARK: self.mark}))
            if volume.metadata.get(MARK) == self.mark
        ]
        for volume in made:
            self.volumes.delete(volume.id, self.context)
        self.looks += 1
        if not made and self.looks < _LOOKS:
            raise errors.Unavailable(
                service="The Block Storage service", reason="it may be making a volume that nobody waits for"
            )
