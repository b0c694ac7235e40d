"""IsolatedHostsFilter: images that run on certain hosts only, hosts that run certain images only."""

from oslo_config import cfg

from nova.scheduler.filters.filter import Check, Filter
from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.structs.schedule import PlacementRequest


class IsolatedHostsFilter(Filter):
    """Isolated images go to isolated hosts; those take nothing else, unless the configuration lets them.

    A server that boots from a volume has no image here, and counts as not isolated.
    """

    judges_image = True

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options = conf.filter_scheduler
        self._images = frozenset(options.isolated_images)
        self._hosts = frozenset(options.isolated_hosts)
        self._is_exclusive = options.restrict_isolated_hosts_to_isolated_images

    def check(self, request: PlacementRequest) -> Check | None:
        """None where no host and no image is isolated, and where isolated hosts take other images, too."""
        if not self._images and not self._hosts:
            return None
        is_isolated = request.image is not None and request.image.id in self._images
        if is_isolated:
            reason = Refusal("is not among the hosts of isolated images")
        elif self._is_exclusive:
            reason = Refusal("is kept for isolated images")
        else:
            return None

        def check(host: HostCandidate) -> Refusal | None:
            return None if (host.state.host in self._hosts) == is_isolated else reason

        return check
