"""Queries on message cells."""

from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from nova.clock import utcnow
from nova.db.models.hosts import Cell as Table
from nova.structs.host import Cell

_table = Table.__table__


def find(connection: Connection) -> list[Cell]:
    """Oldest first, disabled ones too."""
    columns = [_table.c[name] for name in Cell.__struct_fields__]
    return [Cell(**row._mapping) for row in connection.execute(select(*columns).order_by(_table.c.created_at))]


def add(connection: Connection, cell: Cell) -> bool:
    """False when there is a cell with this uuid or this message bus."""
    known = find(connection)
    if any(one.uuid == cell.uuid or one.transport_url == cell.transport_url for one in known):
        return False
    values = {name: getattr(cell, name) for name in Cell.__struct_fields__}
    connection.execute(insert(_table).values(created_at=utcnow(), **values))
    return True


def remove(connection: Connection, uuid: str) -> bool:
    """False without such a cell."""
    return connection.execute(delete(_table).where(_table.c.uuid == uuid)).rowcount == 1


def change(connection: Connection, uuid: str, **changes: Any) -> bool:
    """False when there is no such cell."""
    return connection.execute(update(_table).where(_table.c.uuid == uuid).values(**changes)).rowcount == 1
