"""Weighers of what is free on a host: by default the emptiest host is the best, servers spread."""

from typing import ClassVar

from nova.scheduler.weighers.weigher import Scale, Weigher
from nova.structs.schedule import PlacementRequest


class _FreeWeigher(Weigher):
    resource_class: ClassVar[str]

    def scale(self, request: PlacementRequest) -> Scale | None:
        name = self.resource_class
        return lambda host: host.free(name)


class RAMWeigher(_FreeWeigher):
    """Free memory; by default the more the better."""

    multiplier_option = "ram_weight_multiplier"
    resource_class = "MEMORY_MB"


class CPUWeigher(_FreeWeigher):
    """Free VCPUs; by default the more the better."""

    multiplier_option = "cpu_weight_multiplier"
    resource_class = "VCPU"


class DiskWeigher(_FreeWeigher):
    """Free disk; by default the more the better."""

    multiplier_option = "disk_weight_multiplier"
    resource_class = "DISK_GB"
