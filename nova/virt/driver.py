"""What nova-compute needs from a hypervisor on this host.

A driver knows guests, disks and devices. It asks no other service: what it needs is in its
arguments. Every method may be called again after a crash and reaches the same end. A rare ability
is a Protocol of its own below: a driver can do what it has methods for.
"""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

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


class Driver(Protocol):
    """The core every driver has."""

    needs_images: bool
    """Whether create() reads image files; nova-compute fetches none for a driver that does not."""

    disk_formats: frozenset[str]
    """Of images, those that create() can make a disk of; an image of another is refused before it is fetched."""

    def start(self) -> None:
        """Connect to the hypervisor; raises errors.Unavailable when it does not answer."""

    def nodes(self) -> tuple[NodeState, ...]:
        """The hypervisors this driver stands for, as they are now. One, but for the fake driver."""

    def guests(self) -> tuple[GuestState, ...]:
        """Every guest on this host that this driver made, running or not."""

    def guest(self, uuid: str) -> GuestState:
        """One guest. Raises errors.GuestNotFound."""

    def create(self, spec: GuestSpec) -> None:
        """Make the guest's disks, plug its VIFs, define and start it.

        A complete guest is kept and started; an incomplete one is created again. Disks that the placement before
        has on shared storage are used as they are (see nova.virt.holdings). spec.password is given
        to the guest as the operator wants it. A guest with spec.starts_paused is left paused, or running where it ran
        already. Leaves nothing behind on failure. Raises errors.ImageInvalid, errors.DiskFull, errors.GuestFailed.
        """

    def destroy(
        self, uuid: str, vifs: tuple[Vif, ...] = (), keep_disks: bool = False, made_by: DisksId | None = None
    ) -> None:
        """Stop and undefine the guest, unplug its VIFs, remove its disks; no error when there is no guest.

        vifs: those of the server's record, because a guest that is gone has none to read. made_by: the placement
        whose disks go, and no others; None: whatever is there.
        """

    def set_power(self, uuid: str, target: PowerState, grace: datetime.timedelta = datetime.timedelta()) -> None:
        """Reach RUNNING, SHUTDOWN, PAUSED or SUSPENDED; no error when it is in that state.

        For SHUTDOWN the guest is asked, and switched off after grace. RUNNING also unpauses and
        resumes. Raises errors.GuestNotFound, errors.GuestFailed, and errors.NotImplementedHere for a state that this
        hypervisor does not have.
        """

    def reboot(self, spec: GuestSpec, kind: RebootKind, grace: datetime.timedelta) -> None:
        """Restart the guest: SOFT asks it and resorts to HARD after grace; HARD defines it again from spec,
        keeping its disks, so that it also mends a guest whose definition was lost. Raises errors.DiskMissing."""

    def console_output(self, uuid: str, limit_bytes: int) -> bytes:
        """The last limit_bytes of what the guest wrote to its serial port."""

    def console_address(self, uuid: str, kind: ConsoleKind) -> ConsoleAddress:
        """Where the guest's console of this kind listens.

        Raises errors.GuestNotFound, errors.NotImplementedHere when the guest has no such console.
        """

    def attach_vif(self, uuid: str, vif: Vif) -> None:
        """Plug a network device into the guest, running or not."""

    def detach_vif(self, uuid: str, vif: Vif) -> None:
        """Unplug it; no error when it is missing."""


@runtime_checkable
class Volumes(Protocol):
    """Having these methods is what offers volumes."""

    def connector(self) -> dict[str, Any]:
        """This host as a connector of the Block Storage API: host, ip, initiator ..."""

    def attach_volume(self, uuid: str, disk: Disk) -> None:
        """Connect the host to the volume and plug it in."""

    def detach_volume(self, uuid: str, disk: Disk) -> None:
        """Unplug the volume and disconnect the host; no error when it is missing."""

    def swap_volume(self, uuid: str, old: Disk, new: Disk) -> None:
        """Copy old onto new while the guest runs, and let the guest go on with new."""


@runtime_checkable
class VolumeNames(Protocol):
    """A hypervisor whose guests open volumes by names of the host, which a boot of the host deals out anew."""

    def renew_volumes(self, uuid: str, disks: tuple[Disk, ...]) -> None:
        """Before a guest starts or is resumed: connect the host to its volumes, and let it open them by the names they
        have now. A device that is none of disks, the server's volumes by its record, is not opened. No change to a
        guest that runs. Raises errors.GuestNotFound, errors.GuestFailed."""


@runtime_checkable
class VolumeExtension(Protocol):
    """Having this method is what lets a running guest see that a volume has grown."""

    def extend_volume(self, uuid: str, disk: Disk, size_bytes: int) -> None:
        """Let the guest see the volume's new size, of which it is sure; at its next start, where it is off.

        No error when it sees it already: a guest's disk never shrinks. Raises errors.GuestNotFound, errors.GuestFailed.
        """


@runtime_checkable
class Shares(Protocol):
    """File systems of the network that a guest sees as its own, by virtiofs."""

    def defined_shares(self, uuid: str) -> frozenset[str]:
        """The tags of the shares that the guest has at its next start. Raises errors.GuestNotFound."""

    def define_shares(self, spec: GuestSpec) -> None:
        """Define the guest again with the shares of spec only; it has them at its next start.
        Raises errors.GuestNotFound."""

    def mount_shares(self, uuid: str, shares: tuple[Share, ...]) -> None:
        """Mount on this host what the guest is about to start with. Raises errors.GuestFailed."""

    def unmount_shares(self, uuid: str) -> None:
        """The guest is off: unmount what no other guest has; destroy() does so, too."""


@runtime_checkable
class Snapshots(Protocol):
    """Copies of the root disk."""

    def snapshot(self, uuid: str, target: Path, image_format: str) -> dict[str, str] | None:
        """Write the root disk's content, as of now, to target; the guest keeps running.

        Properties that an image of it needs so that this driver can use it.
        """


@runtime_checkable
class VolumeSnapshots(Protocol):
    """Moves a running guest between the files of a volume, which lie in one directory. Each method gives
    the file the guest writes to afterwards, and raises errors.GuestFailed."""

    def snapshot_volume(self, uuid: str, disk: Disk, new_file: str) -> VolumeFile:
        """Go on with new_file, which stands on the file written to so far; no error when the guest uses it already."""

    def merge_volume_snapshot(self, uuid: str, disk: Disk, file_to_merge: str, merge_target: str | None) -> VolumeFile:
        """Merge a file into one below it, or (None) what is below into the file written to, so that nothing needs
        file_to_merge any more; no error when nothing depends on it. With an empty file_to_merge nothing is merged: the
        file is told, whether the guest runs or not."""


@runtime_checkable
class Rescue(Protocol):
    """A guest that boots from another disk, its own disks attached."""

    def rescue(self, spec: GuestSpec, rescue_disk: Disk) -> None:
        """Boot the guest from rescue_disk, with its own disks and spec's config drive attached."""

    def unrescue(self, spec: GuestSpec) -> None:
        """Start the guest from its own disks again."""


@runtime_checkable
class Resizing(Protocol):
    """Disks that grow with the flavor."""

    def resize_disks(self, spec: GuestSpec) -> None:
        """Grow the disks of a stopped guest to the sizes in spec, and define it again."""


@runtime_checkable
class LiveMigration(Protocol):
    """Moves a running guest. The steps of one migration run on both hosts, the destination's first."""

    def prepare_destination(self, spec: GuestSpec) -> dict[str, Any]:
        """On the destination: plug VIFs, connect volumes, make empty disks; facts the source needs."""

    def migrate(
        self,
        spec: GuestSpec,
        to: str,
        facts: dict[str, Any],
        progress: Callable[[int], bool],
        is_paused: bool = False,
    ) -> None:
        """Move the running guest to host `to`. progress(percent) is called repeatedly; False aborts.

        Called again for the same placement it begins nothing, but finds out where the guest is. is_paused: its user
        has paused it, and it stays so. Returns when it is on the destination and cannot run here any more; raises
        errors.GuestStays, or errors.Cancelled with stays=True, when it is here, errors.Unavailable as long as that
        is not known.
        """

    def abort_destination(self, spec: GuestSpec, stays_away: bool = False) -> None:
        """On the destination, after a failure: undo prepare_destination. Raises errors.PointPassed for a guest that
        has arrived, unless stays_away: its source has said that it runs there, so what is here is a copy."""

    def has_arrived(self, uuid: str) -> bool:
        """On the destination: whether the guest has arrived whole; one that has not will not any more."""


@runtime_checkable
class ForcedMigration(Protocol):
    """Migrations that can be finished at the price of a pause."""

    def force_complete(self, uuid: str) -> None:
        """Pause the guest until a live migration under way has moved it."""


@runtime_checkable
class Moving(Protocol):
    """Takes a guest that is off to another host, or to another size, and back until that is confirmed.

    What the guest was stays aside on its source, untouched, so that a move can be reverted.
    """

    def set_aside(self, spec: GuestSpec) -> dict[str, Any]:
        """On the source: undefine the guest, put its disks aside and offer them; facts for take_over().

        What is aside already stays so. Raises errors.GuestNotFound, errors.GuestFailed.
        """

    def take_over(self, spec: GuestSpec, facts: dict[str, Any]) -> None:
        """On the destination, which may be the source: copy the disks that are aside, grow them to spec, plug
        VIFs, connect volumes, define the guest, off. A complete guest is kept. Leaves nothing behind on
        failure. Raises errors.DiskFull, errors.HostRefused, errors.GuestFailed."""

    def bring_back(self, spec: GuestSpec) -> None:
        """On the source: the guest is there again, off, defined anew as spec has it, with its volumes as they are
        connected now. What is aside is its own; a guest that never was aside stays. Raises errors.DiskMissing where
        its disks are neither, or not all there."""

    def forget_aside(self, uuid: str) -> None:
        """On the source: remove what is aside; no error when nothing is aside."""


@runtime_checkable
class DiskChecks(Protocol):
    """Tells whether a guest's disks are all there, before something else is removed that they could be made of."""

    def check_disks(self, spec: GuestSpec, aside: bool = False, own: bool = True) -> None:
        """Look and change nothing; no disk of spec needs its image_path. aside: disks that are aside count, own: those in
        the guest's place. Raises errors.DiskMissing unless one of these are the placement's, and whole."""


@runtime_checkable
class HeldDisksOnHost(Protocol):
    """Tells whose disks lie on this host, in whatever state their guests are."""

    def held_disks(self) -> tuple[HeldDisks, ...]:
        """Every directory of disks on this host."""

    def mark_disks(self, uuid: str, disks_id: DisksId) -> None:
        """Mark the disks of a guest that lives here, and that an older release brought."""

    def rename_host(self, old: str, new: str) -> None:
        """The host has another name: the disks that were the old one's are the new one's."""

    def remove_held_disks(self, held: HeldDisks) -> None:
        """Remove a directory of disks, unless it has changed or a guest is defined on it."""


@runtime_checkable
class SelfCheck(Protocol):
    """What a host that can lose its hypervisor or its disks is asked with every heartbeat."""

    def check(self) -> None:
        """Raises errors.Unavailable, within seconds, while nothing can be done for the guests of this host."""


@runtime_checkable
class GuestMemory(Protocol):
    """A driver whose guests may go with its process: a server without one tells nothing then."""

    def keeps_guests(self) -> bool:
        """Whether guests outlive the process."""


@runtime_checkable
class GuestEvents(Protocol):
    """A hypervisor that says by itself that a guest has changed, which is known long before anyone looks again."""

    def wait_for_change(self, timeout_s: float) -> bool:
        """Whether a guest's power state has changed since the last call; waits for that. One caller at a time."""


@runtime_checkable
class Diagnostics(Protocol):
    """Counters of a running guest."""

    def diagnostics(self, uuid: str) -> dict[str, Any]:
        """Counters of the guest in the shape of the Compute API's diagnostics since 2.48."""


@runtime_checkable
class GuestAgent(Protocol):
    """What is done inside a guest, by its agent or its kernel."""

    def set_password(self, uuid: str, user: str, password: str) -> None:
        """Change a password inside the guest, through its agent."""

    def crash_dump(self, uuid: str) -> None:
        """Make the guest dump its memory (an NMI)."""


ABILITIES = (
    Volumes,
    Shares,
    Snapshots,
    VolumeExtension,
    VolumeSnapshots,
    Rescue,
    Resizing,
    Moving,
    DiskChecks,
    LiveMigration,
    ForcedMigration,
    HeldDisksOnHost,
    Diagnostics,
    GuestAgent,
)

T = TypeVar("T")


def abilities(driver: object) -> tuple[str, ...]:
    """The rare abilities a driver has, by name."""
    return tuple(ability.__name__ for ability in ABILITIES if isinstance(driver, ability))


def able(driver: object, ability: type[T], action: str) -> T:
    """The driver as one that has an ability. Raises NotImplementedHere."""
    if not isinstance(driver, ability):
        raise errors.NotImplementedHere(action=action)
    return driver
