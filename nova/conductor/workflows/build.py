"""Build a server: from an accepted request to a running guest.

Everything can be undone: a server that was never built holds no data.
"""

import msgspec
from sqlalchemy.engine import Connection

from nova.clock import utcnow
from nova.conductor.engine.operation import HostAnswer, OnHost, Operation, Recorded, Step, always
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest, placing, port_claims, volumes
from nova.conductor.workflows.placing import Placed
from nova.structs.instance import BlockDevice, Instance, PowerState, VmState
from nova.structs.network import NetworkRequest, Vif
from nova.structs.steps import PowerResult


class Build(Placed, frozen=True, kw_only=True, omit_defaults=True):
    """ports: ids chosen before anything is made. password: the administrator's, until the host has it. project_id: whose
    the volumes were when the server was asked for, None for an administrator: they may be given to others meanwhile."""

    networks: tuple[NetworkRequest, ...] | None = None
    ports: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    personality: dict[str, str] = {}
    password: str | None = None
    vifs: tuple[Vif, ...] = ()
    has_volumes: bool = True
    project_id: str | None = None
    devices: tuple[BlockDevice, ...] | None = None


def claim_host(op: Build, context: StepContext) -> Recorded[Build]:
    """Allocate on the best host that has not refused. Raises NoValidHost."""
    placing.check_attempts(op, context)
    instance = context.instance(op.instance_id)
    op = with_port_claims(op, context, instance)
    decision = context.scheduler.select(placing.request(op, context, instance))
    return placing.chosen(op, context, "create", decision)


def with_port_claims(op: Build, context: StepContext, instance: Instance) -> Build:
    """The request with what the ports that its user brings take of a host."""
    brought = [request.port_id for request in op.networks or () if request.port_id]
    return msgspec.structs.replace(op, claims=context.network.claims.of(instance.project_id, brought))


def make_ports(op: Build, context: StepContext) -> Build:
    """The ports of the request, made where it names networks, bound to the host; ports the user brought are taken."""
    instance = context.instance(op.instance_id)
    vifs = context.network.allocate(
        project_id=instance.project_id,
        instance_uuid=op.instance_id,
        host=op.host,
        zone=op.host_zone,
        hostname=instance.hostname,
        requests=op.networks,
        security_groups=op.security_groups,
        port_ids=op.ports,
        said=port_claims.said(context, op.instance_id, op.claims),
    )
    return msgspec.structs.replace(op, vifs=tuple(vifs))


def remove_ports(op: Build, context: StepContext) -> Build:
    """Ports the user brought are unbound and stay."""
    # An allocate that timed out may have made ports we never heard of: the client asks by device.
    context.network.release(op.instance_id, keep=tuple(r.port_id for r in op.networks or () if r.port_id))
    return msgspec.structs.replace(op, vifs=())


def open_volumes(op: Build, context: StepContext) -> Build:
    """Reserve the server's volumes and open them to its host. Raises VolumeNotReady while one is being made."""
    instance = context.instance(op.instance_id)
    devices = volumes.connected(context, instance, op.claimed_host, project_id=op.project_id)
    return msgspec.structs.replace(op, devices=devices)


def close_volumes(op: Build, context: StepContext) -> Build:
    """Attachments of tries that timed out go, too. The devices stay in the document, as they are on no host."""
    instance = context.instance(op.instance_id)
    volumes.release_all(context, instance)
    return op if op.devices is None else msgspec.structs.replace(op, devices=volumes.unattached(instance))


def complete_volumes(op: Build, context: StepContext) -> Build:
    """The guest runs with its volumes: their status becomes in-use."""
    volumes.complete(op.devices, context)
    return op


def spawn(op: Build, context: StepContext) -> OnHost:
    """The password leaves the document with the host's answer."""
    instance = context.instance(op.instance_id, with_user_data=True)
    return guest.spawn(instance, op.claimed_host, op.personality, op.password)


def _spawned(op: Build, result: PowerResult) -> Build:
    op = guest.forget_password(op, result)
    if not result.are_ports_plugged:
        return op
    return msgspec.structs.replace(op, vifs=tuple(msgspec.structs.replace(vif, is_active=True) for vif in op.vifs))


def destroy(op: Build, context: StepContext) -> OnHost | Build:
    """Nothing happens before a host is claimed."""
    if op.host is None:
        return op
    # A dead host cleans up by itself when it is back: its server is not there any more.
    instance = context.instance(op.instance_id)
    has_volumes = bool(volumes.of(instance))
    return guest.destroy(
        instance, op.host, skip_if_down=True, generation=instance.generation, waits_if_silent=has_volumes
    )


def has_volumes(op: Build) -> bool:
    return op.has_volumes


def _columns(op: Build) -> dict[str, object]:
    columns: dict[str, object] = {
        "host": op.host,
        "node": op.node,
        "availability_zone": op.host_zone or op.zone,
        "vifs": op.vifs,
    }
    return columns if op.devices is None else {**columns, "block_devices": op.devices}


def _finish(connection: Connection, op: Build, instance: Instance) -> dict[str, object]:
    return {"launched_at": utcnow(), "power_state": PowerState(op.power_state)}


BUILD = Operation(
    "create",
    Build,
    steps=(
        Step(
            claim_host,
            placing.release_host,
            task_state="scheduling",
            commit=(placing.keep_group_rule,),
            again_on=placing.ELSEWHERE,
        ),
        Step(make_ports, remove_ports, task_state="networking"),
        Step(open_volumes, close_volumes, task_state="block_device_mapping", retries=60, applies=has_volumes),
        Step(spawn, destroy, task_state="spawning", answer=HostAnswer(PowerResult, _spawned), timeout_s=1800),
        Step(complete_volumes, task_state="spawning", retries=20, applies=has_volumes),
    ),
    from_states=frozenset({VmState.BUILDING}),
    succeeds_as=always(VmState.ACTIVE),
    fails_as=VmState.ERROR,
    server=_columns,
    finish=_finish,
    tells=lambda op: {"refused": op.refused},
    secrets=("password",),
)
