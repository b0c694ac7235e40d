"""The driver of a vCenter's cluster: what each method must reach, in terms of the modules that know how."""

import contextlib
import datetime
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oslo_config import cfg
from pyVmomi import vim

from nova import concurrency, errors
from nova.conf import BadConfiguration
from nova.structs.disks import DisksId, HeldDisks
from nova.structs.guest import ConsoleAddress, ConsoleKind, Disk, GuestSpec, GuestState, NodeState, RebootKind
from nova.structs.instance import PowerState
from nova.structs.network import Vif
from nova.virt.holdings import Holdings
from nova.virt.turns import Turns
from nova.virt.vmware import diagnostics, guest_config, serial
from nova.virt.vmware.building import Builder
from nova.virt.vmware.cluster import Cluster
from nova.virt.vmware.files import Files
from nova.virt.vmware.machine import Machine
from nova.virt.vmware.machines import Machines, MachineShelf
from nova.virt.vmware.moving import Moves
from nova.virt.vmware.rescue import Rescues
from nova.virt.vmware.session import Session, has_fault
from nova.virt.vmware.snapshots import Snapshots
from nova.virt.vmware.volumes import VolumeDisks

LOG = logging.getLogger(__name__)

_NEEDED = ("host_ip", "host_username", "host_password", "cluster_name")
# What a guest without VMware's tools, or with tools that do not run yet, says to a request.
_DEAF = ("ToolsUnavailable", "InvalidPowerState", "NotSupported", "MethodNotFound", "InvalidState")


class VMwareVCDriver:
    """Guests of one cluster. Methods of different guests run side by side, those of one guest in turn."""

    needs_images = True
    disk_formats = frozenset({"vmdk", "iso", "raw", "qcow2"})

    def __init__(self, conf: cfg.ConfigOpts, host: str = "") -> None:
        missing = [name for name in _NEEDED if not conf.vmware[name]]
        if missing:
            raise BadConfiguration(f"[vmware] {missing[0]} is needed by this compute_driver, and is not set")
        self._conf = conf
        self._host = host or conf.host
        self._session = Session(conf, self._host)
        self._cluster = Cluster(conf, self._session)
        self._files = Files(self._session, self._cluster, self._host)
        self._machines = Machines(self._session, self._cluster, self._host)
        self._builder = Builder(conf, self._session, self._cluster, self._machines, self._files, self._host)
        self._volumes = VolumeDisks(self._session, self._machines)
        self._moves = Moves(self._session, self._machines, self._builder, self._volumes, self._host)
        self._snapshots = Snapshots(self._session, self._machines, self._files, self._host)
        self._rescues = Rescues(self._machines, self._builder, self._files)
        self._turns = Turns()

    def start(self) -> None:
        node = self._cluster.node()
        for uuid in self._snapshots.left_over():
            try:
                with self._turns.guest(uuid):
                    self._snapshots.clear(uuid)
            except errors.GuestFailed as error:
                # One guest that cannot be read now keeps no other from its host.
                LOG.warning("what a copy of guest %s has left stays until its next: %s", uuid, error)
        LOG.info("the vCenter at %s has cluster %s", self._conf.vmware.host_ip, node.hypervisor_hostname)

    def check(self) -> None:
        self._session.read(lambda content: content.sessionManager.currentSession)

    def nodes(self) -> tuple[NodeState, ...]:
        return (self._cluster.node(),)

    def guests(self) -> tuple[GuestState, ...]:
        return self._machines.guests()

    def guest(self, uuid: str) -> GuestState:
        machine = self._machines.get(uuid)
        return GuestState(uuid=uuid, name=machine.config.name, power_state=machine.power_state)

    def create(self, spec: GuestSpec) -> None:
        guest_config.check(spec, self._host)
        with self._turn(spec.uuid) as shelf, contextlib.ExitStack() as undo:
            machine = self._build(spec, shelf, undo)
            self._machines.power_on(machine)
            undo.pop_all()

    def destroy(
        self, uuid: str, vifs: tuple[Vif, ...] = (), keep_disks: bool = False, made_by: DisksId | None = None
    ) -> None:
        with self._turn(uuid) as shelf:
            self._snapshots.clear(uuid)
            machine = shelf.machine(uuid)
            if machine is not None and keep_disks:
                self._machines.power_off(machine)
                Holdings(shelf).put_away(uuid)
            elif machine is not None:
                Holdings(shelf).release(uuid, made_by)
            elif not keep_disks:
                shelf.remove_orphans(uuid)

    def set_power(self, uuid: str, target: PowerState, grace: datetime.timedelta = datetime.timedelta()) -> None:
        if target is PowerState.PAUSED:
            raise errors.NotImplementedHere(action="be paused")
        with self._turn(uuid):
            machine = self._machines.get(uuid)
            if target is PowerState.RUNNING:
                self._machines.power_on(machine)
            elif target is PowerState.SUSPENDED:
                self._machines.suspend(machine)
            else:
                self._shut_down(machine, grace)

    def reboot(self, spec: GuestSpec, kind: RebootKind, grace: datetime.timedelta) -> None:
        with self._turn(spec.uuid) as shelf:
            machine = shelf.machine(spec.uuid)
            if kind is RebootKind.SOFT and machine is not None and self._reboots_by_itself(machine):
                return
            Holdings(shelf).check_here(spec)
            shelf.forget(spec.uuid)
            machine = shelf.machine(spec.uuid)
            if machine is None:
                raise errors.DiskMissing(missing=[spec.uuid])
            self._builder.check_disks(machine, spec)
            self._machines.power_off(machine)
            self._builder.resize(machine, spec)
            self._builder.complete(machine, spec)
            self._machines.power_on(self._machines.get(spec.uuid))

    def console_output(self, uuid: str, limit_bytes: int) -> bytes:
        self._machines.get(uuid)
        return serial.read_tail(self._conf, uuid, self._machines.identity(uuid), limit_bytes)

    def console_address(self, uuid: str, kind: ConsoleKind) -> ConsoleAddress:
        self._machines.get(uuid)
        raise errors.NotImplementedHere(action=f"give a console of type {kind}")

    def attach_vif(self, uuid: str, vif: Vif) -> None:
        with self._turn(uuid):
            self._builder.add_nic(self._machines.get(uuid), vif)

    def detach_vif(self, uuid: str, vif: Vif) -> None:
        with self._turn(uuid):
            machine = self._machines.find(uuid)
            if machine is not None:
                self._builder.remove_nic(machine, vif)

    # Volumes

    def connector(self) -> dict[str, Any]:
        return {
            "host": self._host,
            "ip": str(self._conf.my_block_storage_ip),
            "platform": "x86_64",
            "os_type": "linux",
            "multipath": False,
        }

    def attach_volume(self, uuid: str, disk: Disk) -> None:
        with self._turn(uuid):
            self._volumes.attach(self._machines.get(uuid), disk)

    def detach_volume(self, uuid: str, disk: Disk) -> None:
        with self._turn(uuid):
            # A disk with a snapshot that was left is not given back.
            self._snapshots.clear(uuid)
            machine = self._machines.find(uuid)
            if machine is not None:
                self._volumes.detach(machine, disk)

    def swap_volume(self, uuid: str, old: Disk, new: Disk) -> None:
        raise errors.NotImplementedHere(action="swap volumes")

    # Copies of the root disk

    def snapshot(self, uuid: str, target: Path, image_format: str) -> dict[str, str]:
        with self._turn(uuid):
            return self._snapshots.copy_root(self._machines.get(uuid), target, image_format)

    # Rescue

    def rescue(self, spec: GuestSpec, rescue_disk: Disk) -> None:
        with self._turn(spec.uuid):
            self._rescues.begin(spec.uuid, spec, rescue_disk)

    def unrescue(self, spec: GuestSpec) -> None:
        with self._turn(spec.uuid):
            self._rescues.end(spec.uuid, spec)

    def diagnostics(self, uuid: str) -> dict[str, Any]:
        return diagnostics.read(self._session, self._machines.get(uuid))

    # Moving

    def set_aside(self, spec: GuestSpec) -> dict[str, Any]:
        with self._turn(spec.uuid) as shelf:
            return self._moves.set_aside(spec, shelf)

    def take_over(self, spec: GuestSpec, facts: dict[str, Any]) -> None:
        with self._turn(spec.uuid) as shelf:
            self._moves.take_over(spec, facts, shelf)

    def bring_back(self, spec: GuestSpec) -> None:
        with self._turn(spec.uuid) as shelf:
            self._moves.bring_back(spec, shelf)

    def forget_aside(self, uuid: str) -> None:
        with self._turn(uuid) as shelf:
            Holdings(shelf).forget_aside(uuid)

    # DiskChecks

    def check_disks(self, spec: GuestSpec, aside: bool = False, own: bool = True) -> None:
        with self._turn(spec.uuid) as shelf:
            self._moves.check_disks(spec, aside, own, shelf)

    # HeldDisksOnHost

    def held_disks(self) -> tuple[HeldDisks, ...]:
        return Holdings(self._shelf()).held()

    def mark_disks(self, uuid: str, disks_id: DisksId) -> None:
        with self._turn(uuid) as shelf:
            Holdings(shelf).mark(uuid, disks_id)

    def rename_host(self, old: str, new: str) -> None:
        before = Machines(self._session, self._cluster, old)
        for name in before.names():
            machine = before.find(name)
            if machine is not None:
                identity = self._machines.identity(name)
                self._machines.change(machine, vim.vm.ConfigSpec(instanceUuid=identity))
        Holdings(self._shelf()).rename_host(old, new)

    def remove_held_disks(self, held: HeldDisks) -> None:
        with self._turn(held.server) as shelf:
            machine = shelf.machine(held.name)
            if machine is not None and (held.place != "own" or machine.power_state is PowerState.SHUTDOWN):
                Holdings(shelf).remove_held(held)

    def _build(self, spec: GuestSpec, shelf: MachineShelf, undo: contextlib.ExitStack) -> Machine:
        """The guest's machine with all that spec says, off where it is new."""
        Holdings(shelf).claim(spec, undo)
        if shelf.machine(spec.uuid) is None:
            shelf.see(self._builder.create(spec, shelf.read_mark(spec.uuid)))
        else:
            shelf.keep(spec.uuid)
        machine = self._there(shelf, spec.uuid)
        if self._builder.complete(machine, spec):
            shelf.forget(spec.uuid)
        return self._there(shelf, spec.uuid)

    @staticmethod
    def _there(shelf: MachineShelf, uuid: str) -> Machine:
        machine = shelf.machine(uuid)
        if machine is None:
            raise errors.GuestFailed(reason="The guest went while it was made")
        return machine

    def _shut_down(self, machine: Machine, grace: datetime.timedelta) -> None:
        """Ask the guest, and switch it off after grace."""
        if grace and machine.power_state is PowerState.RUNNING:
            try:
                self._session.change(lambda _: machine.object.ShutdownGuest())
            except errors.GuestFailed as error:
                if not has_fault(error, *_DEAF):
                    raise
            else:
                runtime = machine.object
                concurrency.wait_for(
                    lambda: self._session.read(lambda _: runtime.runtime.powerState) == "poweredOff",
                    grace.total_seconds(),
                    interval_s=self._conf.vmware.task_poll_interval,
                )
        self._machines.power_off(machine)

    def _reboots_by_itself(self, machine: Machine) -> bool:
        """Ask the guest to reboot; whether it has heard."""
        if machine.power_state is not PowerState.RUNNING:
            return False
        try:
            self._session.change(lambda _: machine.object.RebootGuest())
        except errors.GuestFailed as error:
            if not has_fault(error, *_DEAF):
                raise
            LOG.warning("guest %s does not reboot by itself: %s", machine.name, error)
            return False
        return True

    def _shelf(self) -> MachineShelf:
        return MachineShelf(self._machines, self._files, self._cluster, self._host)

    @contextlib.contextmanager
    def _turn(self, uuid: str) -> Iterator[MachineShelf]:
        """A guest's turn, with what is known of its machines during it. Raises errors.Unavailable."""
        with self._turns.guest(uuid):
            yield self._shelf()
