"""Copies a guest's root disk and gives the copy to the Image service."""

import tempfile
from pathlib import Path

from nova import errors
from nova.compute.host import Host
from nova.structs.steps import SnapshotArguments
from nova.virt.driver import Snapshots, able


def snapshot(host: Host, arguments: SnapshotArguments) -> None:
    """Copy the disk to a file of this host, over an earlier copy. Raises GuestFailed, DiskFull."""
    path = _copy(host, arguments)
    path.parent.mkdir(parents=True, exist_ok=True)
    driver = able(host.driver, Snapshots, "be copied to an image")
    properties = driver.snapshot(arguments.instance.uuid, path, arguments.disk_format)
    if properties:
        host.image_service.set_properties(arguments.image_id, dict(properties))


def upload_snapshot(host: Host, arguments: SnapshotArguments) -> None:
    """Give the copy to the Image service and remove it. Raises ImageNotFound when the user deleted the image."""
    path = _copy(host, arguments)
    if host.image_service.get(arguments.image_id).status != "active":
        if not path.exists():
            raise errors.GuestFailed(reason="The copy of the disk is not on this host any more.")
        with path.open("rb") as file:
            host.image_service.upload(arguments.image_id, file)
    path.unlink(missing_ok=True)


def forget_snapshot(host: Host, arguments: SnapshotArguments) -> None:
    """Remove the local copy of a snapshot, and what a driver that was killed has left beside it; no error when there is none."""
    path = _copy(host, arguments)
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink(missing_ok=True)


def _copy(host: Host, arguments: SnapshotArguments) -> Path:
    # A driver that reads no image files keeps no directory for disks either.
    directory = host.conf.libvirt.snapshots_directory if host.driver.needs_images else None
    return Path(directory or host.conf.tempdir or tempfile.gettempdir()) / f"nova-snapshot-{arguments.image_id}"
