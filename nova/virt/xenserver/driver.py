"""The XenServer driver: what each method must reach, in terms of the modules that know how."""

import contextlib
import datetime
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oslo_config import cfg

from nova import errors
from nova.structs.disks import DisksId, HeldDisks
from nova.structs.guest import ConsoleAddress, ConsoleKind, Disk, GuestSpec, GuestState, NodeState, RebootKind
from nova.structs.instance import PowerState
from nova.structs.network import Vif
from nova.virt.turns import Turns
from nova.virt.xenserver import blueprint, console, diagnostics, migration, moving, power, rescue, snapshot
from nova.virt.xenserver.events import Events
from nova.virt.xenserver.guests import Guests
from nova.virt.xenserver.host import HostFacts
from nova.virt.xenserver.identity import Vm
from nova.virt.xenserver.migration import LiveMigrations
from nova.virt.xenserver.session import Session

LOG = logging.getLogger(__name__)

_UUID = re.compile(r"[0-9a-f-]{36}")


class XenAPIDriver:
    """Guests of one host of a pool. Methods of different guests run side by side, those of one guest in turn."""

    needs_images = True
    disk_formats = frozenset({"raw", "ami", "vhd"})

    def __init__(self, conf: cfg.ConfigOpts, host: str = "") -> None:
        name = host or conf.host
        self._session = Session(conf, name)
        self._facts = HostFacts(self._session, conf, name)
        self._guests = Guests(self._session, self._facts, conf, name)
        self._migrations = LiveMigrations(self._session, self._facts, self._guests, name)
        self._events = Events(self._session, name)
        self._turns = Turns()

    def start(self) -> None:
        self._facts.look_again()
        LOG.info("host %s of the pool at %s runs guests of XenServer", self._facts.ref(), self._session.master_url)
        self._facts.storage()

    def check(self) -> None:
        self._facts.check()

    def nodes(self) -> tuple[NodeState, ...]:
        self._facts.look_again()
        return (self._facts.node(),)

    def guests(self) -> tuple[GuestState, ...]:
        return tuple(_state(vm) for vm in self._guests.vms.all() if vm.is_whole and _UUID.fullmatch(vm.name))

    def guest(self, uuid: str) -> GuestState:
        return _state(self._guests.guest(uuid))

    def create(self, spec: GuestSpec) -> None:
        blueprint.check(spec)
        with self._turns.guest(spec.uuid), contextlib.ExitStack() as undo:
            holdings = self._guests.holdings(spec)
            vm = self._guests.vms.find(spec.uuid)
            if vm is None or not vm.is_whole or not holdings.is_own(spec) or self._guests.missing(vm, spec):
                is_found = holdings.claim(spec, undo)
                if is_found:
                    # What is missing there was the server's only disk.
                    self._guests.check(spec)
                vm = self._guests.vms.get(spec.uuid)
                power.switch_off(self._session, vm)
                vm = self._guests.define(vm, spec, undo, may_make_data=not is_found)
            self._guests.start(vm)
            undo.pop_all()

    def destroy(
        self, uuid: str, vifs: tuple[Vif, ...] = (), keep_disks: bool = False, made_by: DisksId | None = None
    ) -> None:
        with self._turns.guest(uuid):
            vm = self._guests.vms.find(uuid)
            if vm is None:
                return
            self._guests.undefine(vm)
            if not keep_disks:
                self._guests.holdings().release(uuid, made_by)

    def set_power(self, uuid: str, target: PowerState, grace: datetime.timedelta = datetime.timedelta()) -> None:
        with self._turns.guest(uuid):
            vm = self._guests.guest(uuid)
            if target is PowerState.RUNNING:
                self._guests.start(vm)
            elif target is PowerState.PAUSED:
                power.pause(self._session, vm)
            elif target is PowerState.SUSPENDED:
                power.suspend(self._session, vm)
            else:
                power.shut_down(self._session, vm, grace)

    def reboot(self, spec: GuestSpec, kind: RebootKind, grace: datetime.timedelta) -> None:
        with self._turns.guest(spec.uuid):
            vm = self._guests.vms.find(spec.uuid)
            if kind is RebootKind.SOFT and vm is not None and power.read_state(vm) is PowerState.RUNNING:
                if power.ask_to_shut_down(self._session, vm, grace):
                    self._guests.start(self._guests.vms.get(spec.uuid))
                    return
                LOG.warning("guest %s does not reboot by itself within %s", spec.uuid, grace)
            self._restart(spec)

    def console_output(self, uuid: str, limit_bytes: int) -> bytes:
        return console.read_tail(self._session, self._guests.guest(uuid), limit_bytes)

    def console_address(self, uuid: str, kind: ConsoleKind) -> ConsoleAddress:
        return console.find_address(self._session, self._guests.guest(uuid), kind)

    def attach_vif(self, uuid: str, vif: Vif) -> None:
        with self._turns.guest(uuid):
            self._guests.devices.attach_vif(self._guests.guest(uuid), vif)

    def detach_vif(self, uuid: str, vif: Vif) -> None:
        with self._turns.guest(uuid):
            vm = self._guests.vms.find(uuid)
            if vm is not None:
                self._guests.devices.detach_vif(vm, vif)

    # Volumes

    def connector(self) -> dict[str, Any]:
        return self._guests.volumes.connector()

    def attach_volume(self, uuid: str, disk: Disk) -> None:
        with self._turns.guest(uuid):
            self._guests.volumes.attach(self._guests.guest(uuid), disk)

    def detach_volume(self, uuid: str, disk: Disk) -> None:
        with self._turns.guest(uuid):
            self._guests.volumes.detach(self._guests.vms.find(uuid), disk)

    def swap_volume(self, uuid: str, old: Disk, new: Disk) -> None:
        raise errors.NotImplementedHere(action="change a volume under a running guest")

    # Snapshots

    def snapshot(self, uuid: str, target: Path, image_format: str) -> None:
        with self._turns.guest(uuid):
            snapshot.copy_root(self._session, self._guests.guest(uuid), self._guests.disks, target, image_format)

    # Rescue

    def rescue(self, spec: GuestSpec, rescue_disk: Disk) -> None:
        with self._turns.guest(spec.uuid):
            vm = self._guests.guest(spec.uuid)
            rescue.begin(self._session, self._guests, vm, spec, rescue_disk)
            self._guests.start(self._guests.vms.get(spec.uuid))

    def unrescue(self, spec: GuestSpec) -> None:
        with self._turns.guest(spec.uuid):
            vm = self._guests.vms.find(spec.uuid)
            if vm is not None and not rescue.is_rescued(vm) and power.read_state(vm) is PowerState.RUNNING:
                return
            if vm is not None:
                rescue.end(self._session, self._guests, vm)
            self._restart(spec)

    # Resizing

    def resize_disks(self, spec: GuestSpec) -> None:
        with self._turns.guest(spec.uuid), contextlib.ExitStack() as undo:
            vm = self._guests.check(spec)
            if not vm.is_off:
                raise errors.GuestFailed(reason="The disks of a running guest are not resized")
            moving.grow_disks(self._guests, vm, spec)
            self._guests.define(vm, spec, undo)
            undo.pop_all()

    # Moving

    def set_aside(self, spec: GuestSpec) -> dict[str, Any]:
        with self._turns.guest(spec.uuid):
            return moving.set_aside(self._session, self._guests, spec)

    def take_over(self, spec: GuestSpec, facts: dict[str, Any]) -> None:
        blueprint.check(spec)
        with self._turns.guest(spec.uuid):
            moving.take_over(self._session, self._guests, spec, facts)

    def bring_back(self, spec: GuestSpec) -> None:
        with self._turns.guest(spec.uuid):
            moving.bring_back(self._session, self._guests, spec)

    def forget_aside(self, uuid: str) -> None:
        with self._turns.guest(uuid):
            self._guests.holdings().forget_aside(uuid)

    # DiskChecks

    def check_disks(self, spec: GuestSpec, aside: bool = False, own: bool = True) -> None:
        with self._turns.guest(spec.uuid):
            moving.check_disks(self._guests, spec, aside, own)

    # LiveMigration

    def prepare_destination(self, spec: GuestSpec) -> dict[str, Any]:
        blueprint.check(spec)
        with self._turns.guest(spec.uuid):
            return migration.as_dict(self._migrations.prepare(spec))

    def migrate(
        self,
        spec: GuestSpec,
        to: str,
        facts: dict[str, Any],
        progress: Callable[[int], bool],
        is_paused: bool = False,
    ) -> None:
        with self._turns.guest(spec.uuid):
            self._migrations.migrate(spec, migration.as_facts(facts), progress)

    def abort_destination(self, spec: GuestSpec, stays_away: bool = False) -> None:
        # The guest is one for both hosts: where its source says that it runs there, there is no copy here.
        if not stays_away:
            with self._turns.guest(spec.uuid):
                self._migrations.abort(spec)

    def has_arrived(self, uuid: str) -> bool:
        with self._turns.guest(uuid):
            return self._migrations.has_arrived(uuid)

    # HeldDisksOnHost

    def held_disks(self) -> tuple[HeldDisks, ...]:
        return self._guests.holdings().held()

    def mark_disks(self, uuid: str, disks_id: DisksId) -> None:
        with self._turns.guest(uuid):
            self._guests.holdings().mark(uuid, disks_id)

    def rename_host(self, old: str, new: str) -> None:
        self._guests.vms.adopt(old)
        self._guests.holdings().rename_host(old, new)

    def remove_held_disks(self, held: HeldDisks) -> None:
        with self._turns.guest(held.server):
            vm = self._guests.vms.find(held.name)
            if vm is not None and (held.place != "own" or not vm.is_whole):
                self._guests.holdings().remove_held(held)

    # GuestEvents

    def wait_for_change(self, timeout_s: float) -> bool:
        return self._events.wait_for_change(timeout_s)

    # Diagnostics

    def diagnostics(self, uuid: str) -> dict[str, Any]:
        return diagnostics.read(self._session, self._guests.guest(uuid), self._guests.devices)

    def _restart(self, spec: GuestSpec) -> None:
        """Power off, define again, start. Disks with data are never created here. Raises DiskMissing."""
        with contextlib.ExitStack() as undo:
            vm = self._guests.check(spec)
            power.switch_off(self._session, vm)
            vm = self._guests.vms.get(spec.uuid)
            if not rescue.is_rescued(vm):
                vm = self._guests.define(vm, spec, undo)
            self._guests.start(vm)
            undo.pop_all()


def _state(vm: Vm) -> GuestState:
    return GuestState(uuid=vm.name, name=vm.record["name_label"], power_state=power.read_state(vm))
