"""Queries on server groups and who belongs to them."""

import uuid as uuids
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.db.models.servers import Instance as InstanceTable
from nova.db.models.servers import ServerGroup as Table
from nova.db.models.servers import ServerGroupMember
from nova.structs.context import Context
from nova.structs.schedule import GroupView
from nova.structs.server_group import ServerGroup

_table = Table.__table__
_members = ServerGroupMember.__table__
_instances = InstanceTable.__table__


def find(
    connection: Connection, project_id: str | None, limit: int | None = None, offset: int = 0
) -> list[ServerGroup]:
    """Groups, oldest first; of all projects without project_id."""
    query = select(*_table.c).order_by(_table.c.created_at, _table.c.uuid).limit(limit).offset(offset)
    if project_id is not None:
        query = query.where(_table.c.project_id == project_id)
    rows = connection.execute(query).all()
    members = _members_of(connection, [row.uuid for row in rows])
    return [_group(row, members.get(row.uuid, ())) for row in rows]


def get(connection: Connection, group_uuid: str, project_id: str | None = None) -> ServerGroup:
    """One group, of this project if one is given. Raises ServerGroupNotFound."""
    query = select(*_table.c).where(_table.c.uuid == group_uuid)
    if project_id is not None:
        query = query.where(_table.c.project_id == project_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise errors.ServerGroupNotFound(group_id=group_uuid)
    return _group(row, _members_of(connection, [group_uuid]).get(group_uuid, ()))


def add(connection: Connection, context: Context, name: str, policy: str, rules: dict[str, int]) -> ServerGroup:
    """A group of the caller's project, without members. Quota is the caller's business."""
    values = {
        "uuid": str(uuids.uuid4()),
        "project_id": context.project_id,
        "user_id": context.user_id,
        "name": name,
        "policy": policy,
        "rules": msgspec.json.encode(rules).decode(),
        "created_at": utcnow(),
    }
    connection.execute(insert(_table).values(**values))
    return get(connection, str(values["uuid"]))


def remove(connection: Connection, group_uuid: str) -> bool:
    """Delete a group; its servers stay as they are. False when another request did."""
    connection.execute(delete(_members).where(_members.c.group_uuid == group_uuid))
    return connection.execute(delete(_table).where(_table.c.uuid == group_uuid)).rowcount > 0


def _members_of(connection: Connection, groups: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for start in range(0, len(groups), 500):
        query = (
            select(_members.c.group_uuid, _members.c.instance_uuid)
            .join(_instances, _instances.c.uuid == _members.c.instance_uuid)
            .where(_members.c.group_uuid.in_(groups[start : start + 500]), _instances.c.deleted_at.is_(None))
            .order_by(_instances.c.id)
        )
        for row in connection.execute(query):
            found.setdefault(row.group_uuid, []).append(row.instance_uuid)
    return found


def _group(row: Row[Any], members: Iterable[str]) -> ServerGroup:
    return ServerGroup(
        **{**row._mapping, "rules": msgspec.json.decode(row.rules, type=dict[str, int]), "members": tuple(members)}
    )


def view(connection: Connection, group_uuid: str, without: str, for_update: bool = False) -> GroupView | None:
    """The group with the hosts of its members other than `without`; None when the group is gone."""
    query = select(_table.c.uuid, _table.c.policy, _table.c.rules).where(_table.c.uuid == group_uuid)
    row = connection.execute(query.with_for_update() if for_update else query).one_or_none()
    if row is None:
        return None
    rows = connection.execute(
        select(_instances.c.uuid, _instances.c.host)
        .join(_members, _members.c.instance_uuid == _instances.c.uuid)
        .where(
            _members.c.group_uuid == group_uuid,
            _instances.c.uuid != without,
            _instances.c.host.is_not(None),
            _instances.c.deleted_at.is_(None),
        )
    ).all()
    rules = msgspec.json.decode(row.rules)
    return GroupView(
        uuid=row.uuid,
        policy=row.policy,
        max_server_per_host=int(rules.get("max_server_per_host", 1)),
        hosts=tuple(row.host for row in rows),
        members=tuple(row.uuid for row in rows),
    )


def check_host(connection: Connection, group_uuid: str, instance_uuid: str, host: str) -> None:
    """The group's rule once more, with the group locked: two members placed at once see each other.

    Raises HostRefused.
    """
    group = view(connection, group_uuid, instance_uuid, for_update=True)
    if group is None:
        return
    there = group.hosts.count(host)
    if group.policy == "anti-affinity" and there >= group.max_server_per_host:
        raise errors.HostRefused(host=host, reason="another member of the server group got there first")
    if group.policy == "affinity" and group.hosts and not there:
        raise errors.HostRefused(host=host, reason="the server group went to another host")


def add_member(connection: Connection, group_uuid: str, instance_uuid: str) -> None:
    """Fails for a server that is in a group: a server is in one at most."""
    connection.execute(insert(_members).values(group_uuid=group_uuid, instance_uuid=instance_uuid))


def remove_member(connection: Connection, instance_uuid: str) -> None:
    """From whichever group it is in; nothing happens when it is in none."""
    connection.execute(delete(_members).where(_members.c.instance_uuid == instance_uuid))


def without_members(connection: Connection, group_uuid: str, project_id: str) -> ServerGroup | None:
    """A project's group of which nobody asks who is in it; None without such a group."""
    query = select(*_table.c).where(_table.c.uuid == group_uuid, _table.c.project_id == project_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _group(row, ())


def size(connection: Connection, group_uuid: str) -> int:
    """0 without such a group."""
    query = select(func.count()).select_from(_members).where(_members.c.group_uuid == group_uuid)
    return connection.scalar(query) or 0
