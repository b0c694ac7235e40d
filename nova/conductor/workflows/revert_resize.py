"""Revert a resize: the guest it was comes back, on its old host and in its old size.

Once the new guest is gone there is only the old one to go on with: from there on the server is what
it was before the resize, in ERROR if that could not be started.
"""

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest, moving, port_claims, volumes
from nova.conductor.workflows.abilities import DISK_CHECKS
from nova.conductor.workflows.guest import GuestDocument
from nova.conductor.workflows.resize_quota import growth
from nova.db import hosts, quotas, server_migrations
from nova.structs.guest import RebootKind
from nova.structs.instance import BlockDevice, Instance, PowerState, ResizedFrom, VmState
from nova.structs.network import Vif
from nova.structs.steps import CheckDisksArguments, GuestArguments, RebootArguments


class Revert(GuestDocument, frozen=True, kw_only=True, omit_defaults=True):
    """host, generation: where the resized server is, and of its disks there; 0: begun by an older release. vifs, devices: as
    bound and opened to the old host. checks: the old host can look at disks and change nothing."""

    before: ResizedFrom | None = None
    host: str = ""
    generation: int = 0
    vifs: tuple[Vif, ...] | None = None
    devices: tuple[BlockDevice, ...] | None = None
    checks: bool = False

    @property
    def old(self) -> ResizedFrom:
        """Known from acceptance on."""
        assert self.before is not None
        return self.before


def bring_back_elsewhere(op: Revert, context: StepContext) -> OnHost | Revert:
    """Before the new guest goes, the old one is known to be there, whole. It stays where it is until then.

    A host of an older release cannot tell: it brings the old guest back, without volumes, which the other host has
    still; on one host the two have no room side by side.
    """
    before = _as_before(op, context)
    if op.checks:
        # On one host what is in the guest's place is the new one's.
        arguments = CheckDisksArguments(instance=before, aside=True, own=op.old.host != op.host)
        return OnHost(op.old.host, "check_disks", arguments)
    if op.old.host == op.host:
        return op
    return OnHost(op.old.host, "bring_back", GuestArguments(instance=_without_volumes(before)))


def set_aside_again(op: Revert, context: StepContext) -> OnHost | Revert:
    """The undo of bring_back_elsewhere(), where that has changed anything."""
    if op.checks or op.old.host == op.host:
        return op
    return OnHost(op.old.host, "set_aside", GuestArguments(instance=_as_before(op, context)))


def destroy_new_guest(op: Revert, context: StepContext) -> OnHost:
    # A dead host destroys the guest when it is back and finds the server elsewhere.
    instance = context.instance(op.instance_id)
    # On shared storage the old guest's disks may lie in their place already.
    # The record names the old guest by then where this is done later.
    generation = (op.generation or instance.generation) if op.old.generation else None
    has_volumes = bool(volumes.of(instance))
    return guest.destroy(instance, op.host, skip_if_down=True, generation=generation, waits_if_silent=has_volumes)


def bind_ports(op: Revert, context: StepContext) -> Revert:
    """The ports are the old host's again."""
    instance = context.instance(op.instance_id)
    if not instance.vifs:
        return op
    # The server itself holds its old host by now.
    claims = port_claims.of_vifs(context, instance.project_id, instance.vifs)
    context.network.bind(op.instance_id, op.old.host, port_claims.said_if_held(context, op.instance_id, claims))
    return msgspec.structs.replace(op, vifs=context.network.view(op.instance_id, instance.vifs))


def bring_back(op: Revert, context: StepContext) -> OnHost:
    return OnHost(op.old.host, "bring_back", GuestArguments(instance=_as_before(op, context)))


def hand_source_back(op: Revert, context: StepContext) -> Revert:
    """The server holds its old host again, and the new one no more."""
    moving.hand_over(context, op.old.migration_id, op.instance_id, "INSTANCE")
    return op


def start_guest(op: Revert, context: StepContext) -> OnHost | Revert:
    """A server that was off before its resize is left off."""
    if not op.old.was_running:
        return msgspec.structs.replace(op, power_state=int(PowerState.SHUTDOWN))
    before = _as_before(op, context)
    if op.checks or op.old.host == op.host or not volumes.of(before):
        return guest.power_on(before, op.old.host)
    # A host of an older release has it defined without its volumes still.
    return OnHost(op.old.host, "reboot", RebootArguments(instance=before, kind=RebootKind.HARD))


def _as_before(op: Revert, context: StepContext) -> Instance:
    instance = context.instance(op.instance_id, with_user_data=True)
    vifs = instance.vifs if op.vifs is None else op.vifs
    devices = instance.block_devices if op.devices is None else op.devices
    return msgspec.structs.replace(
        instance,
        flavor=op.old.flavor,
        vifs=vifs,
        block_devices=devices,
        host=op.old.host,
        node=op.old.node,
        generation=op.old.generation,
    )


def _without_volumes(instance: Instance) -> Instance:
    """The guest's disks are its own; a definition without its volumes cannot open what is another's."""
    own = tuple(device for device in instance.block_devices if device.destination != "volume")
    return msgspec.structs.replace(instance, block_devices=own)


def _begin(acceptance: Acceptance, op: Revert) -> Revert:
    instance = acceptance.instance
    before = instance.properties.resized_from
    if before is None or instance.host is None:
        raise errors.Invalid("Instance has not been resized.")
    server_migrations.change(acceptance.connection, before.migration_id, status="reverting")
    checks = hosts.offers(acceptance.connection, before.host, DISK_CHECKS)
    return msgspec.structs.replace(op, before=before, host=instance.host, generation=instance.generation, checks=checks)


def _finish(connection: Connection, op: Revert, instance: Instance) -> dict[str, object]:
    server_migrations.change(connection, op.old.migration_id, status="reverted")
    return {**_back(connection, op, instance), "power_state": PowerState(op.power_state)}


def _fail(connection: Connection, op: Revert, instance: Instance) -> dict[str, object]:
    server_migrations.change(connection, op.old.migration_id, status="finished")
    return {}


def _abandon(connection: Connection, op: Revert, instance: Instance) -> dict[str, object]:
    """There is only the old guest to go on with."""
    server_migrations.change(connection, op.old.migration_id, status="error")
    return _back(connection, op, instance)


def _back(connection: Connection, op: Revert, instance: Instance) -> dict[str, object]:
    quotas.give_back(connection, instance.project_id, growth(op.old.flavor, instance.flavor))
    columns: dict[str, object] = {
        "host": op.old.host,
        "node": op.old.node,
        "availability_zone": op.old.zone,
        "flavor": op.old.flavor,
        "properties": msgspec.structs.replace(instance.properties, resized_from=None),
    }
    if op.old.generation:
        columns["generation"] = op.old.generation
    if op.vifs is not None:
        columns["vifs"] = op.vifs
    if op.devices is not None:
        columns["block_devices"] = op.devices
    return columns


def _end(op: Revert) -> VmState:
    return VmState.ACTIVE if op.old.was_running else VmState.STOPPED


_REVERTING = "resize_reverting"

REVERT_RESIZE = Operation(
    "revertResize",
    Revert,
    steps=(
        Step(bring_back_elsewhere, set_aside_again, task_state=_REVERTING),
        Step(destroy_new_guest, task_state=_REVERTING),
        Step(hand_source_back, task_state=_REVERTING, retries=20),
        Step(bind_ports, task_state=_REVERTING, retries=20, despite=(hand_source_back,)),
        Step(volumes.reconnect_source, task_state=_REVERTING, retries=20, despite=(hand_source_back, bind_ports)),
        # The guest is made with its ports and volumes as they are then.
        Step(bring_back, task_state=_REVERTING, despite=(hand_source_back,)),
        Step(start_guest, task_state=_REVERTING, answer=guest.POWER_STATE, despite=(hand_source_back,)),
    ),
    from_states=frozenset({VmState.RESIZED}),
    begin=_begin,
    succeeds_as=_end,
    # Once the new guest is gone there is only the old one to go on with.
    no_return_after=bring_back_elsewhere,
    finishes_later=True,
    # The source was handed back after these: doing them twice equals doing them once.
    indexed=(
        bring_back_elsewhere.__name__,
        destroy_new_guest.__name__,
        *(hand_source_back.__name__,) * 4,
        start_guest.__name__,
    ),
    finish=_finish,
    fail=_fail,
    abandon=_abandon,
)
