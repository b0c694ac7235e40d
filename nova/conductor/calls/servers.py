"""Servers: accepting requests for them, and reading what became of them."""

import time
import uuid as uuids
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor import host_status
from nova.conductor.acceptance import accept
from nova.conductor.acceptance.boot_volumes import BootVolumes
from nova.conductor.core import Core
from nova.conductor.engine import completion
from nova.conductor.workflows import WORKFLOWS, attach_volume
from nova.db import ec2, events, instance_actions, instances, operations
from nova.db.operations import Lease
from nova.structs.context import Context
from nova.structs.ec2 import ClientToken
from nova.structs.event_details import EventDetails
from nova.structs.instance import Instance, VmState
from nova.structs.operation import OperationRecord, Outcome
from nova.structs.requests import BuildRequest, ServerQuery, ServerUpdate


class ServerCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def create_servers(self, context: Context, request: BuildRequest) -> list[Instance]:
        """A request that comes again with its client_token gets the servers it has made. Raises IdempotencyMismatch."""
        accepted = self._accepted(context, request.client_token)
        if accepted is not None:
            return accepted
        try:
            return self._create_servers(context, request)
        except ec2.TokenIsTaken:
            # By the same request, which its client has sent twice.
            return self._accepted(context, request.client_token) or []

    def _accepted(self, context: Context, token: ClientToken | None) -> list[Instance] | None:
        """The servers of a request that was accepted with this token, deleted ones too. Raises IdempotencyMismatch."""
        if token is None:
            return None

        def work(connection: Connection) -> list[Instance] | None:
            reservation_id = ec2.reservation(connection, context.project_id, token)
            if reservation_id is None:
                return None
            query = ServerQuery(project_id=context.project_id, reservation_id=reservation_id, is_deleted=None)
            return instances.find(connection, query)

        return self._core.db.read(work)

    def _create_servers(self, context: Context, request: BuildRequest) -> list[Instance]:
        count = self._core.step_context.network.validate(
            context,
            request.networks,
            request.max_count,
            request.security_groups,
            at_least=request.min_count,
            may_claim=request.may_claim_for_ports,
        )
        request = msgspec.structs.replace(request, max_count=count)
        leases: list[Lease] = []

        volumes = BootVolumes.create(self._core.step_context, context, request)

        def work(connection: Connection) -> list[Instance]:
            leases.clear()
            made = accept.accept_build(connection, self._core, context, request, volumes.devices)
            leases.extend(lease for _, lease in made)
            if request.client_token is not None:
                ec2.keep_token(connection, context.project_id, request.client_token, made[0][0].reservation_id)
            return [instance for instance, _ in made]

        try:
            made = self._core.db.write(work)
        except errors.OutcomeUnknown:
            # The servers may have been accepted: they boot from these volumes.
            raise
        except errors.DomainError:
            volumes.discard_from(0)
            raise
        volumes.discard_from(len(made))
        for lease in leases:
            self._core.engine.run(lease)
        return made

    def server(
        self,
        context: Context,
        server_id: str,
        with_user_data: bool = False,
        with_host_status: bool = False,
        project_id: str | None = None,
    ) -> Instance:
        def work(connection: Connection) -> Instance:
            instance = instances.get(connection, server_id, with_user_data=with_user_data, project_id=project_id)
            if not with_host_status:
                return instance
            return host_status.with_host_status(connection, self._core.liveness, [instance])[0]

        return self._core.db.read(work)

    def servers(self, context: Context, query: ServerQuery) -> list[Instance]:
        """The states of hosts are looked up only where the query asks for them."""

        def work(connection: Connection) -> list[Instance]:
            servers = instances.find(connection, query)
            if not query.with_host_status:
                return servers
            return host_status.with_host_status(connection, self._core.liveness, servers)

        return self._core.db.read(work)

    def update_server(self, context: Context, server_id: str, update: ServerUpdate) -> Instance:
        def work(connection: Connection) -> Instance:
            instance = instances.get(connection, server_id, for_update=True)
            scope = self._core.conf.osapi_compute_unique_server_name_scope
            changes = {
                name: value for name, value in msgspec.structs.asdict(update).items() if value is not msgspec.UNSET
            }
            if "name" in changes:
                instances.unique_name(connection, changes["name"], scope, instance.project_id, server_id)
            if "requested_zone" in changes:
                _check_pin(instance, changes["requested_zone"])
            columns: dict[str, Any] = {name: changes.pop(name) for name in ("name", "hostname") if name in changes}
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
                    EventDetails.of(context, server=instance, changes=columns),
                )
            return instances.get(connection, server_id)

        return self._core.db.write(work)

    def operate(self, context: Context, server_id: str, operation: str, arguments: dict[str, Any]) -> Instance:
        """An operation that this one overtakes is woken, to be cancelled."""
        workflow = WORKFLOWS[operation]
        document = msgspec.convert({**arguments, "instance_id": server_id}, type=workflow.document)
        accepted = self._core.db.write(
            lambda c: accept.accept_operation(c, self._core, context, server_id, workflow, document)
        )
        if accepted.lease is not None:
            self._core.engine.run(accepted.lease)
        if accepted.overtaken is not None:
            self._core.engine.wake(accepted.overtaken)
        return accepted.instance

    def outcome(
        self, context: Context, server_id: str, request_id: str, operation: str, wait_s: float, step: str | None = None
    ) -> Outcome | None:
        """Asks the database again and again, at least four times a second."""
        deadline = time.monotonic() + wait_s
        pause_s = 0.005
        while True:
            outcome = self._core.db.read(lambda c: instance_actions.outcome(c, server_id, request_id, operation, step))
            if outcome is not None or time.monotonic() >= deadline:
                return outcome
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.25)

    def set_delete_on_termination(self, context: Context, server_id: str, volume_id: str, flag: bool) -> None:
        def work(connection: Connection) -> None:
            instance = _live(connection, server_id)
            chosen = attach_volume.find(instance, volume_id)
            instances.set_delete_on_termination(connection, server_id, chosen.id, flag)

        self._core.db.write(work)

    def set_lock(self, context: Context, server_id: str, is_locked: bool, reason: str | None = None) -> Instance:
        """An administrator's lock replaces the one there is; that of the server's own project does not."""

        def work(connection: Connection) -> Instance:
            instance = _live(connection, server_id)
            is_owner = instance.project_id == context.project_id
            changes: dict[str, Any] = {}
            if not (is_locked and instance.is_locked and is_owner):
                locked_by = ("owner" if is_owner else "admin") if is_locked else None
                properties = msgspec.structs.replace(
                    instance.properties, locked_by=locked_by, locked_reason=reason if is_locked else None
                )
                changes = {"is_locked": is_locked, "properties": properties}
                instances.change(connection, server_id, **changes)
            _record(connection, context, instance, "lock" if is_locked else "unlock", changes)
            return instances.get(connection, server_id)

        return self._core.db.write(work)

    def reset_state(self, context: Context, server_id: str, state: str) -> Instance:
        woken: list[str] = []

        def work(connection: Connection) -> Instance:
            instance = _live(connection, server_id)
            changes, woken[:] = completion.reset(connection, instance, VmState(state))
            _record(connection, context, instance, "resetState", changes)
            return instances.get(connection, server_id)

        server = self._core.db.write(work)
        for uuid in woken:
            self._core.engine.wake(uuid)
        return server

    def console_output(self, context: Context, server_id: str, limit_bytes: int) -> str:
        instance = self.server(context, server_id)
        if instance.host is None:
            raise errors.ServerNotReady(server_id=server_id)
        try:
            with self._core.questions.to(instance.host) as host:
                return host.console_output(server_id, limit_bytes)
        except errors.GuestNotFound as error:
            # It has a host already, and will have a guest.
            raise errors.ServerNotReady(server_id=server_id) from error

    def diagnostics(self, context: Context, server_id: str) -> dict[str, Any]:
        """The uptime is counted from launched_at where the hypervisor does not say it."""
        instance = self.server(context, server_id)
        if instance.host is None:
            raise errors.ServerNotReady(server_id=server_id)
        try:
            with self._core.questions.to(instance.host) as host:
                diagnostics = host.diagnostics(server_id)
        except errors.GuestNotFound as error:
            raise errors.ServerNotReady(server_id=server_id) from error
        if diagnostics.get("uptime") is None and instance.launched_at is not None:
            diagnostics["uptime"] = int((utcnow() - instance.launched_at).total_seconds())
        return diagnostics

    def operation(self, context: Context, server_id: str, request_id: str) -> OperationRecord:
        record = self._core.db.read(lambda c: instance_actions.record(c, server_id, request_id))
        if record is None:
            raise errors.ActionNotFound(request_id=request_id, server_id=server_id)
        return record


def _live(connection: Connection, server_id: str) -> Instance:
    instance = instances.get(connection, server_id, for_update=True)
    if instance.is_deleted:
        raise errors.ServerNotFound(server_id=server_id)
    return instance


def _record(connection: Connection, context: Context, instance: Instance, name: str, changes: dict[str, Any]) -> None:
    """An action that changed the record alone: it is in the log, and among the instance actions."""
    request_id = context.request_id or f"req-{uuids.uuid4()}"
    done = operations.NewOperation(
        uuid=str(uuids.uuid4()),
        name=name,
        instance_uuid=instance.uuid,
        project_id=instance.project_id,
        user_id=context.user_id or instance.user_id,
        owner_project_id=instance.project_id,
        request_id=request_id,
        step="",
        document="{}",
        deadline_at=utcnow(),
    )
    operations.add_done(connection, done)
    events.append(
        connection,
        f"instance.{name}",
        instance.project_id,
        {},
        instance.uuid,
        request_id,
        EventDetails.of(context, server=instance, changes=changes),
    )


def _check_pin(instance: Instance, zone: str | None) -> None:
    """A server may be pinned to the zone it is in, or unpinned; a pin does not move it. Raises Conflict."""
    pinned = instance.properties.requested_zone
    if zone is None or zone == pinned:
        return
    if pinned is not None:
        raise errors.Conflict(f"Server is already pinned to availability zone {pinned}.")
    if zone != instance.availability_zone:
        raise errors.Conflict(f"Server is not in availability zone {zone}, so it cannot be pinned to it.")
