"""Files and directories of datastores, as "[datastore] path". Nothing a tenant says is part of a path."""

import urllib.parse
import uuid as uuids
from pathlib import Path
from typing import Any

from pyVmomi import vim

from nova import errors
from nova.virt.vmware.cluster import Cluster
from nova.virt.vmware.session import Session, has_fault


class Files:
    """What one nova-compute does with the files of its data center."""

    def __init__(self, session: Session, cluster: Cluster, host: str) -> None:
        self._session, self._cluster, self._host = session, cluster, host

    def make_directory(self, path: str) -> None:
        """With those above it; no error when it is there."""
        datacenter = self._cluster.datacenter
        try:
            self._session.change(lambda content: content.fileManager.MakeDirectory(path, datacenter, True))
        except errors.GuestFailed as error:
            if not has_fault(error, "FileAlreadyExists"):
                raise

    def remove(self, path: str) -> None:
        """A file, or a directory with what is in it; no error when there is none."""
        datacenter = self._cluster.datacenter
        try:
            self._session.task(lambda content: content.fileManager.DeleteDatastoreFile_Task(path, datacenter))
        except errors.GuestFailed as error:
            if not has_fault(error, "FileNotFound"):
                raise

    def move(self, path: str, new: str) -> None:
        """Give a directory or file its name, unless that is taken: then somebody else has been faster."""
        datacenter = self._cluster.datacenter
        try:
            self._session.task(
                lambda content: content.fileManager.MoveDatastoreFile_Task(path, datacenter, new, datacenter, False)
            )
        except errors.GuestFailed as error:
            if not has_fault(error, "FileAlreadyExists"):
                raise
            self.remove(path)

    def put_away(self, path: str) -> None:
        """Give a directory a name under which nobody looks for it."""
        self.move(path, f"{path}.left-{uuids.uuid4().hex[:8]}")

    def names(self, datastore: Any, directory: str, pattern: str = "*") -> dict[str, int]:
        """What matches pattern in a directory, with its size in bytes; nothing where there is no directory."""
        flags = vim.host.DatastoreBrowser.FileInfo.Details(
            fileSize=True, fileType=False, modification=False, fileOwner=False
        )
        wanted = vim.host.DatastoreBrowser.SearchSpec(matchPattern=[pattern], details=flags)
        try:
            found = self._session.task(lambda _: datastore.browser.SearchDatastore_Task(directory, wanted))
        except errors.GuestFailed as error:
            if not has_fault(error, "FileNotFound"):
                raise
            return {}
        return {one.path: one.fileSize or 0 for one in found.file}

    def upload(self, source: Path, target: str) -> None:
        """Write a file of this host to a datastore, over what is there. Raises errors.DiskFull, errors.Unavailable."""
        datastore, path = split(target)
        query = urllib.parse.urlencode({"dcPath": self._cluster.datacenter_path(), "dsName": datastore})
        headers = {
            "Cookie": self._session.cookie(),
            "Content-Type": "application/octet-stream",
            "Content-Length": str(source.stat().st_size),
        }

        def send(_: Any) -> tuple[int, str]:
            connection = self._session.http()
            try:
                with source.open("rb") as file:
                    connection.request("PUT", f"/folder/{urllib.parse.quote(path)}?{query}", file, headers)
                    answer = connection.getresponse()
                    answer.read()
                    return answer.status, answer.reason
            finally:
                connection.close()

        status, why = self._session.change(send)
        if status == 507:
            raise errors.DiskFull(host=self._host)
        if status not in (200, 201):
            raise errors.GuestFailed(
                reason="A file could not be written to the hypervisor's storage", detail=f"{target}: {status} {why}"
            )

    # Virtual disks

    def create_disk(self, path: str, size_kb: int, adapter: str, disk_type: str = "thin") -> None:
        spec = vim.VirtualDiskManager.FileBackedVirtualDiskSpec(
            diskType=disk_type, adapterType=adapter, capacityKb=size_kb
        )
        datacenter = self._cluster.datacenter
        self._session.task(lambda content: content.virtualDiskManager.CreateVirtualDisk_Task(path, datacenter, spec))

    def copy_disk(self, path: str, new: str) -> None:
        """A whole copy, of whatever the disk stands on; an incomplete one of an earlier attempt goes first."""
        datacenter = self._cluster.datacenter
        self.remove_disk(new)
        self._session.task(
            lambda content: content.virtualDiskManager.CopyVirtualDisk_Task(path, datacenter, new, datacenter)
        )

    def move_disk(self, path: str, new: str) -> None:
        datacenter = self._cluster.datacenter
        self._session.task(
            lambda content: content.virtualDiskManager.MoveVirtualDisk_Task(path, datacenter, new, datacenter, False)
        )

    def grow_disk(self, path: str, size_kb: int) -> None:
        datacenter = self._cluster.datacenter
        self._session.task(
            lambda content: content.virtualDiskManager.ExtendVirtualDisk_Task(path, datacenter, size_kb, False)
        )

    def remove_disk(self, path: str) -> None:
        """No error when there is none."""
        datacenter = self._cluster.datacenter
        try:
            self._session.task(lambda content: content.virtualDiskManager.DeleteVirtualDisk_Task(path, datacenter))
        except errors.GuestFailed as error:
            if not has_fault(error, "FileNotFound"):
                raise


def split(path: str) -> tuple[str, str]:
    """The datastore and the path in it of "[datastore] path"."""
    datastore, _, rest = path.partition("] ")
    return datastore.removeprefix("["), rest
