"""nova-scheduler: answers select, keeps its view of the hosts current.

It holds nothing that cannot be fetched again: any number of them run side by side, and each may be
started before the conductor and Placement are there.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from oslo_config import cfg

from nova import metrics
from nova.clients.placement import PlacementClient
from nova.rpc.scheduler import SchedulerCalls, SchedulerNews
from nova.scheduler import filters, weighers
from nova.scheduler.host_selector import HostSelector
from nova.scheduler.host_view import Hosts, Loads
from nova.scheduler.peers import Peers
from nova.scheduler.promises import Promises
from nova.structs.host import HostState
from nova.structs.schedule import Decision, PlacementRequest, PromiseNews

LOG = logging.getLogger(__name__)


class Scheduler(SchedulerCalls, SchedulerNews):
    """Implements both contracts. conductor is anything with host_view(since) and, for filters and
    weighers that count servers, host_loads(). peers reaches all schedulers; None: there is no other.

    Raises BadConfiguration for a filter or weigher that does not exist.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        conductor: Any,
        placement: PlacementClient,
        peers: SchedulerNews | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        chosen = filters.enabled(conf)
        scales = weighers.enabled(conf)
        needs_load = any(rule.needs_load for rule in chosen) or any(weigher.needs_load for weigher in scales)
        self._hosts = Hosts(conductor)
        self._loads = Loads(conductor.host_loads) if needs_load else None
        self._promises = Promises(clock)
        self.peers = Peers(self._promises, peers, clock)
        self._selector = HostSelector(conf, placement, chosen, scales, self._promises, self.peers)

    def start(self) -> None:
        """Begin to fetch the hosts, in a thread of its own, and to speak with other schedulers."""
        self._hosts.start()
        self.peers.start()

    def stop(self) -> None:
        """Stop fetching the hosts, and take leave of the others."""
        self._hosts.stop()
        self.peers.stop()

    def select(self, request: PlacementRequest) -> Decision:
        """Choose and claim a host. A request that no known host can take is tried again on a fresh view."""
        began, outcome = time.perf_counter(), "error"
        try:
            decision = self._choose(request)
            outcome = "no valid host" if decision.host is None else "dry run" if request.is_dry_run else "chosen"
        finally:
            metrics.DECISIONS.labels(outcome).observe(time.perf_counter() - began)
        for stage in decision.stages:
            metrics.REJECTED.labels(stage.name).inc(max(stage.before - stage.after, 0))
        return decision

    def _choose(self, request: PlacementRequest) -> Decision:
        known = self._hosts.at_least(request.hosts_version)
        decision = self._select(request, known)
        if decision.host is None:
            # A host may have come up a moment ago.
            self._hosts.refresh()
            if self._hosts.known() is not known:
                decision = self._select(request, self._hosts.known())
        if decision.host is None:
            LOG.info("no host for server %s: %s", request.instance_id, decision.reason)
        else:
            LOG.info("host %s for server %s, of %d", decision.host, request.instance_id, len(decision.weighed))
        return decision

    def hosts_changed(self, version: int) -> None:
        """The conductor says that the hosts are at this version now."""
        self._hosts.changed(version)

    def promised(self, news: PromiseNews) -> None:
        """Another scheduler, or this one, says what it has promised."""
        self.peers.hear(news)

    def released(self, instance_id: str) -> None:
        """The conductor says that a server has given its host back."""
        self._promises.forget(instance_id)

    def _select(self, request: PlacementRequest, known: Mapping[str, HostState]) -> Decision:
        return self._selector.select(request, known, self._loads.now() if self._loads is not None else None)
