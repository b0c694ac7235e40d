"""The orders a host understands: each verb, the type of its arguments, and the function that does it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from nova.compute.host import Host
from nova.compute.steps import inside, lifecycle, live, move, power, rescue, share, snapshot, vif, volume
from nova.structs import steps


class Verb(NamedTuple):
    """An order that hosts understand. do takes (host, arguments); its result becomes the step's answer."""

    arguments: type[msgspec.Struct]
    do: Callable[[Host, Any], Any]


VERBS: dict[str, Verb] = {
    "spawn": Verb(steps.SpawnArguments, lifecycle.spawn),
    "destroy": Verb(steps.DestroyArguments, lifecycle.destroy),
    "power_on": Verb(steps.GuestArguments, power.power_on),
    "power_off": Verb(steps.StopArguments, power.power_off),
    "reboot": Verb(steps.RebootArguments, power.reboot),
    "reach": Verb(steps.ReachArguments, power.reach),
    "set_password": Verb(steps.PasswordArguments, inside.set_password),
    "crash_dump": Verb(steps.GuestArguments, inside.crash_dump),
    "attach_vif": Verb(steps.VifArguments, vif.attach_vif),
    "detach_vif": Verb(steps.VifArguments, vif.detach_vif),
    "attach_volume": Verb(steps.VolumeArguments, volume.attach_volume),
    "detach_volume": Verb(steps.VolumeArguments, volume.detach_volume),
    "swap_volume": Verb(steps.SwapArguments, volume.swap_volume),
    "extend_volume": Verb(steps.ExtendArguments, volume.extend_volume),
    "snapshot_volume": Verb(steps.VolumeSnapshotArguments, volume.snapshot_volume),
    "merge_volume_snapshot": Verb(steps.MergeArguments, volume.merge_volume_snapshot),
    "define_shares": Verb(steps.GuestArguments, share.define_shares),
    "bring_to": Verb(steps.BringToArguments, power.bring_to),
    "set_aside": Verb(steps.GuestArguments, move.set_aside),
    "take_over": Verb(steps.TakeOverArguments, move.take_over),
    "bring_back": Verb(steps.GuestArguments, move.bring_back),
    "forget_aside": Verb(steps.GuestArguments, move.forget_aside),
    "check_disks": Verb(steps.CheckDisksArguments, move.check_disks),
    "prepare_destination": Verb(steps.ReceiveArguments, live.prepare_destination),
    "abort_destination": Verb(steps.ReceiveArguments, live.abort_destination),
    "check_arrival": Verb(steps.ReceiveArguments, live.check_arrival),
    "migrate": Verb(steps.MigrateArguments, live.migrate),
    "rescue": Verb(steps.RescueArguments, rescue.rescue),
    "unrescue": Verb(steps.UnrescueArguments, rescue.unrescue),
    "snapshot": Verb(steps.SnapshotArguments, snapshot.snapshot),
    "upload_snapshot": Verb(steps.SnapshotArguments, snapshot.upload_snapshot),
    "forget_snapshot": Verb(steps.SnapshotArguments, snapshot.forget_snapshot),
}
