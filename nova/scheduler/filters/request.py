"""Filters from the request itself: a zone, hosts that have not refused it yet, hosts of other servers.

These always apply, whatever enabled_filters lists: a request is met or refused with a
reason, never ignored.
"""

import ipaddress

from nova.scheduler.filters.filter import Check, Filter
from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.structs.schedule import PlacementRequest


class RetryFilter(Filter):
    """Drops hosts that refused this server already, and the one it moves away from."""

    def check(self, request: PlacementRequest) -> Check | None:
        if not request.exclude and request.leaves is None:
            return None
        reasons = dict.fromkeys(request.exclude, Refusal("was tried already"))
        if request.leaves is not None:
            reasons[request.leaves] = Refusal("is the host the server leaves")
        return lambda host: reasons.get(host.state.host)


class AvailabilityZoneFilter(Filter):
    """Passes hosts of the requested zone; of any of several, by commas."""

    def check(self, request: PlacementRequest) -> Check | None:
        if not request.zone:
            return None
        zones = {name.strip() for name in request.zone.split(",")}
        short = f"is outside availability zone {request.zone}"

        def check(host: HostCandidate) -> Refusal | None:
            return None if host.state.zone in zones else Refusal(short, f"it is in {host.state.zone}")

        return check


class SameHostFilter(Filter):
    """Passes hosts of the servers in the hint same_host; none passes when those have no host."""

    def check(self, request: PlacementRequest) -> Check | None:
        if not request.same_hosts and not request.hints.get("same_host"):
            return None
        hosts = frozenset(request.same_hosts)
        reason = Refusal("does not run the servers named in same_host")
        return lambda host: None if host.state.host in hosts else reason


class DifferentHostFilter(Filter):
    """Drops hosts of the servers in the hint different_host."""

    def check(self, request: PlacementRequest) -> Check | None:
        if not request.different_hosts:
            return None
        hosts = frozenset(request.different_hosts)
        reason = Refusal("runs a server named in different_host")
        return lambda host: reason if host.state.host in hosts else None


class SimpleCIDRAffinityFilter(Filter):
    """Passes hosts whose address lies in the network of the hints build_near_host_ip and cidr."""

    def check(self, request: PlacementRequest) -> Check | None:
        """Without the hint cidr the network is a /24. Hints that make no network fail every host."""
        address = _only(request.hints.get("build_near_host_ip"))
        if not address:
            return None
        prefix = str(_only(request.hints.get("cidr")) or "/24").lstrip("/")
        try:
            network = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
        except ValueError:
            unreadable = Refusal(f"cannot be near {address}/{prefix}, which is no network")
            return lambda host: unreadable
        short = f"is outside {network}"

        def check(host: HostCandidate) -> Refusal | None:
            host_ip = host.state.state.host_ip
            try:
                is_near = ipaddress.ip_address(host_ip) in network
            except ValueError:
                is_near = False
            return None if is_near else Refusal(short, f"its address is {host_ip}")

        return check


def _only(hint: object) -> object:
    """A hint given once may arrive as a list of one."""
    return hint[0] if isinstance(hint, list | tuple) and hint else hint
