"""Queries on key pairs."""

from sqlalchemy import delete, func, insert, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova import errors
from nova.clock import utcnow
from nova.db.models.catalog import Keypair as Table
from nova.structs.keypair import Keypair

_table = Table.__table__
_COLUMNS = list(_table.c)


def find(connection: Connection, user_id: str, limit: int | None = None, marker: str | None = None) -> list[Keypair]:
    """A user's key pairs by name, those behind the one named marker. Raises Invalid without such a one."""
    query = select(*_COLUMNS).where(_table.c.user_id == user_id).order_by(_table.c.name).limit(limit)
    if marker is not None:
        if not _exists(connection, user_id, marker):
            raise errors.Invalid(f"marker [{marker}] not found")
        query = query.where(_table.c.name > marker)
    return [Keypair(**row._mapping) for row in connection.execute(query)]


def get(connection: Connection, user_id: str, name: str) -> Keypair:
    """Raises KeypairNotFound."""
    query = select(*_COLUMNS).where(_table.c.user_id == user_id, _table.c.name == name)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise errors.KeypairNotFound(name=name, user_id=user_id)
    return Keypair(**row._mapping)


def add(connection: Connection, keypair: Keypair) -> Keypair:
    """Raises KeypairExists."""
    values = {name: getattr(keypair, name) for name in ("user_id", "name", "type", "fingerprint", "public_key")}
    try:
        with connection.begin_nested():
            connection.execute(insert(_table).values(created_at=utcnow(), **values))
    except IntegrityError as error:
        raise errors.KeypairExists(name=keypair.name) from error
    return get(connection, keypair.user_id, keypair.name)


def remove(connection: Connection, user_id: str, name: str) -> None:
    """Raises KeypairNotFound."""
    if connection.execute(delete(_table).where(_table.c.user_id == user_id, _table.c.name == name)).rowcount != 1:
        raise errors.KeypairNotFound(name=name, user_id=user_id)


def count(connection: Connection, user_id: str) -> int:
    return connection.scalar(select(func.count()).select_from(_table).where(_table.c.user_id == user_id)) or 0


def _exists(connection: Connection, user_id: str, name: str) -> bool:
    query = select(_table.c.id).where(_table.c.user_id == user_id, _table.c.name == name)
    return connection.execute(query).first() is not None
