"""The KVM/QEMU driver: what each method must reach, in terms of the modules that know how."""

import contextlib
import datetime
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libvirt
import msgspec
from oslo_config import cfg

from nova import errors
from nova.structs.disks import DisksId, HeldDisks
from nova.structs.guest import (
    ConsoleAddress,
    ConsoleKind,
    Disk,
    GuestSpec,
    GuestState,
    NodeState,
    RebootKind,
    VolumeFile,
)
from nova.structs.instance import PowerState
from nova.structs.network import Vif
from nova.structs.share import Share
from nova.virt.libvirt import (
    console,
    devices,
    diagnostics,
    disk_calls,
    files,
    migration,
    moving,
    password,
    power,
    rescue,
    snapshot,
    switch_over,
    vif,
    volume_extension,
    volume_snapshot,
    volume_swap,
)
from nova.virt.libvirt.connection import Connection, Proxy
from nova.virt.libvirt.definition import Definitions
from nova.virt.libvirt.domain_xml import interface
from nova.virt.libvirt.domain_xml.disk import disk as disk_element
from nova.virt.libvirt.domain_xml.facts import METADATA_NAMESPACE
from nova.virt.libvirt.guest_disks import GuestDisks
from nova.virt.libvirt.host import HostFacts
from nova.virt.libvirt.live_migration import LiveMigrations
from nova.virt.libvirt.share_mounts import ShareMounts
from nova.virt.libvirt.storage import Storage
from nova.virt.libvirt.volumes import VolumeConnections
from nova.virt.turns import Turns

LOG = logging.getLogger(__name__)

_START_PATIENCE_S = 10.0
_AGENT_S = 60


class LibvirtDriver:
    """Guests of one libvirtd. Methods of different guests run side by side, those of one guest in turn."""

    needs_images = True
    disk_formats = frozenset({"raw", "iso", "ami", "qcow2"})

    def __init__(self, conf: cfg.ConfigOpts, host: str = "") -> None:
        self._conf = conf
        self._connection = Connection(conf.libvirt.connection_uri or "qemu:///system")
        self._options = files.DiskOptions.of(conf)
        self._storage = Storage(
            conf.instances_path,
            self._options,
            host or conf.host,
            conf.mkisofs_cmd,
            image_memory_limit_gb=conf.libvirt.images_address_space_limit,
        )
        self._volumes = VolumeConnections(conf, host or conf.host)
        self._mounts = ShareMounts(conf)
        self._disks = GuestDisks(conf.instances_path, self._storage, self._volumes.let_go)
        self._aside = moving.Aside(conf.instances_path, self._storage, self._options)
        self._definitions = Definitions(
            conf, self._connection, self._options, self._disks, self._volumes, lambda: self._host_facts.xml
        )
        self._migrations = LiveMigrations(conf, self._connection, self._disks, self._volumes, self._definitions)
        self._facts: HostFacts | None = None
        self._turns = Turns()

    def start(self) -> None:
        self._connection.open(_START_PATIENCE_S)
        self._facts = HostFacts(self._connection, self._conf)
        LOG.info("libvirt at %s runs guests of type %s", self._connection.uri, self._facts.xml.virt_type)
        for guest in self.guests():
            self._volumes.adopt(guest.uuid)

    def check(self) -> None:
        self._host_facts.disk_space()
        self._connection.read("getLibVersion")

    def nodes(self) -> tuple[NodeState, ...]:
        return (self._host_facts.node(),)

    def guests(self) -> tuple[GuestState, ...]:
        states = []
        for domain in self._connection.read("listAllDomains"):
            # One that goes while we look is not there.
            with contextlib.suppress(errors.GuestNotFound):
                if _is_ours(domain):
                    states.append(_state(domain))
        return tuple(states)

    def guest(self, uuid: str) -> GuestState:
        return _state(self._connection.domain(uuid))

    def create(self, spec: GuestSpec) -> None:
        policy = spec.flavor.extra_specs.get("hw:cpu_policy", "shared")
        if policy != "shared":
            raise errors.HostRefused(host=self._conf.host, reason=f"it has no CPUs for the policy '{policy}'")
        with self._turns.guest(spec.uuid), contextlib.ExitStack() as undo:
            domain = self._connection.find(spec.uuid)
            if domain is None or not self._disks.are_whole(spec):
                is_found = self._claim(spec, domain, undo)
                if is_found:
                    # What is missing there was the server's only disk.
                    self._storage.check(spec)
                self._storage.create(spec, undo)
                directory = files.guest_directory(self._conf.instances_path, spec.uuid)
                if not is_found:
                    password.inject(spec, directory, self._options, self._conf)
                vif.plug(spec.vifs)
                domain = self._definitions.define(spec, undo)
                undo.callback(power.remove, domain)
            elif not power.is_active(domain):
                vif.plug(spec.vifs)
                domain = self._definitions.define(spec, undo)
            power.start_new(domain, spec.starts_paused)
            undo.pop_all()

    def destroy(
        self, uuid: str, vifs: tuple[Vif, ...] = (), keep_disks: bool = False, made_by: DisksId | None = None
    ) -> None:
        with self._turns.guest(uuid):
            domain = self._connection.find(uuid)
            defined: set[vif.OvsPort] = set()
            if domain is not None:
                with contextlib.suppress(errors.GuestNotFound):
                    defined = vif.ovs_ports(devices.read_devices(domain, is_persistent=True))
                power.remove(domain)
            vif.remove_taps(vifs, defined)
            self._volumes.disconnect_all(uuid)
            self._mounts.unmount(uuid)
            if not keep_disks:
                self._disks.holdings.release(uuid, made_by)

    def set_power(self, uuid: str, target: PowerState, grace: datetime.timedelta = datetime.timedelta()) -> None:
        with self._turns.guest(uuid):
            domain = self._connection.domain(uuid)
            if target == PowerState.RUNNING and not power.is_active(domain):
                vif.ensure_bridges(devices.read_devices(domain, is_persistent=True))
                self._disks.check_defined(uuid, domain)
            power.REACH[target](domain, grace)

    def reboot(self, spec: GuestSpec, kind: RebootKind, grace: datetime.timedelta) -> None:
        with self._turns.guest(spec.uuid):
            domain = self._connection.find(spec.uuid)
            if kind == RebootKind.SOFT and domain is not None and power.read_state(domain) == PowerState.RUNNING:
                if power.ask_to_shut_down(domain, grace):
                    vif.plug(spec.vifs)
                    power.start(domain)
                    return
                LOG.warning("guest %s does not reboot by itself within %s", spec.uuid, grace)
            self._restart(spec, domain)

    def console_output(self, uuid: str, limit_bytes: int) -> bytes:
        self._connection.domain(uuid)
        return console.read_tail(files.console_log(self._conf.instances_path, uuid), limit_bytes)

    def console_address(self, uuid: str, kind: ConsoleKind) -> ConsoleAddress:
        addresses = {
            ConsoleKind.NOVNC: str(self._conf.vnc.server_proxyclient_address),
            ConsoleKind.SPICE_HTML5: str(self._conf.spice.server_proxyclient_address),
            ConsoleKind.SPICE_DIRECT: str(self._conf.spice.server_proxyclient_address),
            ConsoleKind.SERIAL: self._conf.my_ip,
        }
        return console.find_address(self._connection.domain(uuid).XMLDesc(0), kind, addresses)

    def attach_vif(self, uuid: str, vif_: Vif) -> None:
        with self._turns.guest(uuid):
            domain = self._connection.domain(uuid)
            vif.plug((vif_,))
            element = interface.interface(vif_, None, self._host_facts.xml)
            devices.attach(domain, element, devices.by_mac(vif_.mac))

    def detach_vif(self, uuid: str, vif_: Vif) -> None:
        with self._turns.guest(uuid):
            self._detach(uuid, devices.by_mac(vif_.mac))

    # Volumes

    def connector(self) -> dict[str, Any]:
        return self._volumes.describe_host()

    def attach_volume(self, uuid: str, disk: Disk) -> None:
        with self._turns.guest(uuid), contextlib.ExitStack() as undo:
            domain = self._connection.domain(uuid)
            find = devices.by_volume(files.volume_key(disk))
            drive = self._definitions.connect(uuid, disk, undo)
            target = files.target_name(disk.device_name, disk.bus, devices.read_targets(domain))
            drive = msgspec.structs.replace(drive, bus=disk.bus, target=target)
            devices.attach(domain, disk_element(drive), find)
            undo.pop_all()

    def detach_volume(self, uuid: str, disk: Disk) -> None:
        with self._turns.guest(uuid):
            source = disk_element(self._volumes.locate(disk)).find("source") if disk.volume else None
            self._detach(uuid, devices.by_volume(files.volume_key(disk), source))
            self._volumes.disconnect(uuid, files.volume_key(disk))

    def swap_volume(self, uuid: str, old: Disk, new: Disk) -> None:
        with self._turns.guest(uuid):
            volume_swap.exchange(self._connection.domain(uuid), self._volumes, uuid, old, new)

    # VolumeNames

    def renew_volumes(self, uuid: str, disks: tuple[Disk, ...]) -> None:
        with self._turns.guest(uuid):
            domain = self._connection.domain(uuid)
            if not power.is_active(domain):
                self._definitions.renew(uuid, domain, disks)

    # VolumeExtension

    def extend_volume(self, uuid: str, disk: Disk, size_bytes: int) -> None:
        with self._turns.guest(uuid):
            domain = self._connection.domain(uuid)
            seen_bytes = self._volumes.extend(uuid, disk, size_bytes)
            source = disk_element(self._volumes.locate(disk)).find("source")
            volume_extension.show_size(domain, devices.by_volume(files.volume_key(disk), source), seen_bytes)

    # Shares

    def defined_shares(self, uuid: str) -> frozenset[str]:
        found = devices.read_devices(self._connection.domain(uuid), is_persistent=True).findall("filesystem")
        return frozenset(devices.attribute(element, "target", "dir") for element in found)

    def define_shares(self, spec: GuestSpec) -> None:
        with self._turns.guest(spec.uuid), contextlib.ExitStack() as undo:
            domain = self._connection.domain(spec.uuid)
            self._definitions.define(spec, undo)
            undo.pop_all()
            if not power.is_active(domain):
                self._mounts.unmount(spec.uuid)

    def mount_shares(self, uuid: str, shares: tuple[Share, ...]) -> None:
        with self._turns.guest(uuid):
            for share in shares:
                self._mounts.mount(uuid, share)

    def unmount_shares(self, uuid: str) -> None:
        with self._turns.guest(uuid):
            self._mounts.unmount(uuid)

    # Snapshots

    def snapshot(self, uuid: str, target: Path, image_format: str) -> None:
        with self._turns.guest(uuid):
            root = files.guest_directory(self._conf.instances_path, uuid) / "disk"
            disk_calls.quick(target.parent.mkdir, parents=True, exist_ok=True)
            snapshot.copy_root(self._connection.domain(uuid), root, target, image_format, self._storage)

    # VolumeSnapshots

    def snapshot_volume(self, uuid: str, disk: Disk, new_file: str) -> VolumeFile:
        with self._turns.guest(uuid):
            return volume_snapshot.take(self._connection.domain(uuid), files.volume_key(disk), new_file)

    def merge_volume_snapshot(self, uuid: str, disk: Disk, file_to_merge: str, merge_target: str | None) -> VolumeFile:
        with self._turns.guest(uuid):
            key = files.volume_key(disk)
            return volume_snapshot.merge(self._connection.domain(uuid), key, file_to_merge, merge_target)

    # Rescue

    def rescue(self, spec: GuestSpec, rescue_disk: Disk) -> None:
        directory = files.guest_directory(self._conf.instances_path, spec.uuid)
        with self._turns.guest(spec.uuid), contextlib.ExitStack() as undo:
            rescue.make_disks(spec, rescue_disk, directory, self._storage, undo)
            self._switch_off(spec.uuid)
            undo.callback(lambda: self._definitions.define(spec, contextlib.ExitStack()))
            drives = rescue.plan(self._definitions.plan(spec, undo), spec, directory, self._host_facts.xml)
            vif.plug(spec.vifs)
            power.start(self._definitions.define_drives(spec, drives))
            undo.pop_all()

    def unrescue(self, spec: GuestSpec) -> None:
        with self._turns.guest(spec.uuid):
            directory = files.guest_directory(self._conf.instances_path, spec.uuid)
            domain = self._connection.find(spec.uuid)
            if domain is None or rescue.is_rescued(directory) or not power.is_active(domain):
                self._switch_off(spec.uuid)
                rescue.remove_disks(directory)
                self._restart(spec, domain)

    # Resizing

    def resize_disks(self, spec: GuestSpec) -> None:
        with self._turns.guest(spec.uuid), contextlib.ExitStack() as undo:
            domain = self._connection.find(spec.uuid)
            if domain is not None and power.is_active(domain):
                raise errors.GuestFailed(reason="The disks of a running guest are not resized")
            self._disks.check(spec)
            self._storage.resize(spec)
            self._definitions.define(spec, undo)
            undo.pop_all()

    # LiveMigration

    def prepare_destination(self, spec: GuestSpec) -> dict[str, Any]:
        with self._turns.guest(spec.uuid):
            return self._migrations.prepare_destination(spec)

    def migrate(
        self,
        spec: GuestSpec,
        to: str,
        facts: dict[str, Any],
        progress: Callable[[int], bool],
        is_paused: bool = False,
    ) -> None:
        with self._turns.guest(spec.uuid):
            self._migrations.migrate(spec, to, facts, progress, is_paused)

    def abort_destination(self, spec: GuestSpec, stays_away: bool = False) -> None:
        with self._turns.guest(spec.uuid):
            self._migrations.abort_destination(spec, stays_away)

    def has_arrived(self, uuid: str) -> bool:
        return switch_over.has_arrived(self._connection, uuid)

    # ForcedMigration

    def force_complete(self, uuid: str) -> None:
        # Not in turn with migrate(), which is what this is about.
        migration.force(self._connection.domain(uuid))

    # Moving

    def set_aside(self, spec: GuestSpec) -> dict[str, Any]:
        with self._turns.guest(spec.uuid):
            if not self._disks.holdings.is_out_of_the_way(spec):
                self._disks.check(spec)
                domain = self._connection.find(spec.uuid)
                if domain is not None:
                    power.remove(domain)
                self._volumes.disconnect_all(spec.uuid)
                self._disks.holdings.set_aside(spec)
            return dict(msgspec.to_builtins(self._aside.describe(spec, self._conf)))

    def take_over(self, spec: GuestSpec, facts: dict[str, Any]) -> None:
        with self._turns.guest(spec.uuid), contextlib.ExitStack() as undo:
            domain = self._connection.find(spec.uuid)
            if domain is not None and self._disks.are_whole(spec):
                return
            source = msgspec.convert(facts, moving.Facts)
            self._claim(spec, domain, undo, may_share=False)
            self._aside.copy(spec, source, moving.source_uri(self._conf, source), undo)
            self._storage.resize(spec)
            vif.plug(spec.vifs)
            self._definitions.define(spec, undo)
            undo.pop_all()

    def bring_back(self, spec: GuestSpec) -> None:
        with self._turns.guest(spec.uuid), contextlib.ExitStack() as undo:
            domain = self._connection.find(spec.uuid)
            if self._disks.holdings.is_aside(spec):
                if domain is not None:
                    power.remove(domain)
                    domain = None
                self._volumes.disconnect_all(spec.uuid)
                self._disks.holdings.bring_back(spec)
            self._disks.check(spec)
            # What it was defined with may be another host's way to its volumes.
            if domain is None or not power.is_active(domain):
                self._volumes.disconnect_all(spec.uuid)
                vif.plug(spec.vifs)
                self._definitions.define(spec, undo)
            undo.pop_all()

    def forget_aside(self, uuid: str) -> None:
        with self._turns.guest(uuid):
            self._disks.holdings.forget_aside(uuid)

    # DiskChecks

    def check_disks(self, spec: GuestSpec, aside: bool = False, own: bool = True) -> None:
        with self._turns.guest(spec.uuid):
            self._disks.check_unchanged(spec, aside, own)

    # HeldDisksOnHost

    def held_disks(self) -> tuple[HeldDisks, ...]:
        return self._disks.holdings.held()

    def mark_disks(self, uuid: str, disks_id: DisksId) -> None:
        with self._turns.guest(uuid):
            self._disks.holdings.mark(uuid, disks_id)

    def rename_host(self, old: str, new: str) -> None:
        self._disks.holdings.rename_host(old, new)
        self._volumes.rename_host(old, new)

    def remove_held_disks(self, held: HeldDisks) -> None:
        with self._turns.guest(held.server):
            if held.place != "own" or self._connection.find(held.server) is None:
                self._disks.holdings.remove_held(held)

    # Diagnostics

    def diagnostics(self, uuid: str) -> dict[str, Any]:
        return diagnostics.read(self._connection.domain(uuid), self._host_facts.xml.virt_type)

    # GuestAgent

    def set_password(self, uuid: str, user: str, new: str) -> None:
        domain = self._connection.domain(uuid)
        # Without it libvirt waits for the agent for as long as the guest likes.
        domain.agentSetResponseTimeout(_AGENT_S, 0)
        domain.setUserPassword(user, new, 0)

    def crash_dump(self, uuid: str) -> None:
        self._connection.domain(uuid).injectNMI(0)

    # CachedImages

    def images_in_use(self) -> set[str]:
        """The cached images that guests' disks here stand on."""
        return self._storage.backing_files()

    @property
    def _host_facts(self) -> HostFacts:
        if self._facts is None:
            self.start()
        assert self._facts is not None
        return self._facts

    def _switch_off(self, uuid: str) -> None:
        domain = self._connection.find(uuid)
        if domain is not None:
            power.shut_down(domain, datetime.timedelta())

    def _restart(self, spec: GuestSpec, domain: Proxy | None) -> None:
        """Power off, define again, start. Disks with data are never created here. Raises DiskMissing."""
        if self._disks.holdings.puts_away(spec):
            # Its volumes are let go then.
            self._switch_off(spec.uuid)
        self._disks.check(spec)
        if domain is not None:
            power.shut_down(domain, datetime.timedelta())
        vif.plug(spec.vifs)
        with contextlib.ExitStack() as undo:
            self._storage.create(spec, undo)
            directory = files.guest_directory(self._conf.instances_path, spec.uuid)
            if domain is None or not rescue.is_rescued(directory):
                domain = self._definitions.define(spec, undo)
            else:
                self._definitions.renew(spec.uuid, domain, spec.disks)
            power.start_new(domain, spec.starts_paused)
            undo.pop_all()

    def _claim(self, spec: GuestSpec, domain: Proxy | None, undo: contextlib.ExitStack, may_share: bool = True) -> bool:
        """Make the guest's directory this placement's; a guest that is defined on a left-over goes. True: its disks
        were found on shared storage."""
        if domain is not None and self._disks.may_replace(spec, may_share):
            power.remove(domain)
        self._definitions.disconnect_left_over(spec)
        return self._disks.holdings.claim(spec, undo, may_share=may_share)

    def _detach(self, uuid: str, find: devices.Find) -> None:
        domain = self._connection.find(uuid)
        if domain is not None:
            options = self._conf.libvirt
            devices.detach(domain, find, options.device_detach_attempts, options.device_detach_timeout)


def _is_ours(domain: Proxy) -> bool:
    with contextlib.suppress(errors.GuestFailed):
        domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, METADATA_NAMESPACE, 0)
        return True
    return False


def _state(domain: Proxy) -> GuestState:
    state = power.read_state(domain)
    is_halted = state is PowerState.PAUSED and power.is_halted(domain)
    return GuestState(uuid=domain.UUIDString(), name=domain.name(), power_state=state, is_halted=is_halted)
