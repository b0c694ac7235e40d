"""A host that Placement offers for a request: what filters check and weighers weigh."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from nova.clients.placement.answers import Room
from nova.structs.host import HostLoad, HostState


class HostCandidate(msgspec.Struct, frozen=True, gc=False):
    """A node with its place in Placement: what it would be given, and the room it has.

    load is None when no enabled filter or weigher needs it.
    """

    state: HostState
    allocations: Mapping[str, Mapping[str, int]]
    room: Mapping[str, Room]
    load: HostLoad | None = None

    def free(self, resource_class: str) -> int:
        """What may still be allocated, in the class's unit; 0 for a class the host does not have."""
        room = self.room.get(resource_class)
        return room.free if room else 0

    def taking(self, amounts: Mapping[str, int]) -> "HostCandidate":
        """The host as it is with another server that takes these amounts, by resource class."""
        load = self.load and msgspec.structs.replace(
            self.load, instances=self.load.instances + 1, io_ops=self.load.io_ops + 1
        )
        return HostCandidate(self.state, self.allocations, room_less(self.room, amounts), load)

    def attribute(self, path: Sequence[str]) -> Any:
        """What the host has under a name of ATTRIBUTES; the rest
        of path leads inside. None when there is no such thing."""
        read = ATTRIBUTES.get(path[0])
        value = read(self) if read else None
        for name in path[1:]:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def aggregate_values(self, key: str) -> set[str]:
        """The values of a metadata key in the host's aggregates; one aggregate may list several, by commas."""
        return {
            value.strip()
            for aggregate in self.state.aggregates
            if key in aggregate.metadata
            for value in aggregate.metadata[key].split(",")
        }


def room_less(room: Mapping[str, Room], amounts: Mapping[str, int]) -> Mapping[str, Room]:
    """The room that is left when these amounts, by resource class, are taken."""
    return {
        name: Room(one.capacity, one.used + amounts[name]) if name in amounts else one for name, one in room.items()
    }


def _used(host: HostCandidate, resource_class: str) -> int:
    room = host.room.get(resource_class)
    return room.used if room else 0


# Source: Compute admin guide, "Compute schedulers", ComputeCapabilitiesFilter and JsonFilter. What is
# free or used is so in Placement's eyes, with reservations and allocation ratios applied.
ATTRIBUTES: Mapping[str, Callable[[HostCandidate], Any]] = {
    "host": lambda host: host.state.host,
    "nodename": lambda host: host.state.node,
    "hypervisor_hostname": lambda host: host.state.node,
    "uuid": lambda host: host.state.provider_uuid,
    "host_ip": lambda host: host.state.state.host_ip,
    "hypervisor_type": lambda host: host.state.state.hypervisor_type,
    "hypervisor_version": lambda host: host.state.state.hypervisor_version,
    "cpu_info": lambda host: host.state.state.cpu_info,
    "supported_instances": lambda host: host.state.state.supported_instances,
    "free_ram_mb": lambda host: host.free("MEMORY_MB"),
    "free_disk_mb": lambda host: host.free("DISK_GB") * 1024,
    "total_usable_ram_mb": lambda host: host.state.state.memory_mb,
    "total_usable_disk_gb": lambda host: host.state.state.disk_gb,
    "disk_mb_used": lambda host: _used(host, "DISK_GB") * 1024,
    "vcpus_total": lambda host: host.state.state.vcpus,
    "vcpus_used": lambda host: _used(host, "VCPU"),
    "num_instances": lambda host: host.load.instances if host.load else None,
    "num_io_ops": lambda host: host.load.io_ops if host.load else None,
}


class Refusal(NamedTuple):
    """Why a host was dropped. short is a clause a user may read: it names no host and nothing of
    other projects ("is down"). detail is for administrators."""

    short: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.short}: {self.detail}" if self.detail else self.short
