"""Copies a guest's root disk as it is at one instant, without stopping the guest.

A machine without devices, the copier, is made first: as long as it is there, something of a snapshot may be. Then the guest's
machine gets a snapshot, which freezes its disks' files; the copier gets a disk that stands on the frozen file, and a lease of the
vCenter gives its content as one stream. At last the copier's disk goes, then the snapshot, then the copier.
"""

import contextlib
import errno
import functools
import time
import urllib.parse
from pathlib import Path
from typing import Any, BinaryIO

from pyVmomi import vim

from nova import concurrency, errors
from nova.virt.vmware import conversion, devices, disks
from nova.virt.vmware.files import Files
from nova.virt.vmware.machine import Machine, server_of
from nova.virt.vmware.machines import SHELF_OPTION, Machines, host_suffix
from nova.virt.vmware.session import Session

# What the copier is called after its server, the snapshot that is ours, and where in the copier's directory its disk is.
_COPIER, _SNAPSHOT, _DIRECTORY = "snapshot", "nova-snapshot", "disk"
_FORMATS = ("vmdk", "raw", "qcow2")
# A vCenter ends a lease of which it hears nothing for five minutes.
_PULSE_S = 30.0
_READY_S = 300.0
_CHUNK = 1 << 20


class Snapshots:
    """Works in its guest's turn."""

    def __init__(self, session: Session, machines: Machines, files: Files, host: str) -> None:
        self._session, self._machines, self._files, self._host = session, machines, files, host

    def copy_root(self, machine: Machine, target: Path, wanted: str) -> dict[str, str]:
        """Write the root disk to target; what an image of it must say beside its format. A failure leaves nothing.

        wanted: vmdk, raw or qcow2. Raises errors.GuestFailed, errors.DiskFull.
        """
        if wanted not in _FORMATS:
            raise errors.GuestFailed(reason=f"Copies of disks are written as {', '.join(_FORMATS)}, not as {wanted}")
        if disks.find(machine, "root") is None:
            raise errors.GuestFailed(reason="The guest has no disk on this host to be copied")
        self.clear(machine.name)
        stream = target.with_name(f"{target.name}.stream")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.ExitStack() as undo:
                undo.callback(self.clear, machine.name)
                self._export(self._make_copier(machine), stream)
            self._convert(stream, target, wanted)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        finally:
            stream.unlink(missing_ok=True)
        return {"vmware_disktype": "streamOptimized"} if wanted == "vmdk" else {}

    def clear(self, uuid: str) -> None:
        """Remove what a copy that was broken off has left, and what tells of it last.

        The copier's disk stands on the guest's: it is taken away and removed as a file, so that the copier goes without any disk.
        """
        copier = self._machines.find(f"{uuid}.{_COPIER}")
        if copier is None:
            return
        if copier.disks:
            removals = [devices.remove(disk) for disk in copier.disks]
            self._machines.change(copier, vim.vm.ConfigSpec(deviceChange=removals))
        self._files.remove(copier.file(_DIRECTORY))
        machine = self._machines.find(uuid)
        for snapshot in self._snapshots(machine) if machine is not None else ():
            self._session.task(functools.partial(_remove, snapshot))
        self._session.task(lambda _: copier.object.Destroy_Task())

    def left_over(self) -> list[str]:
        """The servers of which copies were broken off."""
        return [server_of(name) for name in self._machines.names() if name.endswith(f".{_COPIER}")]

    def _snapshots(self, machine: Machine) -> list[Any]:
        """Those of ours."""
        found = self._session.properties([machine.object], vim.VirtualMachine, ["snapshot"])
        trees = [tree for _, values in found if "snapshot" in values for tree in values["snapshot"].rootSnapshotList]
        ours = []
        while trees:
            tree = trees.pop()
            trees += tree.childSnapshotList
            ours += [tree.snapshot] if tree.name == _SNAPSHOT else []
        return ours

    def _make_copier(self, machine: Machine) -> Any:
        """The copier with its disk."""
        name = f"{machine.name}.{_COPIER}"
        store = machine.directory.partition("]")[0] + "]"
        directory = f"{store} {name}{host_suffix(self._host)}"
        config = vim.vm.ConfigSpec(
            name=f"{machine.config.name.rpartition('(')[0]}({name})",
            uuid=machine.config.uuid,
            instanceUuid=self._machines.identity(name),
            guestId=machine.config.guestId,
            numCPUs=1,
            memoryMB=32,
            files=vim.vm.FileInfo(vmPathName=f"{directory}/{name}.vmx"),
            extraConfig=[vim.option.OptionValue(key=SHELF_OPTION, value=name)],
            deviceChange=[devices.add(devices.controller("lsiLogic"))],
        )
        copier = self._machines.create(config, name)
        frozen = self._freeze(machine)
        controller = disks.first_controller(copier)
        assert controller is not None
        self._files.make_directory(copier.file(_DIRECTORY))
        path = copier.file(f"{_DIRECTORY}/root-0.vmdk")
        disk = devices.disk(path, frozen[1], (controller, 0), -151, parent=frozen[0])
        self._machines.change(copier, vim.vm.ConfigSpec(deviceChange=[devices.add(disk, makes_file=True)]))
        return copier.object

    def _freeze(self, machine: Machine) -> tuple[str, int]:
        """Make the snapshot; the file of the root disk that nobody writes to from now on, and its size in KiB."""
        snapshot = self._session.task(
            lambda _: machine.object.CreateSnapshot_Task(_SNAPSHOT, "of the Compute service", False, False)
        )
        unit, controller = disks.units_of(machine)["root"], disks.first_controller(machine)
        _, values = self._session.properties([snapshot], vim.vm.Snapshot, ["config"])[0]
        for one in values["config"].hardware.device:
            if isinstance(one, vim.vm.device.VirtualDisk) and (one.controllerKey, one.unitNumber) == (controller, unit):
                backing: Any = one.backing
                return str(backing.fileName), int(one.capacityInKB)
        raise errors.GuestFailed(reason="The guest's root disk is not part of its snapshot")

    def _export(self, machine: Any, target: Path) -> None:
        """Write the machine's only disk to target, as the vCenter streams it."""
        lease = self._session.change(lambda _: machine.ExportVm())
        try:
            url = self._wait_for_url(lease)
            self._session.change(lambda _: self._download(lease, url, target))
        except BaseException:
            with contextlib.suppress(errors.DomainError):
                self._session.change(lambda _: lease.HttpNfcLeaseAbort(None))
            raise
        self._session.change(lambda _: lease.HttpNfcLeaseComplete())

    def _wait_for_url(self, lease: Any) -> urllib.parse.SplitResult:
        states = vim.HttpNfcLease.State
        is_over = (states.ready, states.error, states.done)
        if not concurrency.wait_for(lambda: self._session.read(lambda _: lease.state) in is_over, _READY_S):
            raise errors.GuestFailed(reason="The hypervisor gives no disk away", detail="its lease is not ready")
        if self._session.read(lambda _: lease.state) != states.ready:
            reason = self._session.read(lambda _: lease.error)
            raise errors.GuestFailed(reason="The hypervisor gives no disk away", detail=getattr(reason, "msg", ""))
        urls = [str(one.url) for one in self._session.read(lambda _: lease.info).deviceUrl if one.disk]
        if len(urls) != 1:
            raise errors.GuestFailed(
                reason="The hypervisor gives no disk away", detail=f"{len(urls)} disks in its lease"
            )
        return urllib.parse.urlsplit(urls[0])

    def _download(self, lease: Any, url: urllib.parse.SplitResult, target: Path) -> None:
        with contextlib.closing(self._session.http(url.hostname, url.port)) as connection, target.open("wb") as file:
            # The lease's address is all that a host asks for: a session is none of its business.
            connection.request("GET", url.path)
            answer = connection.getresponse()
            if answer.status != 200:
                detail = f"{answer.status} {answer.reason}"
                raise errors.GuestFailed(reason="The hypervisor does not give the disk's content", detail=detail)
            expected, spoken = answer.length, time.monotonic()
            while chunk := answer.read(_CHUNK):
                self._write(file, chunk)
                if time.monotonic() - spoken > _PULSE_S:
                    spoken = time.monotonic()
                    self._session.read(lambda _: lease.HttpNfcLeaseProgress(1))
            if expected is not None and file.tell() != expected:
                raise errors.Unavailable(
                    service="The hypervisor", reason="it broke off", detail=f"{file.tell()} of {expected} bytes"
                )

    def _write(self, file: BinaryIO, chunk: bytes) -> None:
        try:
            file.write(chunk)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise errors.DiskFull(host=self._host) from error

    def _convert(self, stream: Path, target: Path, wanted: str) -> None:
        conversion.check(stream, "vmdk")
        if wanted == "vmdk":
            stream.rename(target)
        else:
            conversion.convert(self._host, stream, "vmdk", target, wanted)


def _remove(snapshot: Any, _: Any) -> Any:
    return snapshot.RemoveSnapshot_Task(False, True)
