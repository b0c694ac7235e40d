"""Migrations: reading them, and meddling with those that are under way."""

from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.core import Core
from nova.conductor.workflows.live_migrate import ABORTING
from nova.db import events, instances, operations, server_migrations
from nova.structs.context import Context
from nova.structs.event_details import EventDetails
from nova.structs.migration import LIVE, Migration, MigrationProgress

_WAITING = ("queued", "preparing")


class MigrationCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def server_migrations(self, context: Context, server_id: str) -> list[Migration]:
        migrations = self._core.db.read(lambda c: server_migrations.under_way(c, server_id))
        return [migration for migration in migrations if migration.kind == LIVE]

    def migration_progress(self, context: Context, server_id: str) -> MigrationProgress:
        """Nothing is known while the host is down, or the server has none."""
        instance = self._core.db.read(lambda c: instances.get(c, server_id))
        if instance.host is None:
            return MigrationProgress()
        try:
            with self._core.questions.to(instance.host) as host:
                return host.migration_progress(server_id)
        except errors.HostUnreachable:
            return MigrationProgress()

    def abort_migration(self, context: Context, server_id: str, migration_id: str) -> None:
        """The operation is cancelled where it waits; a guest that is on its way is stopped by its host."""
        migration = self._under_way(server_id, migration_id, "abort", (*_WAITING, "running"))

        def mark(connection: Connection) -> str | None:
            server_migrations.change(connection, migration.uuid, status=ABORTING)
            _log(connection, context, server_id, "live_migration_abort")
            active = operations.active(connection, server_id, for_update=True)
            is_in_hand = migration.status not in _WAITING and active is not None and active.waiting_host is not None
            if active is None or is_in_hand:
                return None
            operations.cancel(connection, active.uuid)
            return str(active.uuid)

        waiting = self._core.db.write(mark)
        if waiting is not None:
            self._core.engine.wake(waiting)
            return
        self._core.compute(str(migration.source_host)).abort_migration(server_id)

    def force_migration(self, context: Context, server_id: str, migration_id: str) -> None:
        """Told of in the log once the host has agreed."""
        migration = self._under_way(server_id, migration_id, "force_complete", ("running",))
        self._core.compute(str(migration.source_host)).force_migration(server_id)
        self._core.db.write(lambda c: _log(c, context, server_id, "live_migration_force_complete"))

    def _under_way(self, server_id: str, migration_id: str, method: str, states: tuple[str, ...]) -> Migration:
        migration = self._core.db.read(lambda c: server_migrations.get(c, server_id, migration_id))
        if migration.kind != LIVE or migration.status not in states:
            raise errors.MigrationNotRunning(
                migration_id=migration_id, server_id=server_id, state=migration.status, method=method
            )
        return migration


def _log(connection: Connection, context: Context, server_id: str, what: str) -> None:
    """Append that somebody meddled with the live migration of a server."""
    instance = instances.get(connection, server_id, for_update=True)
    events.append(
        connection,
        f"instance.{what}",
        instance.project_id,
        {},
        server_id,
        context.request_id,
        EventDetails.of(context, server=instance),
    )
