"""A server's live migrations under way: /servers/{id}/migrations.

Source: Compute API reference, "Server migrations".
"""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.api.compute.server_view import time
from nova.api.compute.versions import QUEUED_MIGRATION_ABORTED
from nova.http.declaration import SERVER, action, delete, get
from nova.http.schema import INTEGER, NOTHING, STRING, TIME, UUID, nullable, query
from nova.http.view import listing, shows, single, view
from nova.structs.migration import LIVE, Migration, MigrationProgress

_PATH = "/servers/{server_id}/migrations"
_RULE = "os_compute_api:servers:migrations:"
_MIB = 1 << 20


def _bytes(part: str, of: str) -> Any:
    """Memory or disk of the guest, in total, processed and remaining, by the percentage that is done."""

    def read(row: tuple[Migration, MigrationProgress, Any], request: Request) -> int | None:
        _, progress, flavor = row
        total = flavor.memory_mb * _MIB if of == "memory" else 0
        percent = progress.percent
        if percent is None:
            return None
        done = total * percent // 100
        return {"total": total, "processed": done, "remaining": total - done}[part]

    return read


def _of(name: str) -> Any:
    return lambda row, request: getattr(row[0], name)


def _right(name: str) -> Any:
    """Hosts are shown to callers with the rule for them only."""
    return lambda row, request: getattr(row[0], name) if request.allows(f"{_RULE}index:host") else None


MIGRATION = view(
    shows("id", INTEGER, _of("id")),
    shows("uuid", UUID, _of("uuid"), "2.59"),
    shows("status", STRING, _of("status")),
    shows("server_uuid", UUID, _of("instance_uuid")),
    shows("source_compute", nullable(STRING), _right("source_host")),
    shows("source_node", nullable(STRING), _right("source_node")),
    shows("dest_compute", nullable(STRING), _right("dest_host")),
    shows("dest_node", nullable(STRING), _right("dest_node")),
    shows("dest_host", nullable(STRING), _right("dest_ip")),
    shows("memory_total_bytes", nullable(INTEGER), _bytes("total", "memory")),
    shows("memory_processed_bytes", nullable(INTEGER), _bytes("processed", "memory")),
    shows("memory_remaining_bytes", nullable(INTEGER), _bytes("remaining", "memory")),
    shows("disk_total_bytes", nullable(INTEGER), _bytes("total", "disk")),
    shows("disk_processed_bytes", nullable(INTEGER), _bytes("processed", "disk")),
    shows("disk_remaining_bytes", nullable(INTEGER), _bytes("remaining", "disk")),
    shows("created_at", TIME, lambda row, request: time(row[0].created_at)),
    shows("updated_at", TIME, lambda row, request: time(row[0].updated_at or row[0].created_at)),
    shows("user_id", STRING, _of("user_id"), "2.80"),
    shows("project_id", STRING, _of("project_id"), "2.80"),
)


@get(
    _PATH,
    since="2.23",
    policy=f"{_RULE}index",
    target=SERVER,
    query=query(strict_since="2.102"),
    answer=listing("migrations", MIGRATION),
    errors=(404,),
)
def index(request: Request) -> list[Any]:
    """Migrations of this server that are under way, with their progress."""
    migrations = request.conductor.server_migrations(request.context, request.server.uuid)
    return [_with_progress(request, migration) for migration in migrations]


@get(
    _PATH + "/{migration_id}",
    since="2.23",
    policy=f"{_RULE}show",
    target=SERVER,
    query=query(strict_since="2.102"),
    answer=single("migration", MIGRATION),
    errors=(404,),
)
def show(request: Request, migration_id: str) -> Any:
    """One live migration under way. 404 for any other migration."""
    migration = _migration_of(request, migration_id)
    if migration.kind != LIVE:
        raise errors.NotFound(f"Migration {migration_id} for server {request.server.uuid} is not live-migration.")
    if not any(
        known.id == migration.id for known in request.conductor.server_migrations(request.context, request.server.uuid)
    ):
        raise errors.NotFound(f"Migration {migration_id} for server {request.server.uuid} is not in progress.")
    return _with_progress(request, migration)


@action(
    "force_complete",
    _PATH + "/{migration_id}/action",
    since="2.22",
    policy=f"{_RULE}force_complete",
    body=NOTHING,
    errors=(400, 403, 404, 409),
)
def force_complete(request: Request, migration_id: str) -> None:
    """Finish a running live migration by pausing the guest until it has moved."""
    _migration_of(request, migration_id)
    request.conductor.force_migration(request.context, request.server.uuid, migration_id)


@delete(
    _PATH + "/{migration_id}",
    since="2.24",
    policy=f"{_RULE}delete",
    target=SERVER,
    status=202,
    errors=(400, 404, 409),
)
def abort(request: Request, migration_id: str) -> None:
    """Cancel a live migration: until 2.64 only a running one, from 2.65 a queued one, too."""
    migration = _migration_of(request, migration_id)
    if not request.since(QUEUED_MIGRATION_ABORTED) and migration.status != "running":
        raise errors.MigrationNotRunning(
            migration_id=migration_id,
            server_id=request.server.uuid,
            state=migration.status,
            method="abort live migration",
        )
    request.conductor.abort_migration(request.context, request.server.uuid, migration_id)


def _migration_of(request: Request, migration_id: str) -> Migration:
    return request.conductor.server_migration(request.context, request.server.uuid, migration_id)


def _with_progress(request: Request, migration: Migration) -> tuple[Migration, MigrationProgress, Any]:
    progress = request.conductor.migration_progress(request.context, request.server.uuid)
    return migration, progress, request.server.flavor
