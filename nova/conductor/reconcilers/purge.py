"""Removes the records of servers deleted long ago, and old entries of the event log."""

from datetime import timedelta

from nova.clock import utcnow
from nova.conductor.core import Core
from nova.db import ec2, events, image_imports, purging


def reconcile(core: Core) -> None:
    """Purge in small transactions, so that nobody waits for it."""
    days = core.conf.conductor.purge_after_days
    if not days:
        return
    before = utcnow() - timedelta(days=days)
    purging.purge_servers(core.db, before)
    while core.db.write(lambda c: events.purge(c, before, purging.BATCH)) == purging.BATCH:
        pass
    core.db.write(lambda c: ec2.forget_tokens(c, before), is_repeatable=True)
    core.db.write(lambda c: image_imports.forget_failed(c, before), is_repeatable=True)
