"""nova-scheduler: answers select, keeps its view of the hosts current.

It holds nothing that cannot be fetched again: any number of them run side by side, and each may be
started before the conductor and Placement are there.
"""

import logging
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from nova.clients.placement import PlacementClient
from nova.rpc.scheduler import SchedulerCalls
from nova.scheduler import filters, weighers
from nova.scheduler.host_selector import HostSelector
from nova.scheduler.host_view import Hosts, Loads
from nova.structs.host import HostState
from nova.structs.schedule import Decision, PlacementRequest

LOG = logging.getLogger(__name__)


class Scheduler(SchedulerCalls):
    """Implements SchedulerCalls. conductor is anything with host_view(since) and, for filters and
    weighers that count servers, host_loads().

    Raises BadConfiguration for a filter or weigher that does not exist.
    """

    def __init__(self, conf: cfg.ConfigOpts, conductor: Any, placement: PlacementClient) -> None:
        chosen = filters.enabled(conf)
        scales = weighers.enabled(conf)
        needs_load = any(rule.needs_load for rule in chosen) or any(weigher.needs_load for weigher in scales)
        self._hosts = Hosts(conductor)
        self._loads = Loads(conductor.host_loads) if needs_load else None
        self._selector = HostSelector(conf, placement, chosen, scales)

    def start(self) -> None:
        """Begin to fetch the hosts, in a thread of its own."""
        self._hosts.start()

    def stop(self) -> None:
        """Stop fetching the hosts."""
        self._hosts.stop()

    def select(self, request: PlacementRequest) -> Decision:
        """Choose and claim a host. A request that no known host can take is tried again on a fresh view."""
        known = self._hosts.known()
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

    def _select(self, request: PlacementRequest, known: Mapping[str, HostState]) -> Decision:
        if self._loads is None:
            return self._selector.select(request, known)
        decision = self._selector.select(request, known, self._loads.now())
        if decision.host is not None and not request.is_dry_run:
            self._loads.add(decision.host)
        return decision
