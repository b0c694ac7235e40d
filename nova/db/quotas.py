"""Quota: limits, and counters that move in the transaction of what they count."""

import sys
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, and_, case, delete, func, insert, literal, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova import errors
from nova.db.models.servers import QuotaLimit, QuotaUsage

_usages = QuotaUsage.__table__
_limits = QuotaLimit.__table__

# Scopes of a limit. The class is always "default": it holds for every project without its own.
CLASS, PROJECT = "class", "project"


def usage(connection: Connection, project_id: str) -> dict[str, int]:
    """What a project has by resource; a resource it never had any of is missing."""
    rows = connection.execute(select(_usages.c.resource, _usages.c.in_use).where(_usages.c.project_id == project_id))
    return {row.resource: row.in_use for row in rows}


def limits(connection: Connection, scope: str, owner: str, user_id: str = "") -> dict[str, int]:
    """The limits set for exactly this owner."""
    rows = connection.execute(
        select(_limits.c.resource, _limits.c.hard_limit).where(
            _limits.c.scope == scope, _limits.c.owner == owner, _limits.c.user_id == user_id
        )
    )
    return {row.resource: row.hard_limit for row in rows}


def limits_of(connection: Connection, *owners: tuple[str, str, str]) -> dict[str, int]:
    """The limits set for some owners (scope, owner, user), each over those before it."""
    named = [
        and_(_limits.c.scope == scope, _limits.c.owner == owner, _limits.c.user_id == user_id)
        for scope, owner, user_id in owners
    ]
    columns = (_limits.c.scope, _limits.c.owner, _limits.c.user_id, _limits.c.resource, _limits.c.hard_limit)
    rows = connection.execute(select(*columns).where(or_(*named))).all()
    rows = sorted(rows, key=lambda row: owners.index((row.scope, row.owner, row.user_id)))
    return {row.resource: row.hard_limit for row in rows}


def set_limits(connection: Connection, scope: str, owner: str, values: Mapping[str, int], user_id: str = "") -> None:
    """Set these limits; others stay. owner is a project or a class, by scope; user_id "" is for all of a project."""
    for resource, limit in values.items():
        key = (
            _limits.c.scope == scope,
            _limits.c.owner == owner,
            _limits.c.user_id == user_id,
            _limits.c.resource == resource,
        )
        if connection.execute(update(_limits).where(*key).values(hard_limit=limit)).rowcount:
            continue
        if connection.scalar(select(_limits.c.id).where(*key)) is None:
            connection.execute(
                insert(_limits).values(scope=scope, owner=owner, user_id=user_id, resource=resource, hard_limit=limit)
            )


def clear_limits(connection: Connection, scope: str, owner: str, user_id: str | None = None) -> None:
    """Remove an owner's limits: one user's, or with None the owner's and all its users'."""
    query = delete(_limits).where(_limits.c.scope == scope, _limits.c.owner == owner)
    connection.execute(query if user_id is None else query.where(_limits.c.user_id == user_id))


def take(connection: Connection, project_id: str, amounts: Mapping[str, int], limit: Mapping[str, int]) -> None:
    """Count amounts as used, all or (by the caller's rollback) none. Raises QuotaExceeded.

    The check and the count are one statement, so two requests never both get the last one.
    """
    exceeded = [
        resource
        for resource, amount in sorted(amounts.items())
        if amount and not _take(connection, project_id, resource, amount, limit.get(resource, -1))
    ]
    if exceeded:
        used = usage(connection, project_id)
        raise errors.QuotaExceeded(
            resources=", ".join(exceeded),
            requested=", ".join(str(amounts[name]) for name in exceeded),
            used=", ".join(str(used.get(name, 0)) for name in exceeded),
            limits=", ".join(str(limit[name]) for name in exceeded),
        )


def room(connection: Connection, project_id: str, each: Mapping[str, int], limit: Mapping[str, int]) -> int:
    """How many more things that take each of these amounts a project may have now; a great many without a limit."""
    used = usage(connection, project_id)
    counts = [
        max(0, limit[resource] - used.get(resource, 0)) // amount
        for resource, amount in each.items()
        if amount and limit.get(resource, -1) >= 0
    ]
    return min(counts, default=sys.maxsize)


def give_back(connection: Connection, project_id: str, amounts: Mapping[str, int]) -> None:
    """Count amounts as used no more."""
    for resource, amount in sorted(amounts.items()):
        connection.execute(
            update(_usages)
            .where(_usages.c.project_id == project_id, _usages.c.resource == resource)
            .values(in_use=_usages.c.in_use - amount)
        )


def all_usages(connection: Connection) -> dict[str, dict[str, int]]:
    """What every project has in use, for those who check the counters."""
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(select(_usages)):
        found.setdefault(row.project_id, {})[row.resource] = row.in_use
    return found


def in_use(connection: Connection) -> dict[str, int]:
    """What all projects together have, by resource."""
    query = select(_usages.c.resource, func.sum(_usages.c.in_use).label("total")).group_by(_usages.c.resource)
    return {row.resource: int(row.total) for row in connection.execute(query)}


def near_limit(connection: Connection, defaults: Mapping[str, int], ratio: float) -> dict[str, int]:
    """How many projects use this part of their limit or more, by resource. defaults: see nearest()."""
    used = _used_ratios(defaults).subquery()
    counted = func.sum(case((used.c.ratio >= ratio, 1), else_=0)).label("projects")
    query = select(used.c.resource, counted).group_by(used.c.resource)
    return {row.resource: int(row.projects) for row in connection.execute(query)}


def nearest(connection: Connection, defaults: Mapping[str, int], most: int) -> dict[tuple[str, str], float]:
    """The uses that are nearest to their limits, by project and resource: which part of the limit is used.

    defaults are the limits of a project that has none of its own. Nothing in use is near no limit.
    """
    used = _used_ratios(defaults).subquery()
    order = (used.c.ratio.desc(), used.c.project_id, used.c.resource)
    rows = connection.execute(select(used).order_by(*order).limit(most))
    return {(row.project_id, row.resource): float(row.ratio) for row in rows}


def _used_ratios(defaults: Mapping[str, int]) -> Select[Any]:
    """Project, resource and the part of the limit that is used, of all that have one. Of a limit of none, one is all."""
    own = and_(
        _limits.c.scope == PROJECT,
        _limits.c.owner == _usages.c.project_id,
        _limits.c.user_id == "",
        _limits.c.resource == _usages.c.resource,
    )
    of_all = case(*((_usages.c.resource == name, limit) for name, limit in defaults.items()), else_=-1)
    limit = func.coalesce(_limits.c.hard_limit, of_all)
    ratio = _usages.c.in_use * literal(1.0) / case((limit > 1, limit), else_=1)
    columns = (_usages.c.project_id, _usages.c.resource, ratio.label("ratio"))
    return select(*columns).select_from(_usages.outerjoin(_limits, own)).where(limit >= 0, _usages.c.in_use > 0)


def _take(connection: Connection, project_id: str, resource: str, amount: int, limit: int) -> bool:
    key = (_usages.c.project_id == project_id, _usages.c.resource == resource)
    fits = () if limit < 0 else (_usages.c.in_use + amount <= limit,)
    counted = update(_usages).where(*key, *fits).values(in_use=_usages.c.in_use + amount)
    if connection.execute(counted).rowcount:
        return True
    if connection.execute(select(_usages.c.in_use).where(*key)).first() is not None:
        return False
    try:
        with connection.begin_nested():
            connection.execute(insert(_usages).values(project_id=project_id, resource=resource, in_use=0))
    except IntegrityError:
        pass  # Another request of this project made the row first.
    return connection.execute(counted).rowcount > 0
