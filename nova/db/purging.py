"""Removes the records of servers deleted long ago, with all that belongs to them."""

import datetime

from sqlalchemy.engine import Connection

from nova.db import instances, operations, server_migrations
from nova.db.engine import Database

# In small transactions, so that nobody waits for it.
BATCH = 100


def purge_servers(db: Database, before: datetime.datetime) -> int:
    """Purge the servers deleted before a time; how many there were."""

    def work(connection: Connection) -> int:
        uuids = instances.purge(connection, before, BATCH)
        if uuids:
            operations.purge(connection, uuids)
            server_migrations.purge(connection, uuids)
        return len(uuids)

    total = 0
    while count := db.write(work):
        total += count
    return total
