"""Where a request wants its server to be: a zone, a host and a node that there are."""

from oslo_config import cfg
from sqlalchemy.engine import Connection

from nova import errors
from nova.db import hosts

_ZONE = "availability_zone"


def check_zone(connection: Connection, conf: cfg.ConfigOpts, zone: str | None) -> None:
    """Raises Invalid for a zone that no aggregate makes, and that is not the one of hosts in no such aggregate."""
    if zone is None or zone == conf.default_availability_zone:
        return
    if not any(aggregate.metadata.get(_ZONE) == zone for aggregate in hosts.aggregates(connection)):
        raise errors.Invalid("The requested availability zone is not available")


def check_host(connection: Connection, host: str | None, node: str | None) -> None:
    """Raises Invalid for a host or a node there is not."""
    if host is not None and not hosts.services(connection, host=host, binary="nova-compute"):
        raise errors.Invalid(f"Compute host {host} could not be found.")
    if node is not None:
        known = (node.hypervisor_hostname for node in hosts.nodes(connection, host=host))
        if node not in known:
            raise errors.Invalid(f"Compute host {node} could not be found.")
