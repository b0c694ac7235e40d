"""The tables of the compute database."""

from nova.db.models import catalog, ec2, hosts, image_imports, networks, operations, servers
from nova.db.models.base import Base

__all__ = ["Base", "catalog", "ec2", "hosts", "image_imports", "networks", "operations", "servers"]
