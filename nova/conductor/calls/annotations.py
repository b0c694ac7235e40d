"""What users write on their servers: metadata, tags; and the password a guest wrote."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor import limits
from nova.conductor.core import Core
from nova.db import events, instances
from nova.structs.context import Context
from nova.structs.instance import Instance, VmState

T = TypeVar("T")

MAX_TAGS = 50

# Only a server that is at rest can be written on.
_AT_REST = (VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED, VmState.STOPPED)


class AnnotationCalls:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._db = core.db

    def set_metadata(
        self, context: Context, server_id: str, metadata: dict[str, str], replace: bool = False
    ) -> dict[str, str]:
        def work(connection: Connection, instance: Instance) -> dict[str, str]:
            wanted = metadata if replace else {**instance.metadata, **metadata}
            limit = limits.in_force(connection, self._core.conf, instance.project_id)["metadata_items"]
            if 0 <= limit < len(wanted):
                raise errors.QuotaExceeded(f"Maximum number of metadata items exceeds {limit}")
            instances.change(connection, server_id, metadata=wanted)
            return wanted

        return self._write(context, server_id, "update metadata", work)

    def delete_metadata(self, context: Context, server_id: str, key: str) -> None:
        def work(connection: Connection, instance: Instance) -> None:
            if key not in instance.metadata:
                raise errors.NotFound("Metadata item was not found")
            rest = {name: value for name, value in instance.metadata.items() if name != key}
            instances.change(connection, server_id, metadata=rest)

        self._write(context, server_id, "delete metadata", work)

    def set_tags(self, context: Context, server_id: str, tags: list[str]) -> tuple[str, ...]:
        def work(connection: Connection, instance: Instance) -> tuple[str, ...]:
            wanted = tuple(sorted(set(tags)))
            instances.change(connection, server_id, tags=wanted)
            return wanted

        return self._write(context, server_id, "update tags", work)

    def add_tag(self, context: Context, server_id: str, tag: str) -> bool:
        def work(connection: Connection, instance: Instance) -> bool:
            if tag in instance.tags:
                return False
            if len(instance.tags) >= MAX_TAGS:
                raise errors.Invalid(f"The number of tags exceeded the per-server limit {MAX_TAGS}")
            instances.change(connection, server_id, tags=(*instance.tags, tag))
            return True

        return self._write(context, server_id, "update tag", work)

    def remove_tag(self, context: Context, server_id: str, tag: str) -> None:
        def work(connection: Connection, instance: Instance) -> None:
            if tag not in instance.tags:
                raise errors.NotFound(f"Server {server_id} has no tag '{tag}'")
            instances.change(connection, server_id, tags=tuple(one for one in instance.tags if one != tag))

        self._write(context, server_id, "delete tag", work)

    def clear_password(self, context: Context, server_id: str) -> None:
        def work(connection: Connection) -> None:
            instance = instances.get(connection, server_id, for_update=True)
            rest = {name: value for name, value in instance.system_metadata.items() if name != "password"}
            instances.change(connection, server_id, system_metadata=rest)

        self._db.write(work)

    def _write(self, context: Context, server_id: str, what: str, change: Callable[[Connection, Instance], T]) -> T:
        """Change a server that is at rest. Raises ServerNotFound, ServerIsLocked, WrongServerState."""

        def work(connection: Connection) -> T:
            instance = instances.get(connection, server_id, for_update=True)
            _check_at_rest(context, instance, what)
            result = change(connection, instance)
            events.append(
                connection, "instance.update", instance.project_id, {"changed": [what]}, server_id, context.request_id
            )
            return result

        return self._db.write(work)


def _check_at_rest(context: Context, instance: Instance, what: str) -> None:
    if instance.is_deleted:
        raise errors.ServerNotFound(server_id=instance.uuid)
    if instance.is_locked and not context.is_admin:
        raise errors.ServerIsLocked(server_id=instance.uuid)
    for attribute, state, is_wrong in (
        ("vm_state", str(instance.vm_state), instance.vm_state not in _AT_REST),
        ("task_state", str(instance.task_state), instance.task_state is not None),
    ):
        if is_wrong:
            raise errors.WrongServerState(action=what, server_id=instance.uuid, attribute=attribute, state=state)
