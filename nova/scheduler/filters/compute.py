"""ComputeFilter and AllHostsFilter: whether the host's nova-compute is up and enabled."""

from nova.scheduler.filters.filter import Check, Filter
from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.structs.schedule import PlacementRequest

DOWN = Refusal("is down")


class ComputeFilter(Filter):
    """Passes hosts whose nova-compute is up and enabled."""

    def check(self, request: PlacementRequest) -> Check | None:
        return _works


def _works(host: HostCandidate) -> Refusal | None:
    if host.state.is_disabled:
        return Refusal("is disabled", host.state.disabled_reason or "")
    return None if host.state.is_up else DOWN


class AllHostsFilter(Filter):
    """Passes every host."""

    def check(self, request: PlacementRequest) -> Check | None:
        return None
