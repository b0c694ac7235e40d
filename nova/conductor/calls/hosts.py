"""Daemons, nodes and aggregates; what hosts say of themselves, and what the scheduler is told of them."""

import contextlib
import logging
from functools import partial

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor import announce, host_troubles, left_overs
from nova.conductor.calls.servers import ServerCalls
from nova.conductor.core import Core
from nova.conductor.engine import completion
from nova.conductor.host_picture import host_states, zones
from nova.conductor.reconcilers import liveness
from nova.conductor.workflows import shelved_image
from nova.db import events, host_identity, hosts, instances
from nova.structs.context import Context
from nova.structs.disks import DisksVerdict, HeldDisks
from nova.structs.event_details import EventDetails
from nova.structs.guest import GuestsCompared
from nova.structs.host import (
    HostReport,
    HostView,
    Node,
    NodeUse,
    ServerName,
    ServiceRecord,
    SignOfLife,
)
from nova.structs.instance import Instance, PowerState, VmState

_OFF = (PowerState.SHUTDOWN, PowerState.CRASHED)

LOG = logging.getLogger(__name__)


class HostCalls:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._db = core.db
        self._servers = ServerCalls(core)

    def register_host(self, report: HostReport) -> list[Node]:
        """The host counts as alive from here on, and schedulers hear of it where its picture has changed."""

        def work(connection: Connection) -> tuple[bool, list[Node]]:
            before = hosts.view_version(connection)
            if report.compute_id is not None:
                [node] = report.nodes
                host_identity.check(connection, report.host, node.state.hypervisor_hostname, report.compute_id)
            self._ensure_service(connection, report.host, "nova-compute", report.version, report.listener)
            nodes = [hosts.ensure_node(connection, report.host, node.state, report.compute_id) for node in report.nodes]
            return hosts.view_version(connection) != before, nodes

        is_changed, nodes = self._db.write(work)
        self._core.liveness.hear(SignOfLife(binary="nova-compute", hosts=(report.host,)))
        if is_changed:
            announce.hosts_changed(self._core.step_context)
        return nodes

    def alive(self, sign: SignOfLife) -> None:
        """The first sign since this conductor's start is written down, but for nova-compute's, which registers."""
        # A nova-compute registers with what it has; of the others there is no more to know than that they live.
        new = [host for host in sign.hosts if self._core.liveness.last_heard(host, sign.binary) is None]
        if new and sign.binary != "nova-compute":
            self._db.write(lambda c: self._ensure_services(c, new, sign))
        # Heard once it is written down: what could not be written is new with the next sign.
        if sign.binary == "nova-compute":
            host_troubles.settle(self._core, sign)
        self._core.liveness.hear(sign)

    def _ensure_services(self, connection: Connection, names: list[str], sign: SignOfLife) -> None:
        for host in names:
            self._ensure_service(connection, host, sign.binary, sign.version)

    def _ensure_service(self, connection: Connection, host: str, binary: str, version: int, listener: str = "") -> None:
        # To keep servers off new hosts is what operators disable services for; nothing else is kept off anything.
        is_enabled = binary != "nova-compute" or self._core.conf.enable_new_services
        service, change = hosts.ensure_service(connection, host, binary, version, is_enabled, listener)
        if change is not None:
            self._log_service(connection, Context(), change, service)

    def services(self, context: Context, host: str | None = None, binary: str | None = None) -> list[ServiceRecord]:
        """is_up and last_seen_at are what this conductor has heard, not what the records say."""

        def work(connection: Connection) -> list[ServiceRecord]:
            named = zones(hosts.aggregates(connection))
            return [self._complete(service, named) for service in hosts.services(connection, host, binary)]

        return self._db.read(work)

    def service(self, context: Context, service_id: str) -> ServiceRecord:
        def work(connection: Connection) -> ServiceRecord:
            return self._complete(hosts.service(connection, service_id), zones(hosts.aggregates(connection)))

        return self._db.read(work)

    def update_service(
        self,
        context: Context,
        service_id: str,
        is_disabled: bool | None = None,
        disabled_reason: str | None = None,
        is_forced_down: bool | None = None,
    ) -> ServiceRecord:
        """None leaves a thing as it is; enabling forgets the reason. What waits for a forced-down host fails."""

        def work(connection: Connection) -> ServiceRecord:
            service = hosts.service(connection, service_id)
            changes: dict[str, object] = {}
            if is_disabled is not None:
                changes |= {"is_disabled": is_disabled, "disabled_reason": disabled_reason if is_disabled else None}
            if is_forced_down is not None:
                changes["is_forced_down"] = is_forced_down
            hosts.change_service(connection, service.uuid, **changes)
            self._log_service(connection, context, "update", hosts.service(connection, service.uuid))
            return service

        service = self._db.write(work)
        liveness.reconcile(self._core)
        announce.hosts_changed(self._core.step_context)
        return self.service(context, service.uuid)

    def delete_service(self, context: Context, service_id: str) -> None:
        """Placement's providers of a nova-compute go first: a delete that breaks off is asked for again."""

        def removable(connection: Connection) -> tuple[ServiceRecord, list[Node]]:
            service = hosts.service(connection, service_id)
            if service.binary != "nova-compute":
                return service, []
            if instances.count_on_host(connection, service.host):
                raise errors.Conflict(
                    "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."
                )
            return service, hosts.nodes(connection, service.host)

        def work(connection: Connection) -> ServiceRecord:
            service, _ = removable(connection)
            hosts.remove_service(connection, service)
            self._log_service(connection, context, "delete", service)
            return service

        # First, because it can be done again: what Placement still had of a host nobody knows would stay.
        for node in self._db.read(removable)[1]:
            self._core.step_context.placement.delete_provider(node.uuid)
        service = self._db.write(work)
        self._core.liveness.forget(service.host, service.binary)
        announce.hosts_changed(self._core.step_context)

    def _log_service(self, connection: Connection, context: Context, what: str, service: ServiceRecord) -> None:
        heard = self._core.liveness.last_heard(service.host, service.binary)
        events.append(
            connection,
            f"service.{what}",
            None,
            {"service_id": service.uuid, "host": service.host, "binary": service.binary},
            request_id=context.request_id or None,
            details=EventDetails.of(
                context,
                service=msgspec.structs.replace(service, last_seen_at=heard),
            ),
        )

    def nodes(self, context: Context, hostname_pattern: str | None = None) -> list[Node]:
        """hostname_pattern: a part of the name, as it is written."""
        nodes = self._db.read(hosts.nodes)
        if hostname_pattern is None:
            return nodes
        return [node for node in nodes if hostname_pattern in node.hypervisor_hostname]

    def node_use(self, context: Context, on_hosts: list[str], with_servers: bool = False) -> dict[str, NodeUse]:
        conf = self._core.conf
        reserved = NodeUse(memory_mb=conf.reserved_host_memory_mb, disk_gb=conf.reserved_host_disk_mb // 1024)
        names = set(on_hosts)
        use = {node.hypervisor_hostname: reserved for node in self._db.read(hosts.nodes) if node.host in names}
        for part in self._db.read(lambda c: instances.parts_on(c, on_hosts)):
            if part.node in use:
                use[part.node] = _with(use[part.node], part, with_servers)
        return use

    def host_view(self, since: int) -> HostView:
        """since 0, or a version that this database has not reached, asks for all nodes."""

        def work(connection: Connection) -> HostView:
            version = hosts.view_version(connection)
            if since == version:
                return HostView(version=version, changed=(), all_nodes=hosts.node_uuids(connection))
            if 0 < since < version:
                changed = hosts.nodes_of(connection, hosts.changed_hosts(connection, since))
            else:
                changed = hosts.nodes(connection)
            return HostView(
                version=version,
                changed=tuple(host_states(connection, changed, self._core.conf.default_availability_zone)),
                all_nodes=hosts.node_uuids(connection),
            )

        return self._db.read(work)

    def report_power_states(self, host: str, states: dict[str, int]) -> None:
        """Servers in an operation are left to its end; the host is asked again before a server is stopped."""
        for instance in self._db.read(lambda c: instances.on_host(c, host)):
            state = states.get(instance.uuid)
            # While an operation is under way its end will tell; between operations the guest does.
            if state is None or instance.task_state is not None:
                continue
            if state == PowerState.RUNNING and shelved_image.is_named(instance):
                self._forget_shelved_image(host, instance)
            if instance.power_state == state:
                continue
            if instance.vm_state is VmState.ACTIVE and state in _OFF:
                self._settle_as_stopped(host, instance)
            else:
                self._db.write(partial(_write_power_state, instance=instance, state=PowerState(state)))

    def _settle_as_stopped(self, host: str, instance: Instance) -> None:
        """A guest went off by itself: stop its server, as its user would have."""
        asker = Context(is_admin=True, project_id=instance.project_id, user_id=instance.user_id)
        # Another request under way comes first; its end tells the state, too.
        with contextlib.suppress(errors.Conflict, errors.NotFound, errors.GuestNotFound, errors.Unavailable):
            # A report may be older than what was done since: a server just started must not be stopped for it.
            if self._core.compute(host).power_state(instance.uuid) in _OFF:
                self._servers.operate(asker, instance.uuid, "stop", {})

    def _forget_shelved_image(self, host: str, instance: Instance) -> None:
        """A guest that runs writes to its disk: an image it was shelved to is not the newest any more."""

        def work(connection: Connection) -> None:
            now = instances.get(connection, instance.uuid, for_update=True)
            if now.task_state is None and now.system_metadata == instance.system_metadata:
                instances.change(connection, now.uuid, system_metadata=shelved_image.forgotten(now))

        with contextlib.suppress(errors.GuestNotFound, errors.Unavailable):
            # A report may be older than the shelve.
            if self._core.compute(host).power_state(instance.uuid) == PowerState.RUNNING:
                self._db.write(work)

    def report_missing_guests(self, host: str, uuids: list[str]) -> None:
        """Each host is asked again: what is said here may be older than what was done since."""
        for instance in self._db.read(lambda c: instances.on_host(c, host)):
            if instance.uuid in uuids and completion.seems_to_run(instance):
                with contextlib.suppress(errors.Unavailable):
                    self._settle_as_missing(host, instance)

    def _settle_as_missing(self, host: str, instance: Instance) -> None:
        try:
            self._core.compute(host).power_state(instance.uuid)
        except errors.GuestNotFound:
            LOG.warning("server %s has no guest on its host %s", instance.uuid, host)
            self._db.write(lambda c: completion.lose_guest(c, instance))

    def compare_guests(self, host: str) -> GuestsCompared:
        if not self._db.read(lambda c: hosts.services(c, host=host, binary="nova-compute")):
            raise errors.HostNotFound(host=host)
        # The records first: a server that comes to this host meanwhile is a guest with a record.
        here = {one.uuid: one for one in self._db.read(lambda c: instances.on_host(c, host))}
        guests = self._core.compute(host).guests(host)
        known = left_overs.records(self._core, set(guests))
        settled = {uuid: one for uuid, one in known.items() if one.task_state is None}
        return GuestsCompared(
            unknown={uuid: state for uuid, state in sorted(guests.items()) if uuid not in known},
            elsewhere={
                uuid: "" if one.is_deleted else one.host or ""
                for uuid, one in sorted(settled.items())
                if one.is_deleted or one.host != host
            },
            missing=tuple(
                uuid
                for uuid, one in sorted(here.items())
                if uuid not in guests and one.task_state is None and one.launched_at
            ),
        )

    def unwanted_guests(self, host: str, uuids: list[str]) -> dict[str, bool]:
        """Guests without any record are never named."""
        known = left_overs.records(self._core, set(uuids))
        # A guest there is no record of stays: a conductor with the wrong database must not empty a host.
        servers = [known[uuid] for uuid in uuids if uuid in known]
        return {
            server.uuid: not server.is_deleted
            for server in servers
            if left_overs.is_guest_left_over(self._core, server, host)
        }

    def left_over_disks(self, host: str, held: list[HeldDisks]) -> DisksVerdict:
        """Disks of servers without any record are unknown, and not left over."""
        known = left_overs.records(self._core, {disks.server for disks in held})
        return DisksVerdict(
            left_over=tuple(
                disks.name
                for disks in held
                if disks.server in known and left_overs.are_disks_left_over(self._core, known[disks.server], disks)
            ),
            unknown=tuple(disks.name for disks in held if disks.server not in known),
        )

    def _complete(self, service: ServiceRecord, named: dict[str, str]) -> ServiceRecord:
        conf = self._core.conf
        is_compute = service.binary == "nova-compute"
        default = conf.default_availability_zone if is_compute else conf.internal_service_availability_zone
        return msgspec.structs.replace(
            service,
            is_up=self._core.liveness.is_up(service.host, service.binary) and not service.is_forced_down,
            zone=named.get(service.host, default) if is_compute else default,
            last_seen_at=self._core.liveness.last_heard(service.host, service.binary),
        )


def _with(use: NodeUse, part: instances.Part, with_servers: bool) -> NodeUse:
    taken = part.flavor.resources()
    return NodeUse(
        vcpus=use.vcpus + part.flavor.vcpus,
        memory_mb=use.memory_mb + part.flavor.memory_mb,
        disk_gb=use.disk_gb + taken.get("DISK_GB", 0),
        servers_count=use.servers_count + 1,
        busy=use.busy + part.is_busy,
        servers=(*use.servers, ServerName(uuid=part.uuid, name=part.name)) if with_servers else (),
    )


def _write_power_state(connection: Connection, instance: Instance, state: PowerState) -> None:
    instances.change(connection, instance.uuid, power_state=state)
    events.append(
        connection,
        "instance.power_state",
        instance.project_id,
        {"power_state": int(state)},
        instance.uuid,
        details=EventDetails(server=instance, changes={"power_state": state}),
    )
