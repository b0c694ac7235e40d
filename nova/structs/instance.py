"""An instance: our record of a server, one row and its documents."""

import datetime
import enum

import msgspec

from nova.structs.disks import DisksId
from nova.structs.flavor import Flavor
from nova.structs.image import Image
from nova.structs.network import Vif
from nova.structs.share import Share


class VmState(enum.StrEnum):
    """The state of a server while no operation runs on it. Source: Compute API guide, "Server concepts"."""

    BUILDING = "building"
    ACTIVE = "active"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    RESCUED = "rescued"
    RESIZED = "resized"
    SOFT_DELETED = "soft-delete"
    DELETED = "deleted"
    ERROR = "error"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"


class PowerState(enum.IntEnum):
    """A guest's state as the hypervisor reports it. Source: Compute API reference, OS-EXT-STS:power_state."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a server is in ERROR. details are for administrators."""

    code: int
    message: str
    created_at: datetime.datetime
    details: str | None = None


class BlockDevice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One disk of a server: where its content comes from, where it lives, how the guest sees it.

    source: image, volume, snapshot or blank; destination: local or volume. size_gb of a swap disk
    is in swap_mb instead. Source: user guide, "Block Device Mapping".
    """

    id: str
    source: str
    destination: str
    boot_index: int | None = None
    image_id: str | None = None
    volume_id: str | None = None
    snapshot_id: str | None = None
    size_gb: int | None = None
    swap_mb: int | None = None
    guest_format: str | None = None
    device_name: str | None = None
    device_type: str = "disk"
    disk_bus: str | None = None
    volume_type: str | None = None
    tag: str | None = None
    delete_on_termination: bool = False
    attachment_id: str | None = None
    connection_info: dict[str, object] | None = None


class KeypairRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The key pair a server was booted with; it outlives the key pair itself."""

    name: str
    type: str
    public_key: str
    fingerprint: str | None = None


class ResizedFrom(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a server was before its resize or migration, until that is confirmed or reverted.

    migration_id is the consumer that holds the old host's resources. generation: of the disks that are aside.
    """

    migration_id: str
    flavor: Flavor
    host: str
    node: str | None
    zone: str | None
    was_running: bool
    resized_at: datetime.datetime
    generation: int = 0


class Properties(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The parts of a server's record that lists neither filter nor sort by: one JSON document."""

    description: str | None = None
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    config_drive: bool = False
    disk_config: str = "MANUAL"
    launch_index: int = 0
    root_device_name: str | None = None
    keypair: KeypairRef | None = None
    locked_by: str | None = None
    locked_reason: str | None = None
    progress: int = 0
    trusted_certs: tuple[str, ...] | None = None
    security_groups: tuple[str, ...] = ()
    scheduler_hints: dict[str, object] = {}
    server_group: str | None = None
    requested_zone: str | None = None
    requested_host: str | None = None
    resized_from: ResizedFrom | None = None


class Instance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A server's record. Times are UTC; host is the daemon's name, node the hypervisor_hostname.

    generation: the number of the move that made the disks it has now; 0 where an older release sends the record.
    last_generation: the last number that was given to a move, whatever became of it.
    """

    id: int
    uuid: str
    project_id: str
    user_id: str
    name: str
    hostname: str
    vm_state: VmState
    flavor: Flavor
    created_at: datetime.datetime
    task_state: str | None = None
    power_state: PowerState = PowerState.NOSTATE
    host: str | None = None
    node: str | None = None
    availability_zone: str | None = None
    image_id: str | None = None
    image: Image | None = None
    key_name: str | None = None
    is_locked: bool = False
    reservation_id: str = ""
    updated_at: datetime.datetime | None = None
    launched_at: datetime.datetime | None = None
    terminated_at: datetime.datetime | None = None
    deleted_at: datetime.datetime | None = None
    metadata: dict[str, str] = {}
    system_metadata: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    vifs: tuple[Vif, ...] = ()
    block_devices: tuple[BlockDevice, ...] = ()
    shares: tuple[Share, ...] = ()
    fault: Fault | None = None
    properties: Properties = Properties()
    user_data: str | None = None
    generation: int = 0
    last_generation: int = 0
    # Read beside the record, not part of it.
    host_status: str | None = None
    # Whose disks a server on the move has had, for the hosts of the move.
    moves_from: DisksId | None = None

    @property
    def disks_id(self) -> DisksId:
        """Whose the server's disks are. The host is empty where it has none."""
        return DisksId(generation=self.generation, host=self.host or "")

    @property
    def is_deleted(self) -> bool:
        """Whether the server is gone; its row stays until it is purged."""
        return self.deleted_at is not None
