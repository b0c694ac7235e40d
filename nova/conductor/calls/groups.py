"""Server groups: made and deleted with the quota they count for."""

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.acceptance import limits
from nova.conductor.core import Core
from nova.db import events, instances, quotas, server_groups
from nova.structs.context import Context
from nova.structs.event_details import EventDetails
from nova.structs.server_group import ServerGroup

_QUOTA = {"server_groups": 1}


class GroupCalls:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._db = core.db

    def add_server_group(self, context: Context, name: str, policy: str, rules: dict[str, int]) -> ServerGroup:
        """Quota is taken in the same transaction."""

        def work(connection: Connection) -> ServerGroup:
            limit = limits.in_force(connection, self._core.conf, context.project_id)
            try:
                quotas.take(connection, context.project_id, _QUOTA, limit)
            except errors.QuotaExceeded as error:
                raise errors.QuotaExceeded("Quota exceeded, too many server groups.") from error
            made = server_groups.add(connection, context, name, policy, rules)
            log(connection, context, "create", made)
            return made

        return self._db.write(work)

    def delete_server_group(self, context: Context, group_id: str) -> None:
        """Its members' records forget the group; quota is given back once, whoever deletes it at the same time."""

        def work(connection: Connection) -> None:
            group = server_groups.get(connection, group_id)
            if server_groups.remove(connection, group_id):
                for member in group.members:
                    _forget_group(connection, member)
                quotas.give_back(connection, group.project_id, _QUOTA)
                log(connection, context, "delete", group)

        self._db.write(work)


def _forget_group(connection: Connection, instance_uuid: str) -> None:
    """A server shows no group that is not there."""
    instance = instances.get(connection, instance_uuid, for_update=True)
    instances.change(
        connection, instance_uuid, properties=msgspec.structs.replace(instance.properties, server_group=None)
    )


def log(connection: Connection, context: Context, what: str, group: ServerGroup) -> None:
    """Append that a group was made, deleted, or has new members (those of the group given)."""
    events.append(
        connection,
        f"server_group.{what}",
        group.project_id,
        {"server_group_id": group.uuid},
        request_id=context.request_id,
        details=EventDetails.of(context, group=group),
    )
