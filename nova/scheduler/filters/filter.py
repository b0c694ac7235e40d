"""What a filter is: a check of each host, made once per request."""

from collections.abc import Callable, Mapping

from oslo_config import cfg

from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.structs.host import HostState
from nova.structs.schedule import PlacementRequest

Check = Callable[[HostCandidate], Refusal | None]


class Filter:
    """Base of all filters; its class name is the name in enabled_filters.

    Made once, at start, from the configuration. An operator's own filter derives from this and is named
    by its dotted path in available_filters.
    """

    # Whether this filter looks at HostCandidate.load, which costs a call of the conductor.
    needs_load = False
    # Whether this filter also applies when a server is rebuilt with another image on its host.
    judges_image = False

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Read what is configured."""

    def check(self, request: PlacementRequest) -> Check | None:
        """The check of each host for this request; None when every host passes.

        A check returns None for a host that passes.
        """
        raise NotImplementedError

    def check_among(self, request: PlacementRequest, known: Mapping[str, HostState]) -> Check | None:
        """The same, for a filter that needs all known hosts to judge one."""
        return self.check(request)
