"""Steps that attach, detach, swap and snapshot volumes of a guest."""

import logging

from nova import errors
from nova.compute.guest_spec import volume_disk
from nova.compute.host import Host
from nova.structs.guest import VolumeFile
from nova.structs.instance import Instance
from nova.structs.steps import ExtendArguments, MergeArguments, SwapArguments, VolumeArguments, VolumeSnapshotArguments
from nova.virt.driver import VolumeExtension, VolumeNames, Volumes, VolumeSnapshots, able

LOG = logging.getLogger(__name__)

_ACTION = "have volumes"


def renew(host: Host, instance: Instance) -> None:
    """Let a guest that is about to start open its volumes where they are now. Raises GuestNotFound, GuestFailed."""
    if isinstance(host.driver, VolumeNames):
        devices = [device for device in instance.block_devices if device.destination == "volume"]
        host.driver.renew_volumes(instance.uuid, tuple(volume_disk(instance, device) for device in devices))


def attach_volume(host: Host, arguments: VolumeArguments) -> None:
    """Connect the host to the volume and plug it in. Raises NotImplementedHere, GuestFailed."""
    instance = arguments.instance
    able(host.driver, Volumes, _ACTION).attach_volume(instance.uuid, volume_disk(instance, arguments.device))


def detach_volume(host: Host, arguments: VolumeArguments) -> None:
    """Unplug the volume and disconnect the host; no error when it is missing."""
    instance = arguments.instance
    able(host.driver, Volumes, _ACTION).detach_volume(instance.uuid, volume_disk(instance, arguments.device))


def swap_volume(host: Host, arguments: SwapArguments) -> None:
    """Copy one volume onto another under the running guest. Takes as long as the copy."""
    instance = arguments.instance
    old, new = volume_disk(instance, arguments.old), volume_disk(instance, arguments.new)
    able(host.driver, Volumes, _ACTION).swap_volume(instance.uuid, old, new)


def extend_volume(host: Host, arguments: ExtendArguments) -> None:
    """Let the guest see how large its volume has become. Raises GuestNotFound, GuestFailed, NotImplementedHere."""
    instance = arguments.instance
    driver = able(host.driver, VolumeExtension, "extend volumes")
    driver.extend_volume(instance.uuid, volume_disk(instance, arguments.device), arguments.size_bytes)


def snapshot_volume(host: Host, arguments: VolumeSnapshotArguments) -> VolumeFile:
    """Let the guest write to a new file over its volume's. Raises GuestFailed, NotImplementedHere."""
    instance = arguments.instance
    driver = able(host.driver, VolumeSnapshots, "have its volumes snapshotted")
    disk = volume_disk(instance, arguments.device)
    return driver.snapshot_volume(instance.uuid, disk, arguments.new_file)


def merge_volume_snapshot(host: Host, arguments: MergeArguments) -> VolumeFile | None:
    """Merge a file of the volume's chain into another, or only ask. See nova.virt.driver.VolumeSnapshots.

    None: there is no guest any more that could be asked.
    """
    instance = arguments.instance
    driver = able(host.driver, VolumeSnapshots, "have its volumes snapshotted")
    disk = volume_disk(instance, arguments.device)
    try:
        return driver.merge_volume_snapshot(instance.uuid, disk, arguments.file_to_merge, arguments.merge_target)
    except (errors.GuestNotFound, errors.GuestFailed):
        if arguments.file_to_merge:
            raise
        LOG.exception("nobody can tell which file of volume %s a guest writes to", arguments.device.volume_id)
        return None
