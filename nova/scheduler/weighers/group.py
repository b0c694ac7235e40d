"""The soft rules of server groups: together or apart, as far as there is room."""

from collections import Counter

from nova.scheduler.weighers.weigher import Scale, Weigher
from nova.structs.schedule import PlacementRequest


class ServerGroupSoftAffinityWeigher(Weigher):
    """The more members of the group on a host, the better."""

    multiplier_option = "soft_affinity_weight_multiplier"

    def scale(self, request: PlacementRequest) -> Scale | None:
        if request.group is None or request.group.policy != "soft-affinity":
            return None
        members = Counter(request.group.hosts)
        return lambda host: members[host.state.host]


class ServerGroupSoftAntiAffinityWeigher(Weigher):
    """The fewer members of the group on a host, the better."""

    multiplier_option = "soft_anti_affinity_weight_multiplier"

    def scale(self, request: PlacementRequest) -> Scale | None:
        if request.group is None or request.group.policy != "soft-anti-affinity":
            return None
        members = Counter(request.group.hosts)
        return lambda host: -members[host.state.host]
