"""What one conductor counts in the database for whoever watches the cloud: servers, hosts, operations under way.

Every conductor gives the same figures.
"""

from collections import Counter

from oslo_config import cfg
from sqlalchemy.engine import Connection

from nova import metrics
from nova.clock import utcnow
from nova.conductor.acceptance import limits
from nova.db import hosts, instances, operations, quotas
from nova.db.engine import Database
from nova.structs.host import ServiceRecord

_NEAR = 0.9
# However many projects there are: these have names.
_NEAREST = 10


def count(db: Database, conf: cfg.ConfigOpts) -> None:
    """Count everything once. Raises Unavailable."""
    db.read(lambda c: _count_quotas(c, conf))
    metrics.replace(metrics.SERVERS, db.read(instances.count_by_state))
    computes = db.read(lambda c: hosts.services(c, binary="nova-compute"))
    metrics.replace(metrics.HOSTS, Counter(map(_condition, computes)))
    under_way = db.read(operations.under_way)
    now = utcnow()
    metrics.replace(metrics.UNDER_WAY, {name: count for name, (count, _) in under_way.items()})
    metrics.replace(metrics.OLDEST, {name: (now - since).total_seconds() for name, (_, since) in under_way.items()})


def _count_quotas(connection: Connection, conf: cfg.ConfigOpts) -> None:
    defaults = limits.default(connection, conf)
    metrics.replace(metrics.QUOTA_IN_USE, quotas.in_use(connection))
    metrics.replace(metrics.QUOTA_NEAR, quotas.near_limit(connection, defaults, _NEAR))
    metrics.replace(metrics.QUOTA_NEAREST, quotas.nearest(connection, defaults, _NEAREST))


def _condition(service: ServiceRecord) -> tuple[str, str]:
    is_up = service.is_up and not service.is_forced_down
    return "up" if is_up else "down", "disabled" if service.is_disabled else "enabled"
