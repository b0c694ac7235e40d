"""Weighers of how busy a host is, and of how new its hypervisor is."""

from nova.scheduler.weighers.weigher import Scale, Weigher
from nova.structs.schedule import PlacementRequest


class IoOpsWeigher(Weigher):
    """Servers in work that reads and writes much; by default few of them are better."""

    needs_load = True
    multiplier_option = "io_ops_weight_multiplier"

    def scale(self, request: PlacementRequest) -> Scale | None:
        return lambda host: host.load.io_ops if host.load else 0


class NumInstancesWeigher(Weigher):
    """Servers on the host; by default it does not matter."""

    needs_load = True
    multiplier_option = "num_instances_weight_multiplier"

    def scale(self, request: PlacementRequest) -> Scale | None:
        return lambda host: host.load.instances if host.load else 0


class HypervisorVersionWeigher(Weigher):
    """The version of the hypervisor; by default newer is better."""

    multiplier_option = "hypervisor_version_weight_multiplier"

    def scale(self, request: PlacementRequest) -> Scale | None:
        return lambda host: host.state.state.hypervisor_version
