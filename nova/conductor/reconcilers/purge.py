"""Removes the records of servers deleted long ago, and old entries of the event log."""

from datetime import timedelta

from sqlalchemy.engine import Connection

from nova.clock import utcnow
from nova.conductor.core import Core
from nova.db import ec2, events, instances, operations, server_migrations

_BATCH = 100


def reconcile(core: Core) -> None:
    """Purge in small transactions, so that nobody waits for it."""
    days = core.conf.conductor.purge_after_days
    if not days:
        return
    before = utcnow() - timedelta(days=days)

    def work(connection: Connection) -> int:
        uuids = instances.purge(connection, before, _BATCH)
        if uuids:
            operations.purge(connection, uuids)
            server_migrations.purge(connection, uuids)
        return len(uuids)

    while core.db.write(work) == _BATCH:
        pass
    while core.db.write(lambda c: events.purge(c, before, _BATCH)) == _BATCH:
        pass
    core.db.write(lambda c: ec2.forget_tokens(c, before), is_repeatable=True)
