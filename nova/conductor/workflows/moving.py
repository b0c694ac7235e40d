"""What every way of a server to another host has in common: its claims, its ports, its record.

While a server moves, the resources of its source are held by the migration, those of its destination
by the server itself; so either can be given back whole, and Placement always knows both. Source:
Placement's consumer types INSTANCE and MIGRATION.
"""

from collections.abc import Callable

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clients.placement.claims import Claim
from nova.conductor.engine.operation import Acceptance, Noted
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows.build import placed, placement_request
from nova.db import server_groups, server_migrations
from nova.structs.flavor import Flavor
from nova.structs.instance import BlockDevice, Instance, VmState
from nova.structs.network import Vif
from nova.structs.steps import DisksAside

ELSEWHERE = (errors.HostRefused, errors.HostUnreachable, errors.StepTimedOut, errors.GuestFailed)


class Move(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """flavor: the new one, None for the one there is. only_host: where the user insists. force: the
    scheduler's filters are not asked. host: the destination, None until it is claimed. refused: hosts
    that could not, in order. was: the vm_state at acceptance."""

    instance_id: str
    migration_id: str = ""
    flavor: Flavor | None = None
    only_host: str | None = None
    only_node: str | None = None
    force: bool = False
    may_stay: bool = False
    zone: str | None = None
    group: str | None = None
    hints: dict[str, object] = {}
    was: VmState = VmState.ACTIVE
    source_host: str = ""
    source_node: str | None = None
    source_zone: str | None = None
    refused: tuple[str, ...] = ()
    host: str | None = None
    node: str | None = None
    host_zone: str | None = None
    facts: dict[str, object] = {}
    vifs: tuple[Vif, ...] | None = None
    devices: tuple[BlockDevice, ...] | None = None
    has_moved: bool = False
    power_state: int = 0


def begin(acceptance: Acceptance, op: Move, kind: str, status: str) -> Move:
    """Record the migration, with its id, and where the server is now."""
    instance = acceptance.instance
    if instance.host is None:
        raise errors.ServerNotReady(server_id=instance.uuid)
    server_migrations.add(
        acceptance.connection,
        uuid=op.migration_id,
        instance_uuid=instance.uuid,
        project_id=acceptance.context.project_id or instance.project_id,
        user_id=acceptance.context.user_id or instance.user_id,
        kind=kind,
        status=status,
        source_host=instance.host,
        source_node=instance.node,
        dest_host=op.only_host,
        old_flavor_id=instance.flavor.id,
        new_flavor_id=(op.flavor or instance.flavor).id,
    )
    return msgspec.structs.replace(
        op,
        was=instance.vm_state,
        source_host=instance.host,
        source_node=instance.node,
        source_zone=instance.availability_zone,
        zone=instance.properties.requested_zone,
        group=instance.properties.server_group,
        hints=instance.properties.scheduler_hints,
    )


def marks(status: str) -> Callable[[Connection, Move], None]:
    """A step's commit that brings the migration's record up to its document."""

    def commit(connection: Connection, op: Move) -> None:
        server_migrations.change(
            connection, op.migration_id, status=status, dest_host=op.host or op.only_host, dest_node=op.node
        )

    return commit


def hold_source(op: Move, context: StepContext) -> Move:
    """Let the migration hold what the server held until now."""
    if not context.placement.allocations(op.migration_id).resources:
        _hand_over(context, op.instance_id, op.migration_id, "MIGRATION")
    return op


def give_source_back(op: Move, context: StepContext) -> Move:
    """The server holds its source again; once it has moved, nobody does."""
    if op.has_moved:
        context.placement.release(op.migration_id)
    elif context.placement.allocations(op.migration_id).resources:
        _hand_over(context, op.migration_id, op.instance_id, "INSTANCE")
    return op


def release_source(op: Move, context: StepContext) -> Move:
    context.placement.release(op.migration_id)
    return op


def _hand_over(context: StepContext, giver: str, taker: str, consumer_type: str) -> None:
    held = context.placement.allocations(giver)
    if held.resources:
        owner = {"project_id": held.project_id, "user_id": held.user_id}
        context.placement.replace(
            Claim(consumer=giver, allocations={}, **owner),
            Claim(consumer=taker, allocations=held.resources, consumer_type=consumer_type, **owner),
        )


def claim_destination(op: Move, context: StepContext) -> Move | Noted:
    """Allocate on the best host that has not refused. Raises NoValidHost."""
    if op.host is not None:
        return op
    if len(op.refused) >= context.conf.scheduler.max_attempts:
        raise errors.NoValidHost(reason=f"{len(op.refused)} hosts were tried and could not take the server.")
    instance = context.instance(op.instance_id)
    if op.flavor is not None:
        instance = msgspec.structs.replace(instance, flavor=op.flavor)
    request = placement_request(context, instance, op)
    if not op.may_stay:
        request = msgspec.structs.replace(request, leaves=op.source_host)
    if op.force:
        return _claim_by_force(op, context, instance, request.resources)
    decision = context.scheduler.select(request)
    return placed(op, context, op.migration_id, decision)


def _claim_by_force(op: Move, context: StepContext, instance: Instance, resources: dict[str, int]) -> Move:
    """The host an administrator insists on, whatever filters would say; there must be room all the same."""
    node = next(iter(context.nodes_of(op.only_host or "")), None)
    if node is None or op.only_host in op.refused:
        raise errors.NoValidHost(reason="The host asked for does not exist or has refused.")
    if resources:
        context.placement.claim(op.instance_id, {node.uuid: resources}, instance.project_id, instance.user_id)
    return msgspec.structs.replace(op, host=op.only_host, node=node.hypervisor_hostname, host_zone=op.source_zone)


def keep_group_rule(connection: Connection, op: Move) -> None:
    if op.group and op.host:
        server_groups.check_host(connection, op.group, op.instance_id, op.host)


def release_destination(op: Move, context: StepContext) -> Move:
    if op.has_moved:
        return op
    context.placement.release(op.instance_id)
    refused = (*op.refused, op.host) if op.host else op.refused
    return msgspec.structs.replace(op, host=None, node=None, host_zone=None, refused=refused)


def bind_ports(op: Move, context: StepContext) -> Move:
    """The server's ports are the destination's from here on."""
    return _bound(op, context, op.host or op.source_host)


def bind_ports_back(op: Move, context: StepContext) -> Move:
    return op if op.has_moved else _bound(op, context, op.source_host)


def _bound(op: Move, context: StepContext, host: str) -> Move:
    instance = context.instance(op.instance_id)
    if not instance.vifs:
        return op
    context.network.bind(op.instance_id, host)
    return msgspec.structs.replace(op, vifs=context.network.view(op.instance_id, instance.vifs))


def keep_facts(op: Move, result: DisksAside) -> Move:
    return msgspec.structs.replace(op, facts=result.facts)


def at_destination(op: Move, instance: Instance) -> Instance:
    """The server as it is to be on its destination."""
    return msgspec.structs.replace(
        instance,
        flavor=op.flavor or instance.flavor,
        vifs=instance.vifs if op.vifs is None else op.vifs,
        block_devices=instance.block_devices if op.devices is None else op.devices,
        host=op.host,
        node=op.node,
    )


def tells(op: Move) -> dict[str, object]:
    """Where from and where to, and what the server is to become."""
    return {"source_host": op.source_host, "host": op.host, "refused": op.refused, "flavor": op.flavor}


def place(op: Move) -> dict[str, object]:
    """The columns of a server that has moved."""
    columns: dict[str, object] = {"host": op.host, "node": op.node, "availability_zone": op.host_zone}
    if op.vifs is not None:
        columns["vifs"] = op.vifs
    if op.devices is not None:
        columns["block_devices"] = op.devices
    return columns
