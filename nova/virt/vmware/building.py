"""Makes a guest's machine, and completes one that an attempt before has begun: nothing that is there is made again.

A machine's own disks stand on its first controller, the root disk on unit 0. Which is which is for nova.virt.vmware.disks.
"""

import logging
from typing import Any

from oslo_config import cfg
from pyVmomi import vim

from nova import errors
from nova.structs.disks import DisksId, Mark
from nova.structs.guest import Disk, GuestSpec
from nova.structs.image import Image
from nova.structs.network import Vif
from nova.virt.vmware import config_drive, devices, disks, guest_config, serial
from nova.virt.vmware.cluster import Cluster, Datastore
from nova.virt.vmware.files import Files
from nova.virt.vmware.images import MIB, DatastoreImages
from nova.virt.vmware.machine import Machine
from nova.virt.vmware.machines import Machines, host_suffix
from nova.virt.vmware.session import Session, has_fault
from nova.virt.vmware.volumes import VolumeDisks

LOG = logging.getLogger(__name__)

CONFIG_DRIVE, RESCUE_DRIVE = "config-drive.iso", "rescue/config-drive.iso"
_FIRST_DISK_KEY = -151
_CONTROLLER_KEY = -101


class Builder:
    """What machines are made of."""

    def __init__(
        self, conf: cfg.ConfigOpts, session: Session, cluster: Cluster, machines: Machines, files: Files, host: str
    ) -> None:
        self._conf, self._session, self._cluster = conf, session, cluster
        self._machines, self._files, self._host = machines, files, host
        self._images = DatastoreImages(conf, files, host)
        self._volumes = VolumeDisks(session, machines)

    def create(self, spec: GuestSpec, mark: Mark | None, source: Machine | None = None) -> Machine:
        """Make the machine, off, with all that can be made in one go. source: the machine whose disks it is to have."""
        store = self._choose(spec)
        try:
            return self._create(spec, mark, store, source)
        except errors.GuestFailed as error:
            if not has_fault(error, "FileNotFound", "FileAlreadyExists"):
                raise
            # Somebody has removed a cached image, or unregistered a machine of this placement, whose files stay.
            LOG.warning("guest %s is made once more: %s", spec.uuid, error)
            self._images.forget()
            self._cluster.forget()
            if has_fault(error, "FileAlreadyExists"):
                directory = f"[{store.name}] {directory_name(spec.uuid, spec.disks_id)}"
                self._files.put_away(directory)
            return self._create(spec, mark, store, source)

    def complete(self, machine: Machine, spec: GuestSpec, source: Machine | None = None) -> bool:
        """Add what the machine lacks of its spec; whether that was anything."""
        changed = False
        for role in disks.local_disks(spec):
            if disks.find(machine, role, spec) is None:
                self._add_disk(machine, spec, role, source)
                changed = True
        operations = [
            devices.add(self._nic(spec, vif, number))
            for number, vif in enumerate(spec.vifs)
            if devices.find_nic(machine.devices, vif.mac) is None
        ]
        operations += serial.ports(self._conf, machine)
        has_drive = any(find_cd(machine, name) is not None for name in (CONFIG_DRIVE, RESCUE_DRIVE))
        if spec.config_drive is not None and not has_drive:
            path = machine.file(CONFIG_DRIVE)
            self.upload_drive(spec, path)
            operations += devices.cd(path, machine.devices)
        if operations:
            self._machines.change(machine, vim.vm.ConfigSpec(deviceChange=operations))
        for disk in spec.disks:
            if disk.kind == "volume":
                now = self._machines.get(spec.uuid) if changed or operations else machine
                changed = self._volumes.attach(now, disk) or changed
        return changed or bool(operations)

    @staticmethod
    def check_disks(machine: Machine, spec: GuestSpec) -> None:
        """Every own disk of spec is there. Raises errors.DiskMissing."""
        wanted = disks.local_disks(spec)
        missing = [f"{machine.name}: {role}" for role in wanted if disks.find(machine, role, spec) is None]
        if missing:
            raise errors.DiskMissing(missing=missing)

    def resize(self, machine: Machine, spec: GuestSpec) -> None:
        """Give the machine, which is off, the processors and memory of spec, and what an older release has not written."""
        config = guest_config.size(spec)
        config.extraConfig = disks.missing_options(machine, spec)
        self._machines.change(machine, config)

    def add_nic(self, machine: Machine, vif: Vif) -> None:
        if devices.find_nic(machine.devices, vif.mac) is None:
            model = devices.nic_model(machine.devices)
            self._machines.change(machine, vim.vm.ConfigSpec(deviceChange=[devices.add(self._device(vif, model, 0))]))

    def remove_nic(self, machine: Machine, vif: Vif) -> None:
        if (nic := devices.find_nic(machine.devices, vif.mac)) is not None:
            self._machines.change(machine, vim.vm.ConfigSpec(deviceChange=[devices.remove(nic)]))

    def upload_drive(self, spec: GuestSpec, path: str) -> None:
        """Write the config drive to a datastore."""
        with config_drive.iso_file(spec.config_drive or {}, self._conf.mkisofs_cmd) as file:
            self._files.upload(file, path)

    def image_disk(
        self, machine: Machine, spec: GuestSpec, image: Image, disk: Disk, path: str, place: tuple[int, int], key: int
    ) -> Any:
        """A new disk for the machine that stands on an image's. Raises errors.ImageInvalid, errors.DiskFull."""
        adapter = devices.adapter(_adapter(spec))
        base, size_kb = self._images.disk(image, disk, self._store_of(machine), adapter)
        return devices.disk(path, size_kb, place, key, parent=base)

    def _store_of(self, machine: Machine) -> Datastore:
        """Where the machine's own files are. Raises errors.GuestFailed."""
        for store in self._cluster.datastores():
            if machine.directory.startswith(f"[{store.name}]"):
                return store
        raise errors.GuestFailed(reason="The guest's datastore is not open", detail=machine.directory)

    def _create(self, spec: GuestSpec, mark: Mark | None, store: Datastore, source: Machine | None) -> Machine:
        directory = f"[{store.name}] {directory_name(spec.uuid, spec.disks_id)}"
        identity = self._machines.identity(spec.uuid)
        config = guest_config.describe(spec, spec.uuid, identity, mark, f"{directory}/{spec.uuid}.vmx")
        config.deviceChange = [devices.add(devices.controller(_adapter(spec)))]
        units = disks.new_units(spec)
        # Also of disks that come later: where one lies, nothing else is put.
        config.extraConfig += disks.options(units)
        for role, disk in disks.local_disks(spec).items():
            if not self._is_copied(spec, role, disk, source):
                place = (_CONTROLLER_KEY, units[role])
                device = self._new_disk(spec, disk, f"{directory}/{disk.kind}-{units[role]}.vmdk", place, store)
                config.deviceChange.append(devices.add(device, makes_file=True))
        if spec.image is not None and spec.image.disk_format == "iso":
            root = next(disk for disk in spec.disks if disk.kind == "root")
            config.deviceChange += devices.cd(self._images.iso(spec.image, root, store), ())
        config.deviceChange += [devices.add(self._nic(spec, vif, number)) for number, vif in enumerate(spec.vifs)]
        config.deviceChange += serial.ports(self._conf)
        return self._machines.create(config, spec.uuid)

    def _is_copied(self, spec: GuestSpec, role: str, disk: Disk, source: Machine | None) -> bool:
        """Whether a disk is a copy of another, which wants the machine's directory to be there."""
        if source is not None and disks.original(source, role, disk) is not None:
            return True
        is_of_image = disk.kind == "root" and spec.image is not None and spec.image.disk_format != "iso"
        default = str(self._conf.vmware.use_linked_clone)
        is_linked = guest_config.property_of(spec, "vmware_linked_clone", default).lower() == "true"
        return is_of_image and not is_linked

    def _new_disk(self, spec: GuestSpec, disk: Disk, path: str, place: tuple[int, int], store: Datastore) -> Any:
        key = _FIRST_DISK_KEY - place[1]
        if disk.kind == "root" and spec.image is not None and spec.image.disk_format != "iso":
            base, size_kb = self._images.disk(spec.image, disk, store, devices.adapter(_adapter(spec)))
            return devices.disk(path, size_kb, place, key, parent=base)
        return devices.disk(path, disk.size_mb * MIB // 1024, place, key)

    def _add_disk(self, machine: Machine, spec: GuestSpec, role: str, source: Machine | None) -> None:
        disk, unit = disks.local_disks(spec)[role], disks.unit_for(machine, role, spec)
        path, controller = machine.file(f"{disk.kind}-{unit}.vmdk"), disks.first_controller(machine)
        assert controller is not None
        store = self._store_of(machine)
        if not self._is_copied(spec, role, disk, source):
            device = self._new_disk(spec, disk, path, (controller, unit), store)
            self._machines.change(machine, vim.vm.ConfigSpec(deviceChange=[devices.add(device, makes_file=True)]))
            return
        if source is not None:
            size_kb = self._copy(disks.original(source, role, disk), disk, path)
        else:
            assert spec.image is not None
            base, size_kb = self._images.disk(spec.image, disk, store, devices.adapter(_adapter(spec)))
            self._files.copy_disk(base, path)
        device = devices.disk(path, size_kb, (controller, unit), _FIRST_DISK_KEY)
        self._machines.change(machine, vim.vm.ConfigSpec(deviceChange=[devices.add(device)]))

    def _copy(self, original: Any, disk: Disk, path: str) -> int:
        """Copy another machine's disk, as large as disk at least; its size in KiB."""
        self._files.copy_disk(original.backing.fileName, path)
        wanted_kb = disk.size_mb * MIB // 1024
        if wanted_kb > original.capacityInKB:
            self._files.grow_disk(path, wanted_kb)
        return max(wanted_kb, int(original.capacityInKB))

    def _choose(self, spec: GuestSpec) -> Datastore:
        """The datastore with the most room. Raises errors.DiskFull where that is less than the guest's own disks."""
        store = self._cluster.datastores()[0]
        if sum(disk.size_mb for disk in disks.local_disks(spec).values()) * MIB > store.capacity or store.free <= 0:
            raise errors.DiskFull(host=self._host)
        return store

    def _nic(self, spec: GuestSpec, vif: Vif, number: int) -> Any:
        return self._device(vif, nic_model(spec), number)

    def _device(self, vif: Vif, model: str, number: int) -> Any:
        network, facts = self._cluster.network(str(vif.details.get("bridge_name") or vif.network_label))
        return devices.nic(vif, model, network, facts, number)


def directory_name(uuid: str, disks_id: DisksId | None) -> str:
    """The directory of a placement's machine: found again also when the machine is not in the inventory."""
    if disks_id is None:
        return uuid
    return f"{uuid}.{disks_id.generation}{host_suffix(disks_id.host)}"


def nic_model(spec: GuestSpec) -> str:
    return guest_config.property_of(spec, "hw_vif_model", devices.DEFAULT_NIC)


def _adapter(spec: GuestSpec) -> str:
    return guest_config.property_of(spec, "vmware_adaptertype", "lsiLogic")


def find_cd(machine: Machine, name: str) -> Any:
    """The CD drive with a file of the machine's; None."""
    path = machine.file(name)
    drives = (one for one in machine.devices if isinstance(one, vim.vm.device.VirtualCdrom))
    return next((one for one in drives if getattr(one.backing, "fileName", None) == path), None)
