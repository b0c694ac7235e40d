"""The arguments and the result of each order to a host. One struct per verb."""

from typing import Any

import msgspec

from nova.structs.guest import RebootKind
from nova.structs.image import Image
from nova.structs.instance import BlockDevice, Instance, PowerState
from nova.structs.network import Vif


class GuestArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A guest as its record is now: all that most verbs need."""

    instance: Instance


class CheckDisksArguments(GuestArguments, frozen=True, kw_only=True, omit_defaults=True):
    """aside: disks that are aside count. own: so do those in the guest's place."""

    aside: bool = False
    own: bool = True


class SpawnArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """personality: files by path, base64, for the config drive. password: the administrator's."""

    instance: Instance
    personality: dict[str, str] = {}
    password: str | None = None


class DestroyArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """keep_disks: on shared storage the disks belong to the guest on another host. generation: the move whose
    disks go, and no others; what it found is given back; None: whatever is there goes."""

    instance: Instance
    keep_disks: bool = False
    generation: int | None = None


class StopArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """grace_s: how long the guest has to shut down by itself; None is the host's shutdown_timeout."""

    instance: Instance
    grace_s: float | None = None


class RebootArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """kind: SOFT falls back to HARD after the host's shutdown_timeout."""

    instance: Instance
    kind: RebootKind


class UploadResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """size: bytes that were given to the Image service; None where that is not known any more."""

    size: int | None = None


class PowerResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The guest's power state after the verb. are_ports_plugged: that is known, because the guest has waited for it."""

    power_state: int
    are_ports_plugged: bool = False


class ReachArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """target: the power state the guest is to have."""

    instance: Instance
    target: PowerState


class PasswordArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """password: in clear text; it is not kept once the step is done."""

    instance: Instance
    password: str


class RescueArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """image: what the rescue disk is made of. password: for the rescue system."""

    instance: Instance
    image: Image | None
    password: str


class UnrescueArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """is_running: whether the guest is to run afterwards."""

    instance: Instance
    is_running: bool = True


class SnapshotArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """image_id: the image of the Image service that receives the data."""

    instance: Instance
    image_id: str
    disk_format: str


class DisksAside(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Facts of the driver on one host of a move for the driver on the other."""

    facts: dict[str, Any]


class TakeOverArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """instance: the server as it is to be on this host."""

    instance: Instance
    facts: dict[str, Any]


class BringToArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """target: the power state that a guest that is off is to reach."""

    instance: Instance
    target: PowerState


class ReceiveArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """instance: the server as it is to be on this host. stays_away: its source has said that it runs there."""

    instance: Instance
    stays_away: bool = False


class MigrateArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """to: the destination host. facts: the result of preparing it."""

    instance: Instance
    to: str
    facts: dict[str, Any]


class VifArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """vif: with its binding to this host."""

    instance: Instance
    vif: Vif


class VolumeArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """device: with the connection info for this host."""

    instance: Instance
    device: BlockDevice


class ExtendArguments(VolumeArguments, frozen=True, kw_only=True, omit_defaults=True):
    """size_bytes: of the volume as it is now."""

    size_bytes: int


class VolumeSnapshotArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """new_file: the name of a file beside the volume's."""

    instance: Instance
    device: BlockDevice
    new_file: str


class MergeArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """merge_target None: what is below is merged into the file the guest writes to."""

    instance: Instance
    device: BlockDevice
    file_to_merge: str
    merge_target: str | None = None


class SwapArguments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """old and new: one device name, two volumes, both connected to this host."""

    instance: Instance
    old: BlockDevice
    new: BlockDevice
