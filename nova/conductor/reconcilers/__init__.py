"""Periodic repairs: what must become true in the end, whatever was lost on the way.

Each reconciler takes no input, may run on every conductor at once, and does nothing when nothing is wrong.
"""

from nova import concurrency
from nova.conductor.core import Core
from nova.conductor.reconcilers import allocations, liveness, purge, waiting
from nova.conductor.reconcilers.disabled import DisabledHosts


class Reconcilers:
    """The reconcilers of one conductor, each on its own clock."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._running: list[concurrency.Periodic] = []

    def start(self) -> None:
        conf = self._core.conf
        often = min(5.0, conf.service_down_time / 4)
        plan = (
            (often, lambda: liveness.reconcile(self._core), "liveness"),
            (often, lambda: waiting.reconcile(self._core), "what waits for its time"),
            (often, DisabledHosts(self._core).reconcile, "what Placement knows of disabled hosts"),
            (300.0, lambda: allocations.reconcile(self._core), "repair of allocations"),
            (3600.0, lambda: purge.reconcile(self._core), "purge"),
        )
        self._running = [concurrency.Periodic(interval, function, name) for interval, function, name in plan]

    def stop(self) -> None:
        for periodic in self._running:
            periodic.stop()
