"""Build a server: from an accepted request to a running guest.

A host that refuses, or falls silent, is left again: the operation unwinds to the claim and takes
another host, up to [scheduler] max_attempts.
"""

from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.engine.operation import Noted, OnHost, Operation, Step, always
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import volumes
from nova.db import events, server_groups
from nova.structs.flavor import Flavor
from nova.structs.instance import BlockDevice, Instance, PowerState, VmState
from nova.structs.network import NetworkRequest, Vif
from nova.structs.schedule import Decision, PlacementRequest
from nova.structs.steps import DestroyArguments, PowerResult, SpawnArguments


class Build(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """refused: hosts that could not, in order. ports: ids chosen before anything is made. password: the administrator's."""

    instance_id: str
    networks: tuple[NetworkRequest, ...] | None = None
    ports: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    zone: str | None = None
    only_host: str | None = None
    only_node: str | None = None
    group: str | None = None
    hints: dict[str, object] = {}
    personality: dict[str, str] = {}
    password: str | None = None
    refused: tuple[str, ...] = ()
    host: str | None = None
    node: str | None = None
    host_zone: str | None = None
    vifs: tuple[Vif, ...] = ()
    has_volumes: bool = True
    devices: tuple[BlockDevice, ...] | None = None
    power_state: int = 0


def claim_host(op: Build, context: StepContext) -> Noted:
    """Allocate on the best host that has not refused. Raises NoValidHost."""
    if len(op.refused) >= context.conf.scheduler.max_attempts:
        raise errors.NoValidHost(reason=f"{len(op.refused)} hosts were tried and could not build the server.")
    instance = context.instance(op.instance_id)
    decision = context.scheduler.select(placement_request(context, instance, op))
    return placed(op, context, "create", decision)


def placed(op: Any, context: StepContext, operation: str, decision: Decision) -> Noted:
    """The document with the chosen host, and the decision to be kept with it. Raises NoValidHost."""
    if decision.host is None:
        context.record_decision(op.instance_id, operation, decision)
        raise errors.NoValidHost(reason=decision.reason or "")
    document = msgspec.structs.replace(op, host=decision.host, node=decision.node, host_zone=decision.zone)
    return Noted(document, lambda c: events.add_decision(c, op.instance_id, operation, decision))


def keep_group_rule(connection: Connection, op: Build) -> None:
    if op.group and op.host:
        server_groups.check_host(connection, op.group, op.instance_id, op.host)


def release_host(op: Build, context: StepContext) -> Build:
    context.placement.release(op.instance_id)
    refused = (*op.refused, op.host) if op.host else op.refused
    return msgspec.structs.replace(op, host=None, node=None, host_zone=None, refused=refused)


def make_ports(op: Build, context: StepContext) -> Build:
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
    )
    return msgspec.structs.replace(op, vifs=tuple(vifs))


def remove_ports(op: Build, context: StepContext) -> Build:
    # An allocate that timed out may have made ports we never heard of: the client asks by device.
    context.network.release(op.instance_id, keep=tuple(r.port_id for r in op.networks or () if r.port_id))
    return msgspec.structs.replace(op, vifs=())


def open_volumes(op: Build, context: StepContext) -> Build:
    """Reserve the server's volumes and open them to its host. Raises VolumeNotReady while one is being made."""
    instance = context.instance(op.instance_id)
    return msgspec.structs.replace(op, devices=volumes.connected(context, instance, str(op.host)))


def close_volumes(op: Build, context: StepContext) -> Build:
    instance = context.instance(op.instance_id)
    volumes.release_all(context, instance)
    return op if op.devices is None else msgspec.structs.replace(op, devices=volumes.unattached(instance))


def complete_volumes(op: Build, context: StepContext) -> Build:
    for device in op.devices or ():
        if device.attachment_id:
            context.volumes.complete(device.attachment_id)
    return op


def spawn(op: Build, context: StepContext) -> OnHost:
    instance = context.instance(op.instance_id, with_user_data=True)
    return OnHost(op.host, "spawn", SpawnArguments(instance=instance, personality=op.personality, password=op.password))


def keep_power_state(op: Build, result: PowerResult) -> Build:
    return msgspec.structs.replace(op, power_state=result.power_state, password=None)


def destroy(op: Build, context: StepContext) -> OnHost | Build:
    if op.host is None:
        return op
    # A dead host cleans up by itself when it is back: its server is not there any more.
    return OnHost(op.host, "destroy", DestroyArguments(instance=context.instance(op.instance_id)), skip_if_down=True)


def has_volumes(op: Build) -> bool:
    return op.has_volumes


def placement_request(context: StepContext, instance: Instance, op: Build) -> PlacementRequest:
    """What the scheduler is to place."""
    flavor: Flavor = instance.flavor
    return PlacementRequest(
        instance_id=instance.uuid,
        project_id=instance.project_id,
        user_id=instance.user_id,
        flavor=flavor,
        image=instance.image,
        resources=flavor.resources(boots_from_volume=instance.image_id is None),
        required_traits=tuple(sorted(flavor.required_traits() | _image_traits(instance))),
        forbidden_traits=tuple(sorted(flavor.forbidden_traits())),
        zone=op.zone,
        exclude=op.refused,
        only_host=op.only_host,
        only_node=op.only_node,
        group=context.group_view(op.group, without=instance.uuid) if op.group else None,
        hints=op.hints,
        same_hosts=context.hosts_of(_servers(op.hints, "same_host")),
        different_hosts=context.hosts_of(_servers(op.hints, "different_host")),
    )


def _servers(hints: dict[str, object], name: str) -> tuple[str, ...]:
    value = hints.get(name, ())
    return (value,) if isinstance(value, str) else tuple(str(one) for one in value)  # type: ignore[attr-defined]


def _image_traits(instance: Instance) -> frozenset[str]:
    properties = instance.image.properties if instance.image else {}
    return frozenset(
        k.removeprefix("trait:") for k, v in properties.items() if k.startswith("trait:") and v == "required"
    )


def _columns(op: Build) -> dict[str, object]:
    columns = {"host": op.host, "node": op.node, "availability_zone": op.host_zone or op.zone, "vifs": op.vifs}
    return columns if op.devices is None else {**columns, "block_devices": op.devices}


def _finish(connection: Connection, op: Build, instance: Instance) -> dict[str, object]:
    return {"launched_at": utcnow(), "power_state": PowerState(op.power_state)}


_ELSEWHERE = (errors.HostRefused, errors.HostUnreachable, errors.StepTimedOut, errors.GuestFailed)

BUILD = Operation(
    "create",
    Build,
    steps=(
        Step(claim_host, release_host, task_state="scheduling", commit=keep_group_rule, again_on=_ELSEWHERE),
        Step(make_ports, remove_ports, task_state="networking"),
        Step(open_volumes, close_volumes, task_state="block_device_mapping", retries=60, applies=has_volumes),
        Step(spawn, destroy, task_state="spawning", result=PowerResult, absorb=keep_power_state, timeout_s=1800),
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
