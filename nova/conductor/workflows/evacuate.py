"""Evacuate a server from a dead host: the same server anew on another one, with its ports and volumes.

Its disks are made of its image again, unless the hosts share them; where a shelve broke off, of the image that has
become of them. The dead host removes its own guest when it is back and finds the server elsewhere.
"""

import logging

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest, moving, placing, shelved_image, volumes
from nova.conductor.workflows.moving import Move
from nova.db import hosts, server_migrations
from nova.structs.instance import Instance, PowerState, VmState
from nova.structs.migration import EVACUATION

LOG = logging.getLogger(__name__)


class Evacuate(Move, frozen=True, kw_only=True, omit_defaults=True):
    """stays_off: the guest is stopped once it is there, whatever it was. image_id: of a shelve that broke off."""

    stays_off: bool = False
    image_id: str | None = None


def spawn(op: Evacuate, context: StepContext) -> OnHost:
    """Disks that the hosts share are used, others are made anew of the image."""
    instance = moving.at_destination(op, context.instance(op.instance_id, with_user_data=True))
    try:
        instance = shelved_image.made_of(instance, op.image_id, context)
    except errors.ImageNotFound:
        # Its user has deleted it. The disk may be whole where the hosts share it.
        LOG.warning("image %s that server %s was shelved to is gone", op.image_id, op.instance_id)
    return guest.spawn(instance, op.claimed_host)


def destroy(op: Evacuate, context: StepContext) -> OnHost | Evacuate:
    """The undo of spawn(): disks of another generation than this evacuation's stay."""
    if op.host is None:
        return op
    instance = moving.at_destination(op, context.instance(op.instance_id))
    # An older release's operation cannot tell whether the disks are the server's only ones.
    keep = not op.generation
    # Its disks may be on shared storage, where the next host would find them: a guest without any is no server.
    return guest.destroy(
        instance, op.host, skip_if_down=True, keep_disks=keep, generation=op.generation, waits_if_silent=True
    )


def stop_guest(op: Evacuate, context: StepContext) -> OnHost | Evacuate:
    """A server that was off, or is asked to stay off, does not run on its new host."""
    if not op.stays_off:
        return op
    instance = moving.at_destination(op, context.instance(op.instance_id))
    return guest.power_off(instance, op.claimed_host)


def _begin(acceptance: Acceptance, op: Evacuate) -> Evacuate:
    """Raises HostInUse while the server's host lives, Invalid for a destination that does not exist."""
    instance, connection = acceptance.instance, acceptance.connection
    services = hosts.services(connection, instance.host, "nova-compute") if instance.host else []
    if any(service.is_up and not service.is_forced_down for service in services):
        raise errors.HostInUse(host=instance.host)
    if op.only_host is not None:
        if op.only_host == instance.host:
            raise errors.Invalid(f"The target host can't be the same one: {op.only_host}")
        if not hosts.services(connection, op.only_host, "nova-compute"):
            raise errors.Invalid(f"Compute host {op.only_host} could not be found.")
    stays_off = op.stays_off or _was_off(instance)
    op = msgspec.structs.replace(op, stays_off=stays_off, image_id=shelved_image.of(instance))
    return moving.begin(acceptance, op, EVACUATION, "accepted")


def _was_off(instance: Instance) -> bool:
    """Whether the server was stopped; an evacuation that failed before has left it in ERROR."""
    has_failed = instance.vm_state is VmState.ERROR and instance.power_state is PowerState.SHUTDOWN
    return has_failed or instance.vm_state is VmState.STOPPED


def _finish(connection: Connection, op: Evacuate, instance: Instance) -> dict[str, object]:
    server_migrations.change(connection, op.migration_id, status="done")
    return {
        **moving.place(op),
        "power_state": PowerState(op.power_state),
        "launched_at": utcnow(),
        "system_metadata": shelved_image.forgotten(instance),
    }


def _abandon(connection: Connection, op: Evacuate, instance: Instance) -> dict[str, object]:
    return {**_finish(connection, op, instance), **_fail(connection, op, instance)}


def _fail(connection: Connection, op: Evacuate, instance: Instance) -> dict[str, object]:
    server_migrations.change(connection, op.migration_id, status="failed")
    return {}


def _end(op: Evacuate) -> VmState:
    return VmState.STOPPED if op.stays_off else VmState.ACTIVE


EVACUATE = Operation(
    "evacuate",
    Evacuate,
    steps=(
        Step(moving.hold_source, moving.give_source_back, task_state="rebuilding"),
        Step(
            moving.claim_destination,
            placing.release_host,
            task_state="rebuilding",
            commit=(placing.keep_group_rule,),
            again_on=placing.ELSEWHERE,
        ),
        Step(
            moving.bind_ports,
            moving.bind_ports_back,
            task_state="rebuild_block_device_mapping",
            commit=(moving.marks("pre-migrating"),),
        ),
        *volumes.moved_steps("rebuild_block_device_mapping"),
        Step(spawn, destroy, task_state="rebuild_spawning", answer=guest.POWER_STATE, timeout_s=1800),
        Step(stop_guest, task_state="rebuild_spawning", answer=guest.POWER_STATE),
        Step(
            volumes.disconnect_source,
            task_state="rebuild_spawning",
            retries=20,
            despite=(stop_guest,),
            can_wait=True,
        ),
        # What Placement keeps then is released by the reconciler of allocations.
        Step(
            moving.release_source,
            task_state="rebuild_spawning",
            retries=20,
            is_optional=True,
            despite=(stop_guest, volumes.disconnect_source),
            can_wait=True,
        ),
        Step(
            shelved_image.remove_image,
            task_state="rebuild_spawning",
            retries=20,
            applies=lambda op: op.image_id is not None,
            is_optional=True,
            despite=(stop_guest, volumes.disconnect_source, moving.release_source),
            can_wait=True,
        ),
    ),
    from_states=frozenset({VmState.ACTIVE, VmState.STOPPED, VmState.ERROR}),
    begin=_begin,
    succeeds_as=_end,
    # Clients wait for ACTIVE or ERROR, and its host is dead: as it was, it would seem to run.
    fails_as=VmState.ERROR,
    # The guest runs on its new host.
    no_return_after=spawn,
    finishes_later=True,
    ends_left=True,
    finish=_finish,
    fail=_fail,
    makes_way=_fail,
    abandon=_abandon,
    tells=moving.tells,
    bars_shares=True,
)
