"""What a virt driver gets and returns about a guest. Nothing here needs a lookup."""

import enum

import msgspec

from nova.structs.disks import DisksId
from nova.structs.flavor import Flavor
from nova.structs.image import Image
from nova.structs.instance import BlockDevice, PowerState
from nova.structs.network import Vif
from nova.structs.share import Share


class Disk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One disk of a guest on its host.

    kind: root, ephemeral, swap, blank or volume. image_path: the cached image under a root disk,
    read-only, image_format its format. missing_image: the id of one that is not to be had any more, and is needed only
    where the disk has to be made. connection_info: how to reach a volume, as the Block
    Storage API gave it. Sizes in MiB; size_mb 0 means the image's own size, up to max_size_mb (0: any).
    """

    kind: str
    device_name: str
    bus: str = "virtio"
    size_mb: int = 0
    max_size_mb: int = 0
    image_path: str | None = None
    image_format: str | None = None
    missing_image: str | None = None
    boot_index: int | None = None
    device_type: str = "disk"
    guest_format: str | None = None
    volume: BlockDevice | None = None


class GuestSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything a driver needs to make a guest.

    name is the domain's name on the host (instance_name_template). config_drive holds the files
    of the config drive by path, None for no drive. password is the administrator's, where the guest is
    made or rescued with one. kernel_path and ramdisk_path are files of this
    host to boot from, for an image that has its kernel beside it.
    starts_paused: create() and a hard reboot() leave the guest paused; it is waited for something that it needs.
    disks_id is whose the disks are, None for the order of an older release. moves_from, on a move: whose they
    were; with an empty host, nobody's.
    """

    uuid: str
    name: str
    display_name: str
    project_id: str
    user_id: str
    flavor: Flavor
    image: Image | None = None
    disks: tuple[Disk, ...] = ()
    vifs: tuple[Vif, ...] = ()
    shares: tuple[Share, ...] = ()
    config_drive: dict[str, bytes] | None = None
    password: str | None = None
    metadata: dict[str, str] = {}
    kernel_path: str | None = None
    ramdisk_path: str | None = None
    disks_id: DisksId | None = None
    moves_from: DisksId | None = None
    starts_paused: bool = False


class VolumeFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The file of a volume that its guest writes to: its name in the volume's directory, and raw or qcow2."""

    name: str
    format: str = "raw"


class RebootKind(enum.StrEnum):
    """SOFT asks the guest; HARD resets it."""

    SOFT = "SOFT"
    HARD = "HARD"


class ConsoleKind(enum.StrEnum):
    """How a console is reached: protocol and type of the Compute API's remote consoles."""

    NOVNC = "novnc"
    SPICE_HTML5 = "spice-html5"
    SPICE_DIRECT = "spice-direct"
    SERIAL = "serial"
    XVPVNC = "xvpvnc"


class ConsoleAddress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a console proxy finds a guest's screen."""

    host: str
    port: int
    tls_port: int | None = None
    path: str | None = None


class Inventory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a host has of one resource class, as the Placement API counts it."""

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = 2147483647
    step_size: int = 1
    allocation_ratio: float = 1.0


class NodeState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A hypervisor as it is now: the part of os-hypervisors that only the host knows.

    inventory is by resource class; ratios and reservations are nova-compute's to add. cpu_info is
    the driver's description of the processor: arch, model, vendor, features, topology.
    """

    hypervisor_hostname: str
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    memory_mb_used: int = 0
    disk_gb_used: int = 0
    disk_available_least_gb: int = 0
    cpu_info: dict[str, object] = {}
    supported_instances: tuple[tuple[str, str, str], ...] = ()
    traits: tuple[str, ...] = ()
    # The address to which shared file systems grant access; host_ip where it is empty.
    share_ip: str = ""
    # The optional Protocols of nova.virt.driver that this driver has.
    abilities: tuple[str, ...] = ()
    uptime: str = ""


class GuestState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A guest found on a host. is_halted: the hypervisor has paused it, as for an error of a disk or a migration."""

    uuid: str
    name: str
    power_state: PowerState
    is_halted: bool = False


class GuestsCompared(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a host and the records differ, by the server's uuid; nothing of servers that something is being done to.

    unknown: guests without a record, and their power states. elsewhere: guests whose server is on another host by its
    record ("": on none, or it is deleted). missing: servers of this host by their records, without a guest.
    """

    unknown: dict[str, int] = {}
    elsewhere: dict[str, str] = {}
    missing: tuple[str, ...] = ()
