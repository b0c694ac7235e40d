"""A guest as the steps find it and make it: its VM, its disks, its devices, and whose they are."""

import contextlib
import logging
import subprocess
import tempfile
from collections.abc import Collection
from pathlib import Path

from oslo_config import cfg

from nova import concurrency, errors
from nova.structs.guest import Disk, GuestSpec
from nova.virt.holdings import Holdings
from nova.virt.xenserver import blueprint, identity, power, transfer
from nova.virt.xenserver.devices import Devices
from nova.virt.xenserver.disks import Disks
from nova.virt.xenserver.host import HostFacts
from nova.virt.xenserver.identity import Vm
from nova.virt.xenserver.images import Images, image_of
from nova.virt.xenserver.session import Session
from nova.virt.xenserver.vms import Vms, VmShelf
from nova.virt.xenserver.volumes import Volumes

LOG = logging.getLogger(__name__)

_MIB = 1 << 20
CONFIG_DRIVE = "config"
_PACKED_WITHIN_S = 300


class Guests:
    """The guests of one host."""

    def __init__(self, session: Session, facts: HostFacts, conf: cfg.ConfigOpts, host: str) -> None:
        self._session = session
        self._facts = facts
        self._conf = conf
        self.vms = Vms(session, host)
        self.disks = Disks(session, facts.storage)
        self.devices = Devices(session, host)
        self.images = Images(session, self.disks, conf, host)
        self.volumes = Volumes(session, self.vms, self.devices, host, facts.ref)

    def holdings(self, spec: GuestSpec | None = None) -> Holdings:
        """spec: what a VM that has to be made is made by."""
        os_type = self._conf.xenserver.default_os_type
        make = None if spec is None else lambda: blueprint.vm_record(spec, os_type)
        return Holdings(VmShelf(self._session, self.vms, self.disks, make))

    def guest(self, uuid: str) -> Vm:
        """A VM that is a guest, with all its devices. Raises errors.GuestNotFound."""
        vm = self.vms.get(uuid)
        if not vm.is_whole:
            raise errors.GuestNotFound(guest=uuid)
        return vm

    def missing(self, vm: Vm, spec: GuestSpec, seen: Collection[str] | None = None) -> list[str]:
        """The disks with data that the guest should have here, and has not. seen: the names of those it has."""
        there = self.disks.of(vm) if seen is None else seen
        names = blueprint.disk_names(spec.disks).items()
        return [f"{vm.name} {name}" for name, disk in names if disk.kind != "swap" and name not in there]

    def check(self, spec: GuestSpec) -> Vm:
        """The VM with the guest's disks, all there and this placement's. Raises errors.DiskMissing."""
        self.holdings(spec).check_here(spec)
        vm = self.vms.get(spec.uuid)
        if missing := self.missing(vm, spec):
            raise errors.DiskMissing(missing=missing)
        return vm

    def define(self, vm: Vm, spec: GuestSpec, undo: contextlib.ExitStack, may_make_data: bool = False) -> Vm:
        """Make of a VM that is off the guest that spec says: its size, its disks, its devices. undo disconnects volumes.

        may_make_data: whether disks that hold data may be made, too.
        """
        self._resize(vm, spec)
        places = blueprint.places(spec.disks)
        there = self.disks.of(vm)
        for name, disk in blueprint.disk_names(spec.disks).items():
            if name in there:
                ref = there[name][0]
            elif may_make_data or disk.kind == "swap":
                ref = self._make_disk(vm, name, disk, spec)
            else:
                raise errors.DiskMissing(missing=[f"{vm.name} {name}"])
            self.devices.attach_disk(vm, ref, places[name])
        if spec.config_drive is not None:
            drive = there[CONFIG_DRIVE][0] if CONFIG_DRIVE in there else self.make_config_drive(vm, spec.config_drive)
            self.devices.attach_disk(vm, drive, blueprint.CONFIG_DRIVE, is_read_only=True)
        self._attach_volumes(vm, spec, places, undo)
        self.devices.detach_vifs_but(vm, spec.vifs)
        for vif in spec.vifs:
            self.devices.attach_vif(vm, vif)
        self.vms.set_config(vm, **{identity.WHOLE: vm.uuid})
        return self.vms.get(spec.uuid)

    def undefine(self, vm: Vm) -> None:
        """The VM is off, keeps its disks, and is no guest any more."""
        power.switch_off(self._session, vm)
        self.volumes.detach_all(vm)
        self.devices.detach_vifs_but(vm, ())
        self.vms.set_config(vm, **{identity.WHOLE: vm.undefined, identity.RESCUE: None})

    def start(self, vm: Vm) -> None:
        power.start(self._session, vm, self._facts.ref())

    def _resize(self, vm: Vm, spec: GuestSpec) -> None:
        record, memory, count = vm.record, str(spec.flavor.memory_mb * _MIB), str(spec.flavor.vcpus)
        if record["memory_static_max"] != memory or record["memory_dynamic_min"] != memory:
            self._session.call("VM.set_memory_limits", vm.ref, "0", memory, memory, memory)
        if record["VCPUs_max"] != count or record["VCPUs_at_startup"] != count:
            grows = int(count) > int(record["VCPUs_max"])
            # There are never more at startup than at most.
            for field in ("max", "at_startup") if grows else ("at_startup", "max"):
                self._session.call(f"VM.set_VCPUs_{field}", vm.ref, count)
        if record["name_label"] != spec.name:
            self._session.call("VM.set_name_label", vm.ref, spec.name)

    def _make_disk(self, vm: Vm, name: str, disk: Disk, spec: GuestSpec) -> str:
        if disk.kind == "root":
            return self.images.make_disk(vm, name, disk, image_of(spec))
        return self.disks.make(vm, name, disk.size_mb * _MIB)

    def _attach_volumes(self, vm: Vm, spec: GuestSpec, places: dict[str, str], undo: contextlib.ExitStack) -> None:
        wanted = {
            str(disk.volume.volume_id): disk for disk in spec.disks if disk.kind == "volume" and disk.volume is not None
        }
        for volume_id in self.volumes.attached_to(vm) - wanted.keys():
            self.volumes.detach_id(vm, volume_id)
        for volume_id, disk in wanted.items():
            undo.callback(self.volumes.detach_id, vm, volume_id)
            self.volumes.attach(vm, disk, places.get(volume_id))

    def make_config_drive(self, vm: Vm, files: dict[str, bytes], name: str = CONFIG_DRIVE) -> str:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "config.iso"
            _pack(self._conf.mkisofs_cmd, files, Path(directory) / "files", path)

            def fill(ref: str) -> None:
                transfer.send(self._session, ref, path, "raw")

            return self.disks.make(vm, name, path.stat().st_size, fill)


def _pack(program: str, files: dict[str, bytes], directory: Path, target: Path) -> None:
    """An ISO 9660 file system with the label by which guests know a config drive."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    words = [program, "-quiet", "-J", "-r", "-V", "config-2", "-o", str(target), str(directory)]
    done = concurrency.run_blocking(subprocess.run, words, capture_output=True, timeout=_PACKED_WITHIN_S)
    if done.returncode:
        detail = done.stderr[-500:].decode(errors="replace")
        raise errors.GuestFailed(reason="The config drive cannot be made", detail=detail)
