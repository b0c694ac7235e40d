"""Queries on server groups and who belongs to them."""

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from nova import errors
from nova.db.models.servers import Instance as InstanceTable
from nova.db.models.servers import ServerGroup as Table
from nova.db.models.servers import ServerGroupMember
from nova.structs.schedule import GroupView

_table = Table.__table__
_members = ServerGroupMember.__table__
_instances = InstanceTable.__table__


def view(connection: Connection, group_uuid: str, without: str, for_update: bool = False) -> GroupView | None:
    """The group with the hosts of its members other than `without`; None when the group is gone."""
    query = select(_table.c.uuid, _table.c.policy, _table.c.rules).where(_table.c.uuid == group_uuid)
    row = connection.execute(query.with_for_update() if for_update else query).one_or_none()
    if row is None:
        return None
    hosts = connection.scalars(
        select(_instances.c.host)
        .join(_members, _members.c.instance_uuid == _instances.c.uuid)
        .where(
            _members.c.group_uuid == group_uuid,
            _instances.c.uuid != without,
            _instances.c.host.is_not(None),
            _instances.c.deleted_at.is_(None),
        )
    )
    rules = msgspec.json.decode(row.rules)
    return GroupView(
        uuid=row.uuid,
        policy=row.policy,
        max_server_per_host=int(rules.get("max_server_per_host", 1)),
        hosts=tuple(hosts),
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
    connection.execute(insert(_members).values(group_uuid=group_uuid, instance_uuid=instance_uuid))


def remove_member(connection: Connection, instance_uuid: str) -> None:
    connection.execute(delete(_members).where(_members.c.instance_uuid == instance_uuid))


def project_of(connection: Connection, group_uuid: str) -> str | None:
    """The project a group belongs to; None without such a group."""
    return connection.scalar(select(_table.c.project_id).where(_table.c.uuid == group_uuid))


def size(connection: Connection, group_uuid: str) -> int:
    return len(connection.execute(select(_members.c.instance_uuid).where(_members.c.group_uuid == group_uuid)).all())
