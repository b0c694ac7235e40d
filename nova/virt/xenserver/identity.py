"""What tells that a VM or a disk in the pool is ours, and whose: entries of other_config, never a name.

Copies that an operator makes of ours inherit these entries. So an object that is complete says its own uuid, which no
copy has: a VM in WHOLE, a disk in READY. One that is not complete yet says no uuid at all.
"""

from typing import Any

import msgspec

from nova.structs.disks import Mark
from nova.virt.holdings import parse_mark

Record = dict[str, Any]

HOST = "nova:host"
"""Of a VM: the nova-compute whose guest it is."""
NAME = "nova:name"
"""Of a VM: the server's uuid, and what nova.virt.holdings adds to it."""
MARK = "nova:mark"
"""Of a VM: whose the disks are (nova.structs.disks.Mark), as JSON."""
WHOLE = "nova:whole"
"""Of a VM: its own uuid, when it is a guest with all its devices; with a word more when it only keeps a guest's disks."""
VM = "nova:vm"
"""Of a disk: the uuid of the VM that it was made for."""
DISK = "nova:disk"
"""Of a disk: which of the server's disks it is."""
READY = "nova:ready"
"""Of a disk: its own uuid, when its content is there."""
TAKING = "nova:taking"
"""Of a disk, and of a copy or snapshot that is made of it, which inherits it: the uuid of the VM it is made for."""
IMAGE = "nova:image"
"""Of a disk: the image it is the cached copy of."""
VOLUME = "nova:volume"
"""Of a VBD: the volume that it leads to."""
VOLUMES = "nova:volumes"
"""Of a VM: the volumes that are, or are about to be, connected for it."""
MOVING = "nova:moving"
"""Of a VM: the destination of its live migration, from before it begins."""
RESCUE = "nova:rescue"
"""Of a VM: it boots from its rescue disk, or is about to."""


class Vm(msgspec.Struct, frozen=True, kw_only=True):
    """A VM of ours, as it was when it was looked at."""

    ref: str
    record: Record

    @property
    def uuid(self) -> str:
        return str(self.record["uuid"])

    @property
    def config(self) -> dict[str, str]:
        config: dict[str, str] = self.record["other_config"]
        return config

    @property
    def name(self) -> str:
        return self.config[NAME]

    @property
    def mark(self) -> Mark | None:
        text = self.config.get(MARK)
        return parse_mark(text) if text else None

    @property
    def is_whole(self) -> bool:
        return self.config.get(WHOLE) == self.uuid

    @property
    def is_off(self) -> bool:
        return bool(self.record["power_state"] == "Halted")

    @property
    def undefined(self) -> str:
        """WHOLE of a VM that keeps disks, and is no guest."""
        return f"{self.uuid} undefined"


def own_vm(ref: str, record: Record, host: str) -> Vm | None:
    """The VM as one of this host's guests, or None."""
    config = record["other_config"]
    if record["is_a_template"] or record["is_a_snapshot"] or record["is_control_domain"]:
        return None
    if config.get(HOST) != host or NAME not in config or config.get(WHOLE, record["uuid"])[:36] != record["uuid"]:
        return None
    return Vm(ref=ref, record=record)


def is_own_disk(record: Record, vm_uuid: str) -> bool:
    """Whether a disk was made by us for a VM, complete or not."""
    config = record["other_config"]
    if config.get(READY, record["uuid"]) != record["uuid"]:
        # A copy: ours while its original said so when it was made, anyone's otherwise.
        return bool(config.get(TAKING) == vm_uuid)
    return bool(config.get(VM) == vm_uuid and not record["is_a_snapshot"])


def is_ready(record: Record) -> bool:
    """Whether a disk of ours has its content."""
    return bool(record["other_config"].get(READY) == record["uuid"])


def mark_text(mark: Mark | None) -> str:
    return "" if mark is None else msgspec.json.encode(mark).decode()
