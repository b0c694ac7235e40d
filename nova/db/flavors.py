"""Queries on flavors."""

from typing import Any

import msgspec
from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova import errors
from nova.clock import utcnow
from nova.db.models.catalog import Flavor as Table
from nova.db.models.catalog import FlavorAccess
from nova.structs.flavor import Flavor

_table = Table.__table__
_access = FlavorAccess.__table__
_FIELDS = tuple(name for name in Flavor.__struct_fields__ if name not in ("id", "extra_specs"))
_COLUMNS = [_table.c.flavor_id.label("id"), _table.c.extra_specs, *(_table.c[name] for name in _FIELDS)]


def find(connection: Connection, project_id: str | None, include_disabled: bool = False) -> list[Flavor]:
    """All flavors; with a project, those it may use."""
    query = select(*_COLUMNS).order_by(_table.c.id)
    if project_id is not None:
        query = query.where(_usable_by(project_id))
    if not include_disabled:
        query = query.where(_table.c.is_disabled.is_(False))
    return [_from_row(row) for row in connection.execute(query)]


def get(connection: Connection, flavor_id: str, project_id: str | None = None) -> Flavor:
    """One flavor; with a project, only if it may use it. Raises FlavorNotFound."""
    query = select(*_COLUMNS).where(_table.c.flavor_id == flavor_id)
    if project_id is not None:
        query = query.where(_usable_by(project_id))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise errors.FlavorNotFound(flavor_id=flavor_id)
    return _from_row(row)


def add(connection: Connection, flavor: Flavor) -> None:
    """Raises FlavorExists, for its id or its name."""
    values = {name: getattr(flavor, name) for name in _FIELDS}
    values |= {"flavor_id": flavor.id, "extra_specs": _encode(flavor.extra_specs), "created_at": utcnow()}
    try:
        with connection.begin_nested():
            connection.execute(insert(_table).values(**values))
    except IntegrityError as error:
        by_name = select(_table.c.id).where(_table.c.name == flavor.name)
        if connection.execute(by_name).first():
            raise errors.FlavorExists(f"Flavor with name {flavor.name} already exists.") from error
        raise errors.FlavorExists(flavor_id=flavor.id) from error


def change(connection: Connection, flavor_id: str, **changes: Any) -> None:
    """Raises FlavorNotFound."""
    if "extra_specs" in changes:
        changes["extra_specs"] = _encode(changes["extra_specs"])
    done = connection.execute(
        update(_table).where(_table.c.flavor_id == flavor_id).values(updated_at=utcnow(), **changes)
    )
    if done.rowcount != 1:
        raise errors.FlavorNotFound(flavor_id=flavor_id)


def remove(connection: Connection, flavor_id: str) -> None:
    """Raises FlavorNotFound."""
    connection.execute(delete(_access).where(_access.c.flavor_id == flavor_id))
    if connection.execute(delete(_table).where(_table.c.flavor_id == flavor_id)).rowcount != 1:
        raise errors.FlavorNotFound(flavor_id=flavor_id)


def projects(connection: Connection, flavor_id: str) -> list[str]:
    """The projects named as users of a flavor."""
    query = select(_access.c.project_id).where(_access.c.flavor_id == flavor_id).order_by(_access.c.project_id)
    return list(connection.scalars(query))


def allow(connection: Connection, flavor_id: str, project_id: str) -> None:
    """Raises Conflict when the project is allowed already."""
    try:
        with connection.begin_nested():
            connection.execute(insert(_access).values(flavor_id=flavor_id, project_id=project_id))
    except IntegrityError as error:
        raise errors.Conflict(
            f"Flavor access already exists for flavor {flavor_id} and project {project_id} combination."
        ) from error


def forbid(connection: Connection, flavor_id: str, project_id: str) -> None:
    """Raises NotFound when the project was not allowed."""
    done = connection.execute(
        delete(_access).where(_access.c.flavor_id == flavor_id, _access.c.project_id == project_id)
    )
    if done.rowcount != 1:
        raise errors.NotFound(f"Flavor access not found for {flavor_id} / {project_id} combination.")


def _usable_by(project_id: str) -> Any:
    allowed = select(_access.c.flavor_id).where(_access.c.project_id == project_id)
    return or_(_table.c.is_public.is_(True), _table.c.flavor_id.in_(allowed))


def _from_row(row: Row[Any]) -> Flavor:
    return Flavor(**{**row._mapping, "extra_specs": msgspec.json.decode(row.extra_specs)})


def _encode(value: dict[str, str]) -> str:
    return msgspec.json.encode(value).decode()
