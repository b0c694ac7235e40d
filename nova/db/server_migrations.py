"""Queries on migrations: the log of servers' ways between hosts. A row is never removed before its server's."""

from typing import Any

from sqlalchemy import Row, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.db import operations
from nova.db.models.operations import Migration as Table
from nova.structs.migration import ENDED, Migration, MigrationQuery

_table = Table.__table__
_COLUMNS = [_table.c[name] for name in Migration.__struct_fields__]


def add(connection: Connection, **facts: Any) -> None:
    """Record that a migration has been accepted. facts are fields of Migration."""
    connection.execute(insert(_table).values(progress="{}", created_at=utcnow(), updated_at=utcnow(), **facts))


def change(connection: Connection, uuid: str, **changes: Any) -> None:
    """changes are columns; nothing happens without such a migration."""
    connection.execute(update(_table).where(_table.c.uuid == uuid).values(updated_at=utcnow(), **changes))


def status_of(connection: Connection, uuid: str) -> str | None:
    """None without such a migration."""
    return connection.scalar(select(_table.c.status).where(_table.c.uuid == uuid))


def get(connection: Connection, instance_uuid: str, migration_id: str) -> Migration:
    """One of a server's migrations, by number or uuid. Raises MigrationNotFound."""
    is_number = migration_id.isascii() and migration_id.isdigit() and len(migration_id) <= 18
    key = _table.c.id == int(migration_id) if is_number else _table.c.uuid == migration_id
    row = connection.execute(select(*_COLUMNS).where(key, _table.c.instance_uuid == instance_uuid)).one_or_none()
    if row is None:
        raise errors.MigrationNotFound(migration_id=migration_id, server_id=instance_uuid)
    return _migration(row)


def find(connection: Connection, query: MigrationQuery) -> list[Migration]:
    """Newest first. Raises Invalid for an unknown marker."""
    conditions = [
        _table.c[name] == value
        for name in ("instance_uuid", "project_id", "user_id", "source_host", "kind", "status")
        if (value := getattr(query, name)) is not None
    ]
    if query.host is not None:
        conditions.append(or_(_table.c.source_host == query.host, _table.c.dest_host == query.host))
    changed = func.coalesce(_table.c.updated_at, _table.c.created_at)
    if query.changes_since is not None:
        conditions.append(changed >= query.changes_since)
    if query.changes_before is not None:
        conditions.append(changed <= query.changes_before)
    if query.marker is not None:
        # One that the list may show: there is none of another project.
        shown = [_table.c.project_id == query.project_id] if query.project_id is not None else []
        position = connection.scalar(select(_table.c.id).where(_table.c.uuid == query.marker, *shown))
        if position is None:
            raise errors.Invalid(f"marker [{query.marker}] not found")
        conditions.append(_table.c.id < position)
    statement = select(*_COLUMNS).where(*conditions).order_by(_table.c.id.desc()).limit(query.limit)
    return [_migration(row) for row in connection.execute(statement)]


def under_way(connection: Connection, instance_uuid: str) -> list[Migration]:
    """A server's migrations that have not ended."""
    query = select(*_COLUMNS).where(_table.c.instance_uuid == instance_uuid, _table.c.status.not_in(ENDED))
    return [_migration(row) for row in connection.execute(query.order_by(_table.c.id.desc()))]


def holders(connection: Connection) -> set[str]:
    """The migrations that may hold resources of their source: one whose operation has something left may, too."""
    has_left = _table.c.instance_uuid.in_(operations.servers_with_left())
    return set(connection.scalars(select(_table.c.uuid).where(_table.c.status.not_in(ENDED) | has_left)))


def recorded(connection: Connection, uuids: set[str]) -> set[str]:
    """Those of some uuids that are migrations', over or not."""
    return set(connection.scalars(select(_table.c.uuid).where(_table.c.uuid.in_(uuids))))


def purge(connection: Connection, instance_uuids: list[str]) -> None:
    """Of servers whose records go in the same transaction; a migration outlives its server's deletion otherwise."""
    connection.execute(_table.delete().where(_table.c.instance_uuid.in_(instance_uuids)))


def _migration(row: Row[Any]) -> Migration:
    return Migration(**row._mapping)
