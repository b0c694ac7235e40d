"""The hosts as the scheduler knows them: in memory, kept current by what changed since a version.

Decisions write nothing here. The view is replaced as a whole, never changed in place, so that
a decision sees one moment from its beginning to its end.
"""

import logging
import threading
import time
import types
from collections.abc import Callable, Mapping
from typing import Protocol

from nova import concurrency, errors, metrics
from nova.structs.host import HostLoad, HostState, HostView

LOG = logging.getLogger(__name__)

# A lost hosts_changed delays the scheduler's knowledge by this at most.
REFRESH_S = 5.0
# A thousand hosts that start at once are fetched in few, larger pieces.
PAUSE_S = 0.05
# Every so many refreshes everything is fetched, whatever the versions say.
REFRESHES_PER_RESYNC = 120
FIRST_VIEW_TIMEOUT_S = 10.0
# How old the counts of servers on hosts may be.
LOADS_S = 1.0


class ViewSource(Protocol):
    """The source of host views: the conductor."""

    def host_view(self, since: int) -> HostView:
        """What changed after version since."""


class Hosts:
    """All hypervisor nodes by the uuid of their resource provider."""

    def __init__(self, source: ViewSource, refresh_s: float = REFRESH_S) -> None:
        self._source = source
        self._refresh_s = refresh_s
        self._known: Mapping[str, HostState] = types.MappingProxyType({})
        self._version = 0
        self._refreshes = 0
        self._is_loaded = threading.Event()
        self._lock = threading.Lock()
        self._periodic: concurrency.Periodic | None = None
        self._is_silent = False
        self._fetched_at = 0.0

    def start(self) -> None:
        """Begin to fetch; the conductor need not be there yet."""
        self._periodic = concurrency.Periodic(self._refresh_s, self._try_refresh, "host view", at_once=True)

    def stop(self) -> None:
        """Stop fetching; what is known stays."""
        if self._periodic is not None:
            self._periodic.stop()

    def known(self, timeout_s: float = FIRST_VIEW_TIMEOUT_S) -> Mapping[str, HostState]:
        """The hosts now. Raises errors.Unavailable while the conductor has never answered."""
        if not self._is_loaded.wait(timeout_s):
            raise errors.Unavailable(service="nova-conductor", reason="the hosts are not known yet")
        return self._known

    def at_least(self, version: int) -> Mapping[str, HostState]:
        """The hosts with all changes up to a version of which the conductor has spoken. Raises errors.Unavailable."""
        self.known()
        if self._version < version:
            with self._lock:
                # Whoever waited here may have been served by the one before.
                if self._version < version:
                    self._fetch()
        # Read last: what was read before the version may be older than it.
        return self._known

    def changed(self, version: int) -> None:
        """A version was announced; a newer one is fetched soon, by another thread."""
        if version != self._version and self._periodic is not None:
            self._periodic.wake()

    def refresh(self) -> None:
        """Fetch what changed. Raises errors.Unavailable."""
        with self._lock:
            self._fetch()

    def _fetch(self) -> None:
        self._refreshes += 1
        self._fetched_at = time.monotonic()
        since = 0 if self._refreshes % REFRESHES_PER_RESYNC == 0 else self._version
        view = self._source.host_view(since)
        if view.version == since and self._is_loaded.is_set():
            return
        if view.version < since or not self._take(view, since):
            # The versions restarted, or one between them was missed.
            self._take(self._source.host_view(0), 0)
        self._is_loaded.set()

    def _take(self, view: HostView, since: int) -> bool:
        """Apply a view; False when it names nodes of which there is no description yet."""
        known = dict(self._known) if since else {}
        known.update({state.provider_uuid: state for state in view.changed})
        there = set(view.all_nodes)
        if since and not there <= known.keys():
            LOG.warning("the host view has a gap after version %s; fetching all of it", since)
            return False
        self._known = types.MappingProxyType({uuid: state for uuid, state in known.items() if uuid in there})
        self._version = view.version
        metrics.KNOWN_HOSTS.set(len(self._known))
        return True

    def _try_refresh(self) -> None:
        time.sleep(max(0.0, self._fetched_at + PAUSE_S - time.monotonic()))
        try:
            self.refresh()
        except errors.Unavailable as error:
            if not self._is_silent:
                LOG.warning("the host view is not kept current: %s", error)
            self._is_silent = True
            return
        if self._is_silent:
            LOG.info("the host view is current again")
        self._is_silent = False


class Loads:
    """The load of hosts, fetched at most once a second and only when a filter or weigher needs it."""

    def __init__(self, fetch: Callable[[], dict[str, HostLoad]]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._loads: dict[str, HostLoad] = {}
        self._stale_at = 0.0

    def now(self) -> Mapping[str, HostLoad]:
        """By host name; a host without servers need not be in it. Raises errors.Unavailable."""
        with self._lock:
            if time.monotonic() >= self._stale_at:
                self._loads = self._fetch()
                self._stale_at = time.monotonic() + LOADS_S
            return self._loads
