"""The claim of a chosen host in Placement, in the server's name, and what an earlier attempt has claimed."""

from collections import Counter
from collections.abc import Mapping

from nova.clients.placement import PlacementClient
from nova.clients.placement.claims import Claim
from nova.scheduler.host_candidate import HostCandidate
from nova.structs.host import HostState
from nova.structs.schedule import PlacementRequest


class Claims:
    """Claims hosts. The claim's consumer is the server's uuid, so a repeated request never allocates twice."""

    def __init__(self, placement: PlacementClient) -> None:
        self._placement = placement

    def claim(self, request: PlacementRequest, host: HostCandidate) -> None:
        """Raises ClaimLost when there is no room any more, ConsumerHolds when the server holds something else."""
        if request.keep:
            self._placement.replace(_claim(request, host))
        elif host.allocations:
            self._placement.claim(request.instance_id, host.allocations, request.project_id, request.user_id)

    def replace(self, request: PlacementRequest, host: HostCandidate) -> None:
        """Claim a host whatever the server holds elsewhere. Raises ClaimLost."""
        self._placement.replace(_claim(request, host))

    def standing(self, request: PlacementRequest, known: Mapping[str, HostState]) -> HostCandidate | None:
        """The host that an earlier attempt claimed for this request."""
        if not request.amounts:
            return None
        claimed = _without(self._placement.allocations(request.instance_id).resources, request.keep)
        total: Counter[str] = Counter()
        for amounts in claimed.values():
            total.update(amounts)
        state = next((known[provider] for provider in claimed if provider in known), None)
        if state is None or dict(total) != request.amounts:
            return None
        return HostCandidate(state, claimed, {})


def _claim(request: PlacementRequest, host: HostCandidate) -> Claim:
    """The allocations of the host, on top of those that are kept."""
    total = {provider: dict(amounts) for provider, amounts in request.keep.items()}
    for provider, amounts in host.allocations.items():
        mine = total.setdefault(provider, {})
        for name, amount in amounts.items():
            mine[name] = mine.get(name, 0) + amount
    return Claim(
        consumer=request.instance_id, allocations=total, project_id=request.project_id, user_id=request.user_id
    )


def _without(
    claimed: Mapping[str, Mapping[str, int]], keep: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """The claimed amounts less those in keep."""
    remainder = {
        provider: {
            name: rest for name, amount in amounts.items() if (rest := amount - keep.get(provider, {}).get(name, 0))
        }
        for provider, amounts in claimed.items()
    }
    return {provider: amounts for provider, amounts in remainder.items() if amounts}
