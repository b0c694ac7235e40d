"""What a weigher is: a number for each host, of which only the order and the distances count."""

from collections.abc import Callable
from typing import ClassVar

from oslo_config import cfg

from nova.scheduler.host_candidate import HostCandidate
from nova.structs.schedule import PlacementRequest

# How the names of multipliers end, in the configuration and in the metadata of aggregates.
MULTIPLIER = "_weight_multiplier"

Scale = Callable[[HostCandidate], float]


class Weigher:
    """Base of all weighers; its class name is the name in weight_classes and in decisions.

    multiplier_option names its multiplier in [filter_scheduler]; the metadata of an aggregate may set
    it under the same name for the aggregate's hosts. One's own weigher may set multiplier instead.
    """

    needs_load = False
    multiplier_option: ClassVar[str] = ""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.multiplier = conf.filter_scheduler[self.multiplier_option] if self.multiplier_option else 1.0

    def scale(self, request: PlacementRequest) -> Scale | None:
        """How this request weighs a host; None when it is all the same to it."""
        raise NotImplementedError

    def multiplier_for(self, host: HostCandidate) -> float:
        """The smallest of what the host's aggregates say, else the configured one."""
        values = [
            value
            for aggregate in host.state.aggregates
            if self.multiplier_option in aggregate.metadata
            and (value := _number(aggregate.metadata[self.multiplier_option])) is not None
        ]
        return min(values) if values else self.multiplier


def normalise(values: list[float]) -> list[float] | None:
    """The values between 0 for the smallest and 1 for the largest; None when they are all equal."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    span = high - low
    return [(value - low) / span for value in values] if span else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
