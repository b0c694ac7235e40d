"""Resize a server, or migrate it while it is off: a new guest of its disks, the old one kept aside.

The server ends RESIZED and runs as what it became; confirm or revert decide. A host that refuses is
left again for another one, as in a build: the guest stays aside meanwhile.
"""

import dataclasses

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.acceptance import image_fit, limits
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Recorded, Step, always
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest, moving, placing, volumes
from nova.conductor.workflows.moving import Move
from nova.conductor.workflows.resize_quota import growth
from nova.db import flavors, quotas, server_migrations
from nova.structs.image import Image
from nova.structs.instance import Instance, PowerState, ResizedFrom, VmState
from nova.structs.migration import COLD, RESIZE
from nova.structs.steps import GuestArguments, TakeOverArguments


class Resize(Move, frozen=True, kw_only=True, omit_defaults=True):
    """flavor_id: as the user named it; the flavor itself is looked up at acceptance."""

    flavor_id: str | None = None
    disk_config: str | None = None


def stop_guest(op: Resize, context: StepContext) -> OnHost:
    """On the source, as what the server still is."""
    return guest.power_off(context.instance(op.instance_id), op.source_host)


def start_again(op: Resize, context: StepContext) -> OnHost:
    """The undo of stop_guest(): a guest that was off stays off."""
    instance = context.instance(op.instance_id, with_user_data=True)
    target = PowerState.RUNNING if op.was is VmState.ACTIVE else PowerState.SHUTDOWN
    return guest.bring_to(instance, target, op.source_host)


def set_aside(op: Resize, context: StepContext) -> OnHost:
    """The host answers with facts, which the destination needs to take the disks over."""
    return OnHost(op.source_host, "set_aside", GuestArguments(instance=context.instance(op.instance_id)))


def bring_back(op: Resize, context: StepContext) -> OnHost:
    """The undo of set_aside(): the old guest is defined again, and off."""
    return OnHost(op.source_host, "bring_back", GuestArguments(instance=context.instance(op.instance_id)))


def keep_destination(op: Resize, context: StepContext) -> Resize | Recorded[Resize]:
    """Claim another host where the first has refused."""
    return moving.claim_destination(op, context)


def take_over(op: Resize, context: StepContext) -> OnHost:
    """The destination, which may be the source, copies the disks that are aside and grows them to the new flavor."""
    instance = moving.at_destination(op, context.instance(op.instance_id, with_user_data=True))
    return OnHost(op.claimed_host, "take_over", TakeOverArguments(instance=instance, facts=op.facts))


def remove_new_guest(op: Resize, context: StepContext) -> OnHost | Resize:
    """The undo of take_over(): disks of another generation than this resize's stay."""
    if op.host is None:
        return op
    instance = moving.at_destination(op, context.instance(op.instance_id))
    has_volumes = bool(volumes.of(instance))
    return guest.destroy(instance, op.host, skip_if_down=True, generation=op.generation, waits_if_silent=has_volumes)


def start_guest(op: Resize, context: StepContext) -> OnHost | Resize:
    """A server that was off stays off in its new size."""
    if op.was is not VmState.ACTIVE:
        return msgspec.structs.replace(op, power_state=int(PowerState.SHUTDOWN))
    instance = moving.at_destination(op, context.instance(op.instance_id, with_user_data=True))
    return guest.power_on(instance, op.claimed_host)


def _begin_resize(acceptance: Acceptance, op: Resize) -> Resize:
    """Raises Invalid for a flavor that cannot be used, QuotaExceeded for one that is too large."""
    instance, connection = acceptance.instance, acceptance.connection
    project = None if acceptance.context.is_admin else acceptance.context.project_id
    try:
        flavor = flavors.get(connection, str(op.flavor_id), project)
    except errors.FlavorNotFound as error:
        raise error.turned_into(errors.Invalid) from error
    if flavor.is_disabled:
        raise errors.Invalid(f"Flavor {flavor.id} could not be found.")
    if flavor.id == instance.flavor.id:
        raise errors.Invalid("When resizing, instances must change flavor!")
    is_volume_backed = instance.image_id is None
    if not is_volume_backed and instance.flavor.root_gb and not flavor.root_gb:
        raise errors.Invalid("Resize to zero disk flavor is not allowed.")
    if not is_volume_backed and flavor.root_gb < instance.flavor.root_gb:
        raise errors.Invalid("A server's disks cannot shrink.")
    if flavor.ephemeral_gb < instance.flavor.ephemeral_gb:
        raise errors.Invalid("A server's ephemeral disk cannot shrink, or go.")
    image_fit.check(None if is_volume_backed else _as_bootable(instance), flavor)
    limit = limits.in_force(connection, acceptance.conf, instance.project_id)
    quotas.take(connection, instance.project_id, growth(instance.flavor, flavor), limit)
    may_stay = acceptance.conf.allow_resize_to_same_host
    op = msgspec.structs.replace(op, flavor=flavor, may_stay=may_stay)
    return moving.begin(acceptance, op, RESIZE, "pre-migrating")


def _as_bootable(instance: Instance) -> Image | None:
    """The server's image, of which only the sizes count now: it need not be there any more."""
    return msgspec.structs.replace(instance.image, status="active") if instance.image else None


def _begin_migrate(acceptance: Acceptance, op: Resize) -> Resize:
    if op.only_host is not None and op.only_host == acceptance.instance.host:
        raise errors.Invalid(f"The target host can't be the same one: {op.only_host}")
    return moving.begin(acceptance, op, COLD, "pre-migrating")


def _finish(connection: Connection, op: Resize, instance: Instance) -> dict[str, object]:
    server_migrations.change(connection, op.migration_id, status="finished")
    before = ResizedFrom(
        migration_id=op.migration_id,
        flavor=instance.flavor,
        host=op.source_host,
        node=op.source_node,
        zone=op.source_zone,
        was_running=op.was is VmState.ACTIVE,
        resized_at=utcnow(),
        generation=instance.generation,
    )
    changes: dict[str, object] = {"resized_from": before}
    if op.disk_config is not None:
        changes["disk_config"] = op.disk_config
    return {
        **moving.place(op),
        "flavor": op.flavor or instance.flavor,
        "power_state": PowerState(op.power_state),
        "launched_at": utcnow(),
        "properties": msgspec.structs.replace(instance.properties, **changes),
    }


def _fail(connection: Connection, op: Resize, instance: Instance) -> dict[str, object]:
    server_migrations.change(connection, op.migration_id, status="error")
    if op.flavor is not None:
        quotas.give_back(connection, instance.project_id, growth(instance.flavor, op.flavor))
    return {}


_STEPS: tuple[Step[Resize], ...] = (
    Step(moving.hold_source, moving.give_source_back, task_state="resize_prep"),
    Step(
        moving.claim_destination,
        placing.release_host,
        task_state="resize_prep",
        commit=(placing.keep_group_rule,),
    ),
    Step(stop_guest, start_again, task_state="resize_migrating", commit=(moving.marks("migrating"),)),
    Step(set_aside, bring_back, task_state="resize_migrating", answer=moving.FACTS, timeout_s=6 * 3600),
    Step(
        keep_destination,
        placing.release_host,
        task_state="resize_migrated",
        commit=(placing.keep_group_rule,),
        again_on=placing.ELSEWHERE,
    ),
    Step(
        moving.bind_ports,
        moving.bind_ports_back,
        task_state="resize_migrated",
        commit=(moving.marks("post-migrating"),),
    ),
    *volumes.moved_steps("resize_migrated"),
    Step(take_over, remove_new_guest, task_state="resize_finish", timeout_s=6 * 3600),
    # Undone with the step above, which removes the guest.
    Step(start_guest, task_state="resize_finish", answer=guest.POWER_STATE),
    Step(volumes.disconnect_source, task_state="resize_finish", retries=20, can_wait=True),
)
_FROM = frozenset({VmState.ACTIVE, VmState.STOPPED})

RESIZE_SERVER = Operation(
    "resize",
    Resize,
    steps=_STEPS,
    from_states=_FROM,
    begin=_begin_resize,
    succeeds_as=always(VmState.RESIZED),
    # The new guest runs, and what its user writes is on its disks alone.
    no_return_after=start_guest,
    abandons_as=VmState.RESIZED,
    finishes_later=True,
    finish=_finish,
    fail=_fail,
    makes_way=_fail,
    abandon=_finish,
    tells=moving.tells,
    deadline_s=24 * 3600.0,
    bars_shares=True,
)

MIGRATE = dataclasses.replace(RESIZE_SERVER, name="migrate", begin=_begin_migrate)
