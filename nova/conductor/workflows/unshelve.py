"""Unshelve a server: start it where it lies, or make it anew of its image on a host of the scheduler's choice."""

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Recorded, Step, always
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import destination, guest, moving, placing, shelved_image, volumes
from nova.conductor.workflows.moving import Move
from nova.conductor.workflows.shelved_image import IMAGE
from nova.db import instances
from nova.structs.instance import Instance, PowerState, VmState


class Unshelve(Move, frozen=True, kw_only=True, omit_defaults=True):
    """new_zone: the availability zone the server is pinned to from now on. unpins: it is pinned to none."""

    new_zone: str | None = None
    unpins: bool = False
    image_id: str | None = None
    lies_here: bool = False


def claim_host(op: Unshelve, context: StepContext) -> Unshelve | Recorded[Unshelve]:
    """Nothing is claimed where the server lies on its host still."""
    if op.lies_here:
        return op
    return moving.claim_destination(op, context)


def release_host(op: Unshelve, context: StepContext) -> Unshelve:
    """What the server holds where it lies stays its own."""
    if op.lies_here:
        return op
    return placing.release_host(op, context)


def bind_ports(op: Unshelve, context: StepContext) -> Unshelve:
    return op if op.lies_here else moving.bind_ports(op, context)


def unbind_ports(op: Unshelve, context: StepContext) -> Unshelve:
    """The ports keep their addresses. A port of a server that lies on its host stays bound."""
    if not op.lies_here:
        context.network.unbind(op.instance_id)
    return msgspec.structs.replace(op, vifs=None)


def open_volumes(op: Unshelve, context: StepContext) -> Unshelve:
    """The host gets attachments of its own, beside those that keep the volumes for the server."""
    return op if op.lies_here else volumes.connect_destination(op, context)


def close_volumes(op: Unshelve, context: StepContext) -> Unshelve:
    """The destination's attachments go; those that keep the volumes for the server stay."""
    return op if op.lies_here else volumes.disconnect_destination(op, context)


def start_guest(op: Unshelve, context: StepContext) -> OnHost:
    """Started where it lies, or made of the shelved image on the host that was claimed."""
    instance = context.instance(op.instance_id, with_user_data=True)
    if op.lies_here:
        return guest.power_on(instance, op.source_host)
    there = shelved_image.made_of(moving.at_destination(op, instance), op.image_id, context)
    return guest.spawn(there, op.claimed_host)


def remove_guest(op: Unshelve, context: StepContext) -> OnHost | Unshelve:
    """A guest that lies on its host is left: it is the server's only one."""
    if op.lies_here or op.host is None:
        return op
    instance = moving.at_destination(op, context.instance(op.instance_id))
    has_volumes = bool(volumes.of(instance))
    return guest.destroy(instance, op.host, skip_if_down=True, generation=op.generation, waits_if_silent=has_volumes)


def complete_volumes(op: Unshelve, context: StepContext) -> Unshelve:
    """What has kept the volumes for the server is not needed any more."""
    there: Unshelve = volumes.disconnect_source(op, context)
    return there


def _begin(acceptance: Acceptance, op: Unshelve) -> Unshelve:
    """Raises WrongServerState for a host or zone named for a server that lies on a host already, Invalid for a zone
    that there is not."""
    instance = acceptance.instance
    lies_here = instance.vm_state is VmState.SHELVED
    if lies_here and (op.only_host or op.new_zone or op.unpins):
        raise errors.WrongServerState(
            action="unshelve", server_id=instance.uuid, attribute="vm_state", state=str(instance.vm_state)
        )
    destination.check_zone(acceptance.connection, acceptance.conf, op.new_zone)
    generation = 0 if lies_here else instances.next_generation(acceptance.connection, instance.uuid)
    pinned = None if op.unpins else op.new_zone or instance.properties.requested_zone
    return msgspec.structs.replace(
        op,
        lies_here=lies_here,
        was=instance.vm_state,
        generation=generation,
        image_id=instance.system_metadata.get(IMAGE),
        source_host=instance.host or "",
        zone=pinned,
        group=instance.properties.server_group,
        hints=instance.properties.scheduler_hints,
    )


def _finish(connection: Connection, op: Unshelve, instance: Instance) -> dict[str, object]:
    changes: dict[str, object] = {
        "system_metadata": shelved_image.forgotten(instance),
        "power_state": PowerState(op.power_state),
        "launched_at": utcnow(),
    }
    if op.new_zone or op.unpins:
        changes["properties"] = msgspec.structs.replace(instance.properties, requested_zone=op.new_zone)
    if not op.lies_here:
        changes |= moving.place(op)
    return changes


def _make_way(connection: Connection, op: Unshelve, instance: Instance) -> dict[str, object]:
    """Its host may have the guest; the image is still named, and goes with the server."""
    return {} if op.lies_here or op.host is None else {"host": op.host, "node": op.node}


UNSHELVE = Operation(
    "unshelve",
    Unshelve,
    steps=(
        Step(
            claim_host,
            release_host,
            task_state="unshelving",
            commit=(placing.keep_group_rule,),
            again_on=placing.ELSEWHERE,
        ),
        Step(bind_ports, unbind_ports, task_state="unshelving"),
        Step(open_volumes, close_volumes, task_state="unshelving", retries=60),
        Step(start_guest, remove_guest, task_state="spawning", answer=guest.POWER_STATE, timeout_s=1800),
        Step(complete_volumes, task_state="unshelving", retries=20, can_wait=True),
        Step(
            shelved_image.remove_image,
            task_state="unshelving",
            retries=20,
            is_optional=True,
            despite=(complete_volumes,),
            can_wait=True,
        ),
    ),
    from_states=frozenset({VmState.SHELVED, VmState.SHELVED_OFFLOADED}),
    begin=_begin,
    succeeds_as=always(VmState.ACTIVE),
    # The guest runs, and what its user writes is on its disks alone.
    no_return_after=start_guest,
    finishes_later=True,
    finish=_finish,
    abandon=_finish,
    makes_way=_make_way,
    tells=lambda op: {**moving.tells(op), "lies_here": op.lies_here},
)
