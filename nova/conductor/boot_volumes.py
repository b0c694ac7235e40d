"""The volumes that servers are to be built with: made in the user's name, before the request is accepted.

A request that is refused, and servers that did not fit into the quota, leave none behind.
"""

import msgspec

from nova import errors
from nova.conductor.cloud import Cloud
from nova.structs.context import Context
from nova.structs.instance import BlockDevice
from nova.structs.requests import BuildRequest
from nova.taking_back import TakingBack


class Made:
    """What was made for one request, and for which of its servers."""

    def __init__(self, cloud: Cloud, context: Context, request: BuildRequest) -> None:
        self._undo: list[TakingBack] = []
        self.devices: list[tuple[BlockDevice, ...]] = []
        if not any(map(_is_to_be_made, request.block_devices)):
            self.devices = [request.block_devices] * request.max_count
            return
        try:
            for _ in range(request.max_count):
                self._undo.append(TakingBack())
                self.devices.append(_make(cloud, context, request, self._undo[-1]))
        except errors.DomainError as error:
            self.keep(0, at_once=not isinstance(error, errors.Unavailable))
            raise

    def keep(self, count: int, at_once: bool = True) -> None:
        """Delete what was made for all servers but the first so many."""
        for undo in self._undo[count:]:
            undo.take_back(at_once)


def _is_to_be_made(device: BlockDevice) -> bool:
    return device.destination == "volume" and device.volume_id is None


def _make(cloud: Cloud, context: Context, request: BuildRequest, undo: TakingBack) -> tuple[BlockDevice, ...]:
    found = []
    for device in request.block_devices:
        if _is_to_be_made(device):
            size = device.size_gb
            if size is None and device.snapshot_id:
                size = cloud.volumes.snapshot(device.snapshot_id, context)["size"]
            volume = cloud.volumes.create(
                size or 1,
                context,
                image_id=device.image_id,
                snapshot_id=device.snapshot_id,
                volume_type=device.volume_type,
                zone=request.availability_zone if not cloud.conf.cinder.cross_az_attach else None,
            )
            undo.made(f"volume {volume.id}", cloud.volumes.delete, volume.id, context)
            device = msgspec.structs.replace(device, volume_id=volume.id, size_gb=size)
        found.append(device)
    return tuple(found)
