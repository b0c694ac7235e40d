"""Servers: accepting requests for them, and reading what became of them."""

from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.calls import accept
from nova.conductor.core import Core
from nova.conductor.workflows import WORKFLOWS
from nova.db import events, instances, operations
from nova.db.operations import Lease
from nova.structs.context import Context
from nova.structs.instance import Instance
from nova.structs.operation import OperationRecord
from nova.structs.requests import BuildRequest, ServerQuery, ServerUpdate
from nova.structs.schedule import Decision


class ServerCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def create_servers(self, context: Context, request: BuildRequest) -> list[Instance]:
        self._core.cloud.network.validate(context, request.networks, request.max_count)
        leases: list[Lease] = []

        def work(connection: Connection) -> list[Instance]:
            leases.clear()
            made = accept.servers(connection, self._core, context, request)
            leases.extend(lease for _, lease in made)
            return [instance for instance, _ in made]

        made = self._core.db.write(work)
        for lease in leases:
            self._core.engine.run(lease)
        return made

    def server(self, context: Context, server_id: str, with_user_data: bool = False) -> Instance:
        return self._core.db.read(lambda c: instances.get(c, server_id, with_user_data=with_user_data))

    def servers(self, context: Context, query: ServerQuery) -> list[Instance]:
        return self._core.db.read(lambda c: instances.find(c, query))

    def update_server(self, context: Context, server_id: str, update: ServerUpdate) -> Instance:
        def work(connection: Connection) -> Instance:
            instance = instances.get(connection, server_id, for_update=True)
            scope = self._core.conf.osapi_compute_unique_server_name_scope
            changes = {
                name: value for name, value in msgspec.structs.asdict(update).items() if value is not msgspec.UNSET
            }
            if "name" in changes:
                instances.unique_name(connection, changes["name"], scope, instance.project_id, server_id)
            columns = {name: changes.pop(name) for name in ("name", "hostname") if name in changes}
            if changes:
                columns["properties"] = msgspec.structs.replace(instance.properties, **changes)
            if columns:
                instances.change(connection, server_id, **columns)
                events.append(
                    connection,
                    "instance.update",
                    instance.project_id,
                    {"changed": sorted(columns)},
                    server_id,
                    context.request_id,
                )
            return instances.get(connection, server_id)

        return self._core.db.write(work)

    def operate(self, context: Context, server_id: str, operation: str, arguments: dict[str, Any]) -> Instance:
        workflow = WORKFLOWS[operation]
        document = msgspec.convert({**arguments, "instance_id": server_id}, type=workflow.document)
        accepted = self._core.db.write(
            lambda c: accept.operation(c, self._core, context, server_id, workflow, document)
        )
        if accepted.lease is not None:
            self._core.engine.run(accepted.lease)
        if accepted.overtaken is not None:
            self._core.engine.wake(accepted.overtaken)
        return accepted.instance

    def console_output(self, context: Context, server_id: str, limit_bytes: int) -> str:
        instance = self.server(context, server_id)
        if instance.host is None:
            raise errors.ServerNotReady(server_id=server_id)
        return self._core.compute(instance.host).console_output(server_id, limit_bytes)

    def operations(
        self, context: Context, server_id: str, limit: int | None = None, marker: str | None = None
    ) -> list[OperationRecord]:
        return self._core.db.read(lambda c: operations.history(c, server_id, limit, marker))

    def operation(self, context: Context, server_id: str, request_id: str) -> OperationRecord:
        found = self._core.db.read(lambda c: operations.record(c, server_id, request_id))
        if found is None:
            raise errors.ActionNotFound(request_id=request_id, server_id=server_id)
        return found

    def decisions(self, context: Context, server_id: str) -> list[Decision]:
        return self._core.db.read(lambda c: events.decisions(c, server_id))
