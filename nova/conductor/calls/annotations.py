"""What users write on their servers: metadata, tags; and the password a guest wrote."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.acceptance import limits
from nova.conductor.core import Core
from nova.db import events, instances
from nova.structs.context import Context
from nova.structs.event_details import EventDetails
from nova.structs.instance import Instance, VmState

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
        """replace: items that are not given go. The limit is asked of what there is afterwards."""

        def change(connection: Connection, instance: Instance) -> dict[str, Any]:
            wanted = metadata if replace else {**instance.metadata, **metadata}
            limit = limits.in_force(connection, self._core.conf, instance.project_id)["metadata_items"]
            if 0 <= limit < len(wanted):
                raise errors.QuotaExceeded(f"Maximum number of metadata items exceeds {limit}")
            return {"metadata": wanted}

        written: dict[str, str] = self._write(context, server_id, "update metadata", change)["metadata"]
        return written

    def delete_metadata(self, context: Context, server_id: str, key: str) -> None:
        def change(connection: Connection, instance: Instance) -> dict[str, Any]:
            if key not in instance.metadata:
                raise errors.NotFound("Metadata item was not found")
            return {"metadata": {name: value for name, value in instance.metadata.items() if name != key}}

        self._write(context, server_id, "delete metadata", change)

    def set_tags(self, context: Context, server_id: str, tags: list[str]) -> tuple[str, ...]:
        """Sorted, each once. How many there may be is the caller's business."""
        wanted = tuple(sorted(set(tags)))
        self._write(context, server_id, "update tags", lambda *_: {"tags": wanted})
        return wanted

    def add_tag(self, context: Context, server_id: str, tag: str) -> bool:
        def change(connection: Connection, instance: Instance) -> dict[str, Any]:
            if tag in instance.tags:
                return {}
            if len(instance.tags) >= MAX_TAGS:
                raise errors.Invalid(f"The number of tags exceeded the per-server limit {MAX_TAGS}")
            return {"tags": (*instance.tags, tag)}

        return bool(self._write(context, server_id, "update tag", change))

    def remove_tag(self, context: Context, server_id: str, tag: str) -> None:
        def change(connection: Connection, instance: Instance) -> dict[str, Any]:
            if tag not in instance.tags:
                raise errors.NotFound(f"Server {server_id} has no tag '{tag}'")
            return {"tags": tuple(other for other in instance.tags if other != tag)}

        self._write(context, server_id, "delete tag", change)

    def clear_password(self, context: Context, server_id: str) -> None:
        """In any state, and of a locked server too; fine when there is none."""

        def work(connection: Connection) -> None:
            instance = instances.get(connection, server_id, for_update=True)
            rest = {name: value for name, value in instance.system_metadata.items() if name != "password"}
            instances.change(connection, server_id, system_metadata=rest)

        self._db.write(work)

    def _write(
        self, context: Context, server_id: str, what: str, change: Callable[[Connection, Instance], dict[str, Any]]
    ) -> dict[str, Any]:
        """Change a server that is at rest; what changed. Raises ServerNotFound, ServerIsLocked, WrongServerState."""

        def work(connection: Connection) -> dict[str, Any]:
            instance = instances.get(connection, server_id, for_update=True)
            _check_at_rest(context, instance, what)
            changes = change(connection, instance)
            if changes:
                instances.change(connection, server_id, **changes)
                events.append(
                    connection,
                    "instance.update",
                    instance.project_id,
                    {"changed": [what]},
                    server_id,
                    context.request_id,
                    EventDetails.of(context, server=instance, changes=changes),
                )
            return changes

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
