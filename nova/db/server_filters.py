"""What a list of servers is narrowed by, and its order: the parts of a query that nova.db.instances puts together.

Users write patterns and markers: a pattern is RE2's and never the database's, a marker is one of the servers that the
list may show.
"""

import itertools
import re
from typing import Any

import msgspec
from sqlalchemy import and_, false, func, literal, not_, or_, select
from sqlalchemy.engine import Connection

from nova import errors, patterns
from nova.db.models.servers import Instance as Table
from nova.structs.instance import Instance
from nova.structs.requests import ServerQuery

_table = Table.__table__
_encode = msgspec.json.Encoder().encode
# What a pattern may be looked for in: columns, properties of the image; every other name is one of Properties.
_COLUMNS = frozenset(("availability_zone", "hostname", "key_name", "node"))
_OF_IMAGE = frozenset(("kernel_id", "ramdisk_id"))
# A pattern that is found just where it is contained: the database may look for it.
_PLAIN = re.compile(r"[A-Za-z0-9_ -]+", re.ASCII)


def conditions(query: ServerQuery) -> list[Any]:
    """What the database can judge of a query; a field that is None asks for nothing. late_filters() has the rest.

    Deleted servers are left out unless the query asks for them: is_deleted None is for both.
    """
    column = _table.c
    conditions = [
        column[name] == value
        for name in (
            "project_id", "user_id", "hostname", "power_state", "host", "node", "availability_zone", "flavor_id",
            "image_id", "key_name", "reservation_id", "is_locked", "created_at", "launched_at", "terminated_at",
        )
        if (value := getattr(query, name)) is not None
    ]  # fmt: skip
    if query.uuids is not None:
        conditions.append(column.uuid.in_(query.uuids))
    if query.vm_states is not None:
        conditions.append(column.vm_state.in_(query.vm_states))
    if query.task_states is not None:
        named = [state for state in query.task_states if state is not None]
        options = [column.task_state.in_(named)] if named else []
        if None in query.task_states:
            options.append(column.task_state.is_(None))
        conditions.append(or_(*options))
    if query.is_deleted is not None:
        conditions.append(column.deleted_at.is_not(None) if query.is_deleted else column.deleted_at.is_(None))
    if query.changes_since is not None:
        conditions.append(func.coalesce(column.updated_at, column.created_at) >= query.changes_since)
    if query.changes_before is not None:
        conditions.append(func.coalesce(column.updated_at, column.created_at) <= query.changes_before)
    plain = [
        (column[name], text) for name, text in query.patterns.items() if name in _COLUMNS and _PLAIN.fullmatch(text)
    ]
    return [*conditions, *(_contains(*one) for one in plain), *_tag_conditions(query)]


def _tag_conditions(query: ServerQuery) -> list[Any]:
    def has(tag: str) -> Any:
        # Inside the JSON text a tag stands between quotes, its own quotes escaped: this is exact.
        return _contains(_table.c.tags, _encode(tag).decode())

    conditions = []
    if query.tags:
        conditions.append(and_(*map(has, query.tags)))
    if query.tags_any:
        conditions.append(or_(*map(has, query.tags_any)))
    if query.not_tags:
        conditions.append(not_(and_(*map(has, query.not_tags))))
    if query.not_tags_any:
        conditions.append(not_(or_(*map(has, query.not_tags_any))))
    return conditions


def _contains(column: Any, text: str) -> Any:
    # LIKE ignores case in SQLite; what replace() finds is the same in every database.
    return func.replace(column, text, "") != column


def late_filters(query: ServerQuery) -> list[Any]:
    """Tests of what is inside a record's documents: each takes a server and says whether it is as asked.

    Patterns are those of nova.patterns, which raises Invalid for what is none.
    """
    tests: list[Any] = []
    for wanted in query.metadata:
        tests.append(lambda one, wanted=wanted: wanted.items() <= one.metadata.items())
    for wanted in query.system_metadata:
        tests.append(lambda one, wanted=wanted: wanted.items() <= one.system_metadata.items())
    for name, value in query.properties.items():
        tests.append(lambda one, name=name, value=value: getattr(one.properties, name, None) == value)
    for version, pattern in ((4, query.ip_v4_pattern), (6, query.ip_v6_pattern)):
        if pattern is not None:
            compiled = patterns.compile(pattern)
            tests.append(lambda one, v=version, p=compiled: _has_address(one, v, p))
    for name, pattern in query.patterns.items():
        if name not in _COLUMNS or not _PLAIN.fullmatch(pattern):
            compiled = patterns.compile(pattern)
            tests.append(lambda one, n=name, p=compiled: (text := _text(one, n)) is not None and p.search(text))
    return tests


def _text(instance: Instance, name: str) -> str | None:
    """What a pattern is looked for in; nothing is found in None."""
    if name in _OF_IMAGE:
        return instance.image.properties.get(name) if instance.image else None
    text: str | None = getattr(instance if name in _COLUMNS else instance.properties, name)
    return text


def _has_address(instance: Instance, version: int, pattern: Any) -> bool:
    return any(ip.version == version and pattern.search(ip.address) for vif in instance.vifs for ip in vif.fixed_ips)


def after_marker(connection: Connection, marker: str, project_id: str | None, order: list[tuple[Any, str]]) -> Any:
    """The condition "after this server in this order": keyset paging, stable under inserts.

    The marker is one of the servers that the list may show: where another one stands in it would tell what it has.
    """
    place = select(*(c for c, _ in order)).where(_table.c.uuid == marker)
    if project_id is not None:
        place = place.where(_table.c.project_id == project_id)
    row = connection.execute(place).one_or_none()
    if row is None:
        raise errors.Invalid(f"marker [{marker}] not found")
    alternatives = []
    for position, (column, direction) in enumerate(order):
        equal = [_same(c, row[i]) for i, (c, _) in enumerate(order[:position])]
        alternatives.append(and_(*equal, _beyond(column, row[position], direction)))
    return or_(*alternatives)


def _same(column: Any, value: Any) -> Any:
    return column.is_(None) if value is None else column == value


def _beyond(column: Any, value: Any, direction: str) -> Any:
    """Sorted behind value, where NULL sorts before everything."""
    if value is None:
        return column.is_not(None) if direction == "asc" else false()
    # As it is, SQLAlchemy would compare a truth value by nothing but equality.
    value = literal(value, column.type)
    if direction == "asc":
        return column > value
    return or_(column < value, column.is_(None)) if column.nullable else column < value


def sorted_by(connection: Connection, column: Any, direction: str) -> Any:
    """NULL sorts before everything, in every database: markers rely on it."""
    if column.nullable and connection.dialect.name == "postgresql":
        # PostgreSQL alone sorts NULL last.
        return column.asc().nulls_first() if direction == "asc" else column.desc().nulls_last()
    return column.asc() if direction == "asc" else column.desc()


def matching(connection: Connection, names: Any, pattern: str, limit: int | None) -> list[int]:
    """The numbers of the servers whose name a pattern is found in. Databases' own dialects differ, and some hang."""
    search = patterns.compile(pattern).search
    found = (number for number, name in connection.execute(names) if search(name))
    return list(itertools.islice(found, limit))
