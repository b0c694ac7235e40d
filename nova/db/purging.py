"""Removes the records of servers deleted long ago, with all that belongs to them."""

import datetime
from typing import Any

from sqlalchemy import Select, exists, or_, select
from sqlalchemy.engine import Connection

from nova.db import operations, server_migrations
from nova.db.engine import Database
from nova.db.models.hosts import Service
from nova.db.models.operations import Migration, Operation
from nova.db.models.servers import Instance

# In small transactions, so that nobody waits for it.
BATCH = 100

_servers, _services = Instance.__table__, Service.__table__
_operations, _migrations = Operation.__table__, Migration.__table__


def purge_servers(db: Database, before: datetime.datetime) -> int:
    """Purge the servers deleted before a time; how many there were.

    Those of which something is left to do stay, and those that a compute host which is away may have a guest of: it
    destroys the guests of deleted servers when it is back, by their records. A host that will never be back is told so by
    deleting its service.
    """

    def work(connection: Connection) -> int:
        uuids = list(connection.scalars(_purgeable(before).limit(BATCH)))
        if uuids:
            connection.execute(_servers.delete().where(_servers.c.uuid.in_(uuids)))
            operations.purge(connection, uuids)
            server_migrations.purge(connection, uuids)
        return len(uuids)

    total = 0
    while count := db.write(work):
        total += count
    return total


def _purgeable(before: datetime.datetime) -> Select[Any]:
    is_away = (_services.c.binary == "nova-compute", or_(~_services.c.is_up, _services.c.is_forced_down))
    was_there = exists().where(_services.c.host == _servers.c.host, *is_away)
    moved_there = exists().where(
        _migrations.c.instance_uuid == _servers.c.uuid,
        or_(_services.c.host == _migrations.c.source_host, _services.c.host == _migrations.c.dest_host),
        *is_away,
    )
    is_open = exists().where(_operations.c.instance_uuid == _servers.c.uuid, _operations.c.state == operations.LEFT)
    query = select(_servers.c.uuid).where(_servers.c.deleted_at < before, ~is_open, ~was_there, ~moved_there)
    return query.order_by(_servers.c.id)
