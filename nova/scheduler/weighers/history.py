"""BuildFailureWeigher: hosts that refused servers recently come last."""

import threading
import time
from collections import defaultdict

from oslo_config import cfg

from nova.scheduler.weighers.weigher import Scale, Weigher
from nova.structs.schedule import PlacementRequest

REMEMBERED_S = 600.0


class BuildFailureWeigher(Weigher):
    """Counts, per host, the servers it refused in the last ten minutes, as far as this scheduler saw requests.

    A request names the hosts that refused it, so failures need no report. Kept in memory: a scheduler
    that restarts gives every host another chance.
    """

    multiplier_option = "build_failure_weight_multiplier"

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._lock = threading.Lock()
        self._refused_at: dict[str, dict[str, float]] = defaultdict(dict)

    def scale(self, request: PlacementRequest) -> Scale | None:
        """Remembers the request's refusals; None when no host has refused lately."""
        now = time.monotonic()
        with self._lock:
            for host in request.exclude:
                self._refused_at[host].setdefault(request.instance_id, now)
            for host in list(self._refused_at):
                recent = {server: at for server, at in self._refused_at[host].items() if now - at < REMEMBERED_S}
                if recent:
                    self._refused_at[host] = recent
                else:
                    del self._refused_at[host]
            failures = {host: len(refused) for host, refused in self._refused_at.items()}
        return (lambda host: -failures.get(host.state.host, 0)) if failures else None
