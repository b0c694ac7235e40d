"""What every way of a server to another host has in common: its claims, its ports, its record.

While a server moves, the resources of its source are held by the migration, those of its destination
by the server itself; so either can be given back whole, and Placement always knows both. Source:
Placement's consumer types INSTANCE and MIGRATION.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clients.network.view import check_bound
from nova.clients.placement.claims import Claim
from nova.conductor.engine.operation import Acceptance, HostAnswer, Recorded
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import placing, port_claims
from nova.conductor.workflows.placing import Placed
from nova.db import instances, server_migrations
from nova.structs.flavor import Flavor
from nova.structs.instance import BlockDevice, Instance, VmState
from nova.structs.network import Vif
from nova.structs.schedule import PlacementRequest
from nova.structs.steps import DisksAside


class Move(Placed, frozen=True, kw_only=True, omit_defaults=True):
    """flavor: the new one, None for the one there is. force: the scheduler's filters are not asked. host: the
    destination. was: the vm_state at acceptance. generation: of the disks it makes there; 0: begun by an older
    release."""

    migration_id: str = ""
    flavor: Flavor | None = None
    force: bool = False
    may_stay: bool = False
    was: VmState = VmState.ACTIVE
    generation: int = 0
    source_host: str = ""
    source_node: str | None = None
    source_zone: str | None = None
    facts: dict[str, object] = {}
    vifs: tuple[Vif, ...] | None = None
    devices: tuple[BlockDevice, ...] | None = None


M = TypeVar("M", bound=Move)


def begin(acceptance: Acceptance, op: M, kind: str, status: str) -> M:
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
        generation=instances.next_generation(acceptance.connection, instance.uuid),
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


def hold_source(op: M, context: StepContext) -> M:
    """Let the migration hold what the server held until now."""
    if not context.placement.allocations(op.migration_id).resources:
        hand_over(context, op.instance_id, op.migration_id, "MIGRATION")
    return op


def give_source_back(op: M, context: StepContext) -> M:
    """The undo of hold_source(): the server itself holds its source again. Nothing happens when it does already."""
    if context.placement.allocations(op.migration_id).resources:
        hand_over(context, op.migration_id, op.instance_id, "INSTANCE")
    return op


def release_source(op: M, context: StepContext) -> M:
    """The source's resources are free; what the server holds of the destination stays."""
    context.placement.release(op.migration_id)
    return op


def hand_over(context: StepContext, giver: str, taker: str, consumer_type: str) -> None:
    """Give all that one consumer holds to another, in one request; fine when it holds nothing."""
    held = context.placement.allocations(giver)
    if held.resources:
        owner = {"project_id": held.project_id, "user_id": held.user_id}
        context.placement.replace(
            Claim(consumer=giver, allocations={}, **owner),
            Claim(consumer=taker, allocations=held.resources, consumer_type=consumer_type, **owner),
        )


def claim_destination(op: M, context: StepContext) -> M | Recorded[M]:
    """Allocate on the best host that has not refused. Raises NoValidHost."""
    if op.host is not None:
        return op
    placing.check_attempts(op, context)
    instance = context.instance(op.instance_id)
    if op.flavor is not None:
        instance = msgspec.structs.replace(instance, flavor=op.flavor)
    op = msgspec.structs.replace(op, claims=port_claims.of_vifs(context, instance.project_id, instance.vifs))
    request = placing.request(op, context, instance)
    if not op.may_stay:
        request = msgspec.structs.replace(request, leaves=op.source_host)
    if op.force:
        return _claim_by_force(op, context, instance, request)
    return placing.chosen(op, context, op.migration_id, context.scheduler.select(request))


def _claim_by_force(op: M, context: StepContext, instance: Instance, request: PlacementRequest) -> M:
    """The host an administrator insists on, whatever filters would say; there must be room all the same."""
    if request.groups:
        raise errors.NoValidHost(
            reason="Only the scheduler can choose which parts of a host give the server what it asks for in groups."
        )
    node = next(iter(context.nodes_of(op.only_host or "")), None)
    if node is None or op.only_host in op.refused:
        raise errors.NoValidHost(reason="The host asked for does not exist or has refused.")
    if request.resources:
        allocations = {node.uuid: request.resources}
        context.placement.claim(op.instance_id, allocations, instance.project_id, instance.user_id)
    return msgspec.structs.replace(op, host=op.only_host, node=node.hypervisor_hostname, host_zone=op.source_zone)


def bind_ports(op: M, context: StepContext) -> M:
    """The server's ports are the destination's from here on. Raises HostRefused where they cannot be."""
    op = _bound(op, context, op.host or op.source_host, port_claims.said(context, op.instance_id, op.claims))
    check_bound(op.vifs or (), op.host or op.source_host)
    return op


def bind_where_it_is(op: M, context: StepContext) -> M:
    """The same for a guest that is there already, whatever the Networking service thinks of it."""
    return _bound(op, context, op.host or op.source_host, port_claims.said_if_held(context, op.instance_id, op.claims))


def bind_ports_back(op: M, context: StepContext) -> M:
    """The undo of bind_ports(): the ports are bound to the source, which has the guest still."""
    return _bound(op, context, op.source_host, port_claims.said_if_held(context, op.migration_id, op.claims))


def _bound(op: M, context: StepContext, host: str, said: dict[str, Any]) -> M:
    instance = context.instance(op.instance_id)
    if not instance.vifs:
        return op
    context.network.bind(op.instance_id, host, said)
    return msgspec.structs.replace(op, vifs=context.network.view(op.instance_id, instance.vifs))


def _keep_facts(op: M, result: DisksAside) -> M:
    return msgspec.structs.replace(op, facts=result.facts)


# What the host says of the disks it has put aside, or prepared.
FACTS: HostAnswer[Any] = HostAnswer(DisksAside, _keep_facts)


def at_destination(op: Move, instance: Instance) -> Instance:
    """The server as it is to be on its destination."""
    return msgspec.structs.replace(
        instance,
        flavor=op.flavor or instance.flavor,
        vifs=instance.vifs if op.vifs is None else op.vifs,
        block_devices=instance.block_devices if op.devices is None else op.devices,
        host=op.host,
        node=op.node,
        generation=op.generation,
        moves_from=instance.disks_id if op.generation else None,
    )


def tells(op: Move) -> dict[str, object]:
    """Where from and where to, and what the server is to become."""
    return {"source_host": op.source_host, "host": op.host, "refused": op.refused, "flavor": op.flavor}


def place(op: Move) -> dict[str, object]:
    """The columns of a server that has moved."""
    columns: dict[str, object] = {"host": op.host, "node": op.node, "availability_zone": op.host_zone}
    if op.generation:
        columns["generation"] = op.generation
    if op.vifs is not None:
        columns["vifs"] = op.vifs
    if op.devices is not None:
        columns["block_devices"] = op.devices
    return columns


def write_ports(connection: Connection, op: Move) -> dict[str, object]:
    """A step's commit: the record shows the ports as they are bound now. Its volumes may be others by now."""
    if op.vifs is None:
        return {}
    instances.change(connection, op.instance_id, vifs=op.vifs)
    return {"vifs": op.vifs}


def write_place(connection: Connection, op: Move) -> dict[str, object]:
    """A step's commit: from here on the record says that the server is at its destination."""
    columns = place(op)
    instances.change(connection, op.instance_id, **columns)
    return columns
