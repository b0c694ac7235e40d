"""What one conductor counts in the database for whoever watches the cloud: servers, hosts, operations under way.

Every conductor gives the same figures. They are counted in the background, by the database, only where somebody can ask
for them.
"""

from collections import Counter

from oslo_config import cfg

from nova import concurrency, metrics
from nova.clock import utcnow
from nova.db import hosts, instances, operations
from nova.db.engine import Database
from nova.structs.host import ServiceRecord

_INTERVAL_S = 30.0


class Figures:
    """Counts as long as it runs."""

    def __init__(self, conf: cfg.ConfigOpts, db: Database) -> None:
        self._is_wanted = bool(conf.health_port)
        self._db = db
        self._periodic: concurrency.Periodic | None = None

    def start(self) -> None:
        if self._is_wanted:
            self._periodic = concurrency.Periodic(_INTERVAL_S, self.count, "figures of the cloud", at_once=True)

    def stop(self) -> None:
        if self._periodic:
            self._periodic.stop()

    def count(self) -> None:
        """Count everything once. Raises Unavailable."""
        metrics.replace(metrics.SERVERS, self._db.read(instances.count_by_state))
        computes = self._db.read(lambda c: hosts.services(c, binary="nova-compute"))
        metrics.replace(metrics.HOSTS, Counter(map(_condition, computes)))
        under_way = self._db.read(operations.under_way)
        now = utcnow()
        metrics.replace(metrics.UNDER_WAY, {name: count for name, (count, _) in under_way.items()})
        metrics.replace(metrics.OLDEST, {name: (now - since).total_seconds() for name, (_, since) in under_way.items()})


def _condition(service: ServiceRecord) -> tuple[str, str]:
    is_up = service.is_up and not service.is_forced_down
    return "up" if is_up else "down", "disabled" if service.is_disabled else "enabled"
