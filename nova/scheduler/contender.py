"""A host still in the running: what filters judge and weighers weigh."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from nova.placement_client import Room
from nova.structs.host import HostLoad, HostState


class Contender(msgspec.Struct, frozen=True, gc=False):
    """A node with its place in Placement: what it would be given, and the room it has.

    load is None when nothing that is enabled asks for it.
    """

    state: HostState
    allocations: Mapping[str, Mapping[str, int]]
    room: Mapping[str, Room]
    load: HostLoad | None = None

    def free(self, resource_class: str) -> int:
        """What may still be allocated, in the class's unit; 0 of what the host has not."""
        room = self.room.get(resource_class)
        return room.free if room else 0

    def attributes(self) -> dict[str, Any]:
        """The host in the names that flavors' capabilities and users' queries use for it.

        Source: Compute admin guide, "Compute schedulers", ComputeCapabilitiesFilter and JsonFilter.
        Free and used amounts are those of Placement, with reservations and ratios applied.
        """
        node = self.state.state
        vcpus = self.room.get("VCPU")
        return {
            "host": self.state.host,
            "nodename": self.state.node,
            "hypervisor_hostname": self.state.node,
            "uuid": self.state.provider_uuid,
            "host_ip": node.host_ip,
            "hypervisor_type": node.hypervisor_type,
            "hypervisor_version": node.hypervisor_version,
            "cpu_info": node.cpu_info,
            "supported_instances": node.supported_instances,
            "free_ram_mb": self.free("MEMORY_MB"),
            "free_disk_mb": self.free("DISK_GB") * 1024,
            "total_usable_ram_mb": node.memory_mb,
            "total_usable_disk_gb": node.disk_gb,
            "disk_mb_used": node.disk_gb_used * 1024,
            "vcpus_total": node.vcpus,
            "vcpus_used": vcpus.used if vcpus else 0,
            "num_instances": self.load.instances if self.load else None,
            "num_io_ops": self.load.io_ops if self.load else None,
        }

    def aggregate_values(self, key: str) -> set[str]:
        """What the host's aggregates say under a metadata key; each may say several, by commas."""
        return {
            value.strip()
            for aggregate in self.state.aggregates
            if key in aggregate.metadata
            for value in aggregate.metadata[key].split(",")
        }


class Refusal(NamedTuple):
    """Why a host was dropped. short is a clause a user may read: it names no host and nothing of
    other projects ("is down"). detail is for administrators."""

    short: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.short}: {self.detail}" if self.detail else self.short
