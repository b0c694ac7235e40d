"""The tables of the compute database."""

from nova.db.models import catalog, hosts, networks, operations, servers
from nova.db.models.base import Base

__all__ = ["Base", "catalog", "hosts", "networks", "operations", "servers"]
