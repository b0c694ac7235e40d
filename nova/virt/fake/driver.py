"""A driver whose guests are entries of a dictionary: complete, fast, and failing on demand.

Thousands of hosts fit into one process. Guests outlive the driver object as real ones outlive
nova-compute, in a Hypervisor that a test or nova-compute keeps; with [DEFAULT] fake_state_path they outlive a nova-compute
that is killed, and count on their disks how often they booted.
"""

import contextlib
import functools
import random
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

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
from nova.virt.fake.disks import FakeShelf, has_disk, keep_image, kept_images, new_content
from nova.virt.fake.hypervisor import HYPERVISORS, Hypervisor, address_of
from nova.virt.fake.state import Guest, StateDirectory, new_guest
from nova.virt.holdings import Holdings

_OFF = (PowerState.SHUTDOWN, PowerState.CRASHED)

_NIC_FIGURES = ("octets", "packets", "errors", "drop", "rate")
_NO_DISK_USE = dict.fromkeys(("errors_count", "read_bytes", "read_requests", "write_bytes", "write_requests"), 0)
_NO_NIC_USE = {f"{way}_{what}": None if what == "rate" else 0 for way in ("rx", "tx") for what in _NIC_FIGURES}

P = ParamSpec("P")
T = TypeVar("T")


def _kept(method: Callable[Concatenate["FakeDriver", P], T]) -> Callable[Concatenate["FakeDriver", P], T]:
    """A method that changes what is on the host: what it reached is kept, whether or not it was all."""

    @functools.wraps(method)
    def call(self: "FakeDriver", /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        finally:
            self.keep()

    return call


class FakeDriver:
    """The driver over a Hypervisor: one of its own name that this process keeps, unless given."""

    needs_images = False
    disk_formats: frozenset[str] = frozenset()

    def __init__(self, conf: cfg.ConfigOpts, host: str, hypervisor: Hypervisor | None = None) -> None:
        self._states = StateDirectory(conf.fake_state_path) if conf.fake_state_path else None
        if self._states is not None:
            for image_id, content in self._states.read_images().items():
                keep_image(image_id, content)
        if hypervisor is None and host not in HYPERVISORS:
            HYPERVISORS[host] = Hypervisor(host, kept_in=self._states)
            # Nobody else has it: it goes with this process.
            HYPERVISORS[host].is_lasting = self._states is not None
        self._hypervisor = hypervisor or HYPERVISORS[host]
        self._address = conf.my_ip
        self._delay_s = conf.fake_delay
        self._failure_rate = conf.fake_failure_rate

    def keep(self) -> None:
        self._hypervisor.keep()

    def start(self) -> None:
        """There is nothing to connect to."""

    def keeps_guests(self) -> bool:
        return self._hypervisor.is_lasting

    def check(self) -> None:
        if self._hypervisor.trouble:
            raise errors.Unavailable(service="the hypervisor", reason=self._hypervisor.trouble)

    def nodes(self) -> tuple[NodeState, ...]:
        hypervisor = self._hypervisor
        flavors = [guest.spec.flavor for guest in list(hypervisor.guests.values())]
        return (
            NodeState(
                hypervisor_hostname=hypervisor.name,
                hypervisor_type="fake",
                hypervisor_version=1000,
                host_ip=self._address,
                share_ip=address_of(hypervisor.name),
                vcpus=hypervisor.vcpus,
                memory_mb=hypervisor.memory_mb,
                disk_gb=hypervisor.disk_gb,
                memory_mb_used=sum(flavor.memory_mb for flavor in flavors),
                disk_gb_used=sum(flavor.root_gb + flavor.ephemeral_gb for flavor in flavors),
                disk_available_least_gb=hypervisor.disk_gb,
                cpu_info={
                    "arch": "x86_64",
                    "model": "Nehalem",
                    "vendor": "Intel",
                    "features": ["pge", "clflush"],
                    "topology": {"cores": 1, "threads": 1, "sockets": 4},
                },
                supported_instances=(("x86_64", "fake", "hvm"),),
                traits=hypervisor.traits,
                uptime=" 12:00:00 up 1 day, 0 users, load average: 0.00, 0.00, 0.00",
            ),
        )

    def guests(self) -> tuple[GuestState, ...]:
        return tuple(_state(guest) for guest in list(self._hypervisor.guests.values()))

    def guest(self, uuid: str) -> GuestState:
        return _state(self._guest(uuid))

    @_kept
    def create(self, spec: GuestSpec) -> None:
        self._called("create", spec.uuid)
        if self._failure_rate and random.random() < self._failure_rate:
            raise errors.GuestFailed(reason="the fake driver fails by chance")
        with self._hypervisor.lock, contextlib.ExitStack() as undo:
            if spec.uuid not in self._hypervisor.guests or not self._is_whole(spec):
                self._hypervisor.guests.pop(spec.uuid, None)
                if self._holdings.claim(spec, undo):
                    self._shelf.check(spec)
                self._shelf.fill(spec.uuid, new_content(spec))
                self._shelf.fill_others(spec, {})
                self._hypervisor.meet("boot")
                self._hypervisor.guests[spec.uuid] = new_guest(spec)
                self._hypervisor.boot(spec.uuid)
            guest = self._hypervisor.guests[spec.uuid]
            if guest.power_state in _OFF:
                self._hypervisor.boot(spec.uuid)
            guest.power_state = _new_state(spec)
            guest.password = spec.password
            undo.pop_all()

    @_kept
    def destroy(
        self, uuid: str, vifs: tuple[Vif, ...] = (), keep_disks: bool = False, made_by: DisksId | None = None
    ) -> None:
        self._called("destroy", uuid)
        with self._hypervisor.lock:
            self._hypervisor.guests.pop(uuid, None)
            self._unmount(uuid)
            if not keep_disks:
                self._holdings.release(uuid, made_by)

    @_kept
    def set_power(self, uuid: str, target: PowerState, grace: timedelta = timedelta()) -> None:
        self._called("set_power", uuid)
        guest = self._guest(uuid)
        if target is PowerState.RUNNING and guest.power_state in _OFF:
            self._hypervisor.boot(uuid)
        guest.power_state = target

    @_kept
    def reboot(self, spec: GuestSpec, kind: RebootKind, grace: timedelta) -> None:
        self._called("reboot", spec.uuid)
        with self._hypervisor.lock:
            self._holdings.check_here(spec)
            self._shelf.check(spec)
            guest = self._hypervisor.guests.setdefault(spec.uuid, new_guest(spec))
            guest.power_state = _new_state(spec)
            guest.reboots.append(kind)
            self._hypervisor.boot(spec.uuid)

    def console_output(self, uuid: str, limit_bytes: int) -> bytes:
        return self._guest(uuid).console.encode()[-limit_bytes:]

    def console_address(self, uuid: str, kind: ConsoleKind) -> ConsoleAddress:
        self._guest(uuid)
        return ConsoleAddress(host=self._address, port=5900 + list(ConsoleKind).index(kind))

    @_kept
    def attach_vif(self, uuid: str, vif: Vif) -> None:
        self._called("attach_vif", uuid)
        self._guest(uuid).vifs[vif.port_id] = vif

    @_kept
    def detach_vif(self, uuid: str, vif: Vif) -> None:
        self._called("detach_vif", uuid)
        self._guest(uuid).vifs.pop(vif.port_id, None)

    def connector(self) -> dict[str, Any]:
        return {
            "host": self._hypervisor.name,
            "ip": address_of(self._hypervisor.name),
            "initiator": f"iqn.fake:{self._hypervisor.name}",
            "platform": "x86_64",
            "os_type": "linux",
            "multipath": False,
        }

    @_kept
    def attach_volume(self, uuid: str, disk: Disk) -> None:
        self._called("attach_volume", uuid)
        self._guest(uuid).volumes[_volume_id(disk)] = disk

    @_kept
    def detach_volume(self, uuid: str, disk: Disk) -> None:
        self._called("detach_volume", uuid)
        self._guest(uuid).volumes.pop(_volume_id(disk), None)

    @_kept
    def swap_volume(self, uuid: str, old: Disk, new: Disk) -> None:
        self._called("swap_volume", uuid)
        volumes = self._guest(uuid).volumes
        volumes.pop(_volume_id(old), None)
        volumes[_volume_id(new)] = new

    @_kept
    def extend_volume(self, uuid: str, disk: Disk, size_bytes: int) -> None:
        self._called("extend_volume", uuid)
        sizes = self._guest(uuid).volume_sizes
        sizes[_volume_id(disk)] = max(size_bytes, sizes.get(_volume_id(disk), 0))

    def defined_shares(self, uuid: str) -> frozenset[str]:
        return frozenset(self._guest(uuid).shares)

    @_kept
    def define_shares(self, spec: GuestSpec) -> None:
        self._called("define_shares", spec.uuid)
        self._guest(spec.uuid).shares = {share.tag: share for share in spec.shares}

    @_kept
    def mount_shares(self, uuid: str, shares: tuple[Share, ...]) -> None:
        self._called("mount_shares", uuid)
        with self._hypervisor.lock:
            for share in shares:
                self._hypervisor.mounts.setdefault(share.share_id, set()).add(uuid)

    @_kept
    def unmount_shares(self, uuid: str) -> None:
        self._called("unmount_shares", uuid)
        self._unmount(uuid)

    def _unmount(self, uuid: str) -> None:
        with self._hypervisor.lock:
            mounts = {share_id: users - {uuid} for share_id, users in self._hypervisor.mounts.items()}
            self._hypervisor.mounts = {share_id: users for share_id, users in mounts.items() if users}

    @_kept
    def snapshot(self, uuid: str, target: Path, image_format: str) -> None:
        self._called("snapshot", uuid)
        self._guest(uuid)
        content = self._shelf.content(uuid) or ""
        target.write_text(content)
        # The file is named after the image it becomes.
        keep_image(target.name[-len(uuid) :], content)
        if self._states is not None:
            self._states.write_images(kept_images())

    @_kept
    def snapshot_volume(self, uuid: str, disk: Disk, new_file: str) -> VolumeFile:
        self._called("snapshot_volume", uuid)
        files = self._files(uuid, disk)
        if files[-1] != new_file:
            files.append(new_file)
        return _volume_file(files)

    @_kept
    def merge_volume_snapshot(self, uuid: str, disk: Disk, file_to_merge: str, merge_target: str | None) -> VolumeFile:
        self._called("merge_volume_snapshot", uuid)
        files = self._files(uuid, disk)
        if file_to_merge in files:
            files.remove(file_to_merge)
        return _volume_file(files)

    def _files(self, uuid: str, disk: Disk) -> list[str]:
        info: Any = (disk.volume.connection_info if disk.volume else None) or {}
        return self._guest(uuid).files.setdefault(_volume_id(disk), [info["data"]["name"]])

    @_kept
    def rescue(self, spec: GuestSpec, rescue_disk: Disk) -> None:
        self._called("rescue", spec.uuid)
        guest = self._guest(spec.uuid)
        guest.password = spec.password
        guest.is_rescued, guest.power_state = True, PowerState.RUNNING

    @_kept
    def unrescue(self, spec: GuestSpec) -> None:
        self._called("unrescue", spec.uuid)
        guest = self._guest(spec.uuid)
        guest.is_rescued, guest.power_state = False, PowerState.RUNNING

    @_kept
    def resize_disks(self, spec: GuestSpec) -> None:
        self._called("resize_disks", spec.uuid)
        self._guest(spec.uuid).spec = spec

    @_kept
    def set_aside(self, spec: GuestSpec) -> dict[str, Any]:
        self._called("set_aside", spec.uuid)
        with self._hypervisor.lock:
            if not self._holdings.is_out_of_the_way(spec):
                self._holdings.check_here(spec)
                self._shelf.check(spec)
                guest = self._hypervisor.guests.pop(spec.uuid, None)
                self._hypervisor.aside[spec.uuid] = guest or new_guest(spec)
                self._holdings.set_aside(spec)
        return {"host": self._hypervisor.name}

    @_kept
    def take_over(self, spec: GuestSpec, facts: dict[str, Any]) -> None:
        self._called("take_over", spec.uuid)
        if spec.uuid not in HYPERVISORS[facts["host"]].aside:
            raise errors.GuestFailed(reason="there are no disks to take over")
        source, aside = HYPERVISORS[facts["host"]].shelf, f"{spec.uuid}.aside"
        with self._hypervisor.lock, contextlib.ExitStack() as undo:
            if spec.uuid in self._hypervisor.guests and self._is_whole(spec):
                return
            self._holdings.claim(spec, undo, may_share=False)
            self._shelf.fill(spec.uuid, source.content(aside))
            self._shelf.fill_others(spec, source.others(aside))
            self._shelf.check(spec)
            self._hypervisor.guests[spec.uuid] = new_guest(spec)
            self._hypervisor.guests[spec.uuid].power_state = PowerState.SHUTDOWN
            undo.pop_all()

    @_kept
    def bring_back(self, spec: GuestSpec) -> None:
        self._called("bring_back", spec.uuid)
        with self._hypervisor.lock:
            if self._holdings.is_aside(spec):
                self._holdings.bring_back(spec)
                self._hypervisor.guests.pop(spec.uuid, None)
            self._holdings.check_here(spec)
            self._shelf.check(spec)
            was = self._hypervisor.guests.get(spec.uuid)
            guest = self._hypervisor.aside.pop(spec.uuid, None) or was or new_guest(spec)
            if was is None or was.power_state is PowerState.SHUTDOWN:
                guest.spec, guest.power_state = spec, PowerState.SHUTDOWN
                self._hypervisor.guests[spec.uuid] = guest

    @_kept
    def forget_aside(self, uuid: str) -> None:
        self._called("forget_aside", uuid)
        with self._hypervisor.lock:
            self._hypervisor.aside.pop(uuid, None)
            self._holdings.forget_aside(uuid)

    def check_disks(self, spec: GuestSpec, aside: bool = False, own: bool = True) -> None:
        self._called("check_disks", spec.uuid)
        with self._hypervisor.lock:
            self._shelf.check(spec, self._holdings.find(spec, aside, own))

    @_kept
    def prepare_destination(self, spec: GuestSpec) -> dict[str, Any]:
        self._called("prepare_destination", spec.uuid)
        with self._hypervisor.lock, contextlib.ExitStack() as undo:
            if not self._holdings.is_own(spec):
                self._hypervisor.guests.pop(spec.uuid, None)
            is_shared = self._holdings.claim(spec, undo, trusts_unmarked=True)
            undo.pop_all()
        return {"address": self._address, "host": self._hypervisor.name, "is_shared": is_shared}

    @_kept
    def migrate(self, spec: GuestSpec, to: str, facts: dict[str, Any], progress: Any, is_paused: bool = False) -> None:
        self._called("migrate", spec.uuid)
        while not self._hypervisor.may_finish("migration", spec.uuid):
            if not progress(50):
                raise errors.Cancelled("The live migration was aborted.", stays=True)
            time.sleep(0.01)
        there = HYPERVISORS.setdefault(facts["host"], Hypervisor(facts["host"]))
        guest = self._hypervisor.guests.get(spec.uuid)
        if guest is not None:
            if not facts.get("is_shared"):
                directory = there.shelf.directories[spec.uuid]
                directory.content, directory.others = self._shelf.content(spec.uuid), self._shelf.others(spec.uuid)
            there.guests[spec.uuid] = guest
            # Before it is gone here: who is killed in between has it twice, and not nowhere.
            there.keep()
            with self._hypervisor.lock:
                self._hypervisor.guests.pop(spec.uuid, None)
            self._hypervisor.meet("switch-over")
        elif spec.uuid not in there.guests:
            raise errors.GuestNotFound(guest=spec.uuid)

    def force_complete(self, uuid: str) -> None:
        self._called("force_complete", uuid)
        self._guest(uuid)
        self._hypervisor.force("migration", uuid)

    @_kept
    def abort_destination(self, spec: GuestSpec, stays_away: bool = False) -> None:
        self._called("abort_destination", spec.uuid)
        with self._hypervisor.lock:
            if spec.uuid in self._hypervisor.guests and not stays_away:
                raise errors.PointPassed(reason="The guest has arrived: there is nothing to abort")
            self._hypervisor.guests.pop(spec.uuid, None)
            self._holdings.release(spec.uuid, spec.disks_id)

    def has_arrived(self, uuid: str) -> bool:
        return uuid in self._hypervisor.guests

    def held_disks(self) -> tuple[HeldDisks, ...]:
        with self._hypervisor.lock:
            return self._holdings.held()

    @_kept
    def mark_disks(self, uuid: str, disks_id: DisksId) -> None:
        with self._hypervisor.lock:
            self._holdings.mark(uuid, disks_id)

    @_kept
    def rename_host(self, old: str, new: str) -> None:
        with self._hypervisor.lock:
            self._holdings.rename_host(old, new)

    @_kept
    def remove_held_disks(self, held: HeldDisks) -> None:
        with self._hypervisor.lock:
            if held.place != "own" or held.server not in self._hypervisor.guests:
                self._holdings.remove_held(held)

    def diagnostics(self, uuid: str) -> dict[str, Any]:
        guest = self._guest(uuid)
        disks = len(guest.spec.disks) + len(guest.volumes)
        return {
            "state": "running" if guest.power_state is PowerState.RUNNING else "shutdown",
            "driver": "libvirt",
            "hypervisor": "fake",
            "hypervisor_os": "linux",
            "uptime": 46664,
            "config_drive": guest.spec.config_drive is not None,
            "cpu_details": [
                {"id": number, "time": 17300000000, "utilisation": 15} for number in range(guest.spec.flavor.vcpus)
            ],
            "memory_details": {"maximum": guest.spec.flavor.memory_mb, "used": 0},
            "disk_details": [_NO_DISK_USE for _ in range(disks)],
            "nic_details": [{"mac_address": vif.mac, **_NO_NIC_USE} for vif in guest.vifs.values()],
            "num_cpus": guest.spec.flavor.vcpus,
            "num_disks": disks,
            "num_nics": len(guest.vifs),
        }

    @_kept
    def set_password(self, uuid: str, user: str, password: str) -> None:
        self._called("set_password", uuid)
        self._guest(uuid).password = password

    def crash_dump(self, uuid: str) -> None:
        self._called("crash_dump", uuid)
        self._guest(uuid)

    @property
    def _shelf(self) -> FakeShelf:
        return self._hypervisor.shelf

    @property
    def _holdings(self) -> Holdings:
        return Holdings(self._hypervisor.shelf)

    def _is_whole(self, spec: GuestSpec) -> bool:
        has_content = not has_disk(spec) or self._shelf.content(spec.uuid) is not None
        return self._holdings.is_own(spec) and has_content

    def _guest(self, uuid: str) -> Guest:
        try:
            return self._hypervisor.guests[uuid]
        except KeyError:
            raise errors.GuestNotFound(guest=uuid) from None

    def _called(self, method: str, uuid: str) -> None:
        if self._delay_s:
            time.sleep(self._delay_s)
        self._hypervisor.called(method, uuid)


def _new_state(spec: GuestSpec) -> PowerState:
    return PowerState.PAUSED if spec.starts_paused else PowerState.RUNNING


def _state(guest: Guest) -> GuestState:
    spec = guest.spec
    return GuestState(uuid=spec.uuid, name=spec.name, power_state=guest.power_state, is_halted=guest.is_halted)


def _volume_file(files: list[str]) -> VolumeFile:
    return VolumeFile(name=files[-1], format="raw" if len(files) == 1 else "qcow2")


def _volume_id(disk: Disk) -> str:
    return (disk.volume.volume_id if disk.volume else None) or disk.device_name
