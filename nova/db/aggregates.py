"""Queries that change aggregates. Every change moves the version of the hosts it concerns."""

import uuid as uuids
from collections.abc import Iterable

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova import errors
from nova.clock import utcnow
from nova.db import hosts
from nova.db.models.base import inserted_id
from nova.db.models.hosts import Aggregate as Table
from nova.db.models.hosts import Service
from nova.structs.host import Aggregate

_table = Table.__table__
_services = Service.__table__


def get(connection: Connection, aggregate_id: int, for_update: bool = False) -> Aggregate:
    """Raises AggregateNotFound."""
    query = select(_table).where(_table.c.id == aggregate_id)
    row = connection.execute(query.with_for_update() if for_update else query).one_or_none()
    if row is None:
        raise errors.AggregateNotFound(aggregate_id=aggregate_id)
    return hosts.aggregate_from(row)


def add(connection: Connection, name: str, metadata: dict[str, str]) -> Aggregate:
    """Raises NameExists."""
    values = {
        "uuid": str(uuids.uuid4()),
        "name": name,
        "hosts": "[]",
        "metadata": _encode(metadata),
        "created_at": utcnow(),
    }
    try:
        with connection.begin_nested():
            result = connection.execute(insert(_table).values(**values))
    except IntegrityError as error:
        raise errors.NameExists(f"Aggregate {name} already exists.", name=name) from error
    return get(connection, inserted_id(result))


def change(
    connection: Connection,
    found: Aggregate,
    name: str | None = None,
    metadata: dict[str, str] | None = None,
    members: Iterable[str] | None = None,
) -> None:
    """Raises NameExists."""
    values: dict[str, object] = {"updated_at": utcnow()}
    if name is not None:
        values["name"] = name
    if metadata is not None:
        values["metadata"] = _encode(metadata)
    concerned = set(found.hosts)
    if members is not None:
        now = list(members)
        values["hosts"] = _encode(now)
        concerned |= set(now)
    try:
        with connection.begin_nested():
            connection.execute(update(_table).where(_table.c.id == found.id).values(values))
    except IntegrityError as error:
        raise errors.NameExists(f"Aggregate {name} already exists.", name=name) from error
    _touch(connection, concerned)


def remove(connection: Connection, found: Aggregate) -> None:
    """The aggregate must be empty: no host's version is moved."""
    connection.execute(delete(_table).where(_table.c.id == found.id))


def _touch(connection: Connection, names: set[str]) -> None:
    """Schedulers see an aggregate as part of its hosts."""
    if names:
        version = hosts.next_version(connection)
        connection.execute(update(_services).where(_services.c.host.in_(sorted(names))).values(changed_in=version))


def _encode(value: object) -> str:
    return msgspec.json.encode(value).decode()
