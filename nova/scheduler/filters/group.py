"""The hard rules of server groups: affinity and anti-affinity."""

from collections import Counter

from nova.scheduler.filters.filter import Check, Filter
from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.structs.schedule import PlacementRequest


class ServerGroupAntiAffinityFilter(Filter):
    """Drops hosts that hold as many members of the group as it allows on one host."""

    def check(self, request: PlacementRequest) -> Check | None:
        """None, for every host passes, before the group has a member on a host."""
        group = request.group
        if group is None or group.policy != "anti-affinity" or not group.hosts:
            return None
        members = Counter(group.hosts)
        most = group.max_server_per_host
        short = "holds a member of the server group" if most == 1 else f"holds {most} members of the server group"

        def check(host: HostCandidate) -> Refusal | None:
            count = members[host.state.host]
            return Refusal(short, "its policy is anti-affinity") if count >= most else None

        return check


class ServerGroupAffinityFilter(Filter):
    """Passes hosts of the group's members, once there are any."""

    def check(self, request: PlacementRequest) -> Check | None:
        group = request.group
        if group is None or group.policy != "affinity" or not group.hosts:
            return None
        homes = frozenset(group.hosts)
        reason = Refusal("does not hold the server group", "its policy is affinity")
        return lambda host: None if host.state.host in homes else reason
