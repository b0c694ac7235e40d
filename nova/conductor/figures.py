"""What one conductor counts in the database for whoever watches the cloud: servers, hosts, operations under way.

Every conductor gives the same figures.
"""

from collections import Counter

from nova import metrics
from nova.clock import utcnow
from nova.db import hosts, instances, operations
from nova.db.engine import Database
from nova.structs.host import ServiceRecord


def count(db: Database) -> None:
    """Count everything once. Raises Unavailable."""
    metrics.replace(metrics.SERVERS, db.read(instances.count_by_state))
    computes = db.read(lambda c: hosts.services(c, binary="nova-compute"))
    metrics.replace(metrics.HOSTS, Counter(map(_condition, computes)))
    under_way = db.read(operations.under_way)
    now = utcnow()
    metrics.replace(metrics.UNDER_WAY, {name: count for name, (count, _) in under_way.items()})
    metrics.replace(metrics.OLDEST, {name: (now - since).total_seconds() for name, (_, since) in under_way.items()})


def _condition(service: ServiceRecord) -> tuple[str, str]:
    is_up = service.is_up and not service.is_forced_down
    return "up" if is_up else "down", "disabled" if service.is_disabled else "enabled"
