"""How busy a host may be: its servers, and its servers in operations with much disk or network traffic.

A number in the metadata of the host's aggregates wins for the Aggregate filters; of several, the smallest.
"""

from typing import ClassVar

from oslo_config import cfg

from nova.scheduler.filters.filter import Check, Filter
from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.structs.schedule import PlacementRequest


class _LoadFilter(Filter):
    needs_load = True
    option: ClassVar[str]
    # A field of HostLoad, and the reason for refusing a host with too much of it.
    counts: ClassVar[str]
    says: ClassVar[str]
    asks_aggregates: ClassVar[bool] = False

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._most: int = conf.filter_scheduler[self.option]

    def check(self, request: PlacementRequest) -> Check | None:
        def check(host: HostCandidate) -> Refusal | None:
            count = getattr(host.load, self.counts) if host.load else 0
            most = self._most_on(host)
            return Refusal(self.says, f"{count} of {most}") if count >= most else None

        return check

    def _most_on(self, host: HostCandidate) -> int:
        if not self.asks_aggregates:
            return self._most
        return min((int(text) for text in host.aggregate_values(self.option) if text.isdigit()), default=self._most)


class IoOpsFilter(_LoadFilter):
    """Drops hosts with max_io_ops_per_host servers being built, moved, snapshotted or the like."""

    option = "max_io_ops_per_host"
    counts = "io_ops"
    says = "is busy with servers in work"


class AggregateIoOpsFilter(IoOpsFilter):
    """The same, with the number of the host's aggregates."""

    asks_aggregates = True


class NumInstancesFilter(_LoadFilter):
    """Drops hosts with max_instances_per_host servers."""

    option = "max_instances_per_host"
    counts = "instances"
    says = "has no place for another server"


class AggregateNumInstancesFilter(NumInstancesFilter):
    """The same, with the number of the host's aggregates."""

    asks_aggregates = True
