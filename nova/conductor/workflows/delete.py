"""Delete a server: whatever is there goes, whatever is not there is done.

A guest on a host that is silent may run, and write to the server's volumes. The server is deleted for its user all the
same; its volumes stay attached to it until the host answers or is forced down, and are given back then.

No step can be undone, and none needs to be: each takes away one thing that belongs to the server,
and a delete that failed is asked for again. The record goes last, with the quota it counted for.
"""

import dataclasses
import logging
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.engine.operation import HostAnswer, OnHost, Operation, Step, always, from_the_start
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest, shares, volumes
from nova.conductor.workflows.resize_quota import server_quota
from nova.conductor.workflows.shelved_image import IMAGE
from nova.db import quotas, server_groups, server_migrations
from nova.structs.instance import Instance, PowerState, VmState
from nova.structs.migration import ENDED_WELL
from nova.structs.steps import GuestArguments

LOG = logging.getLogger(__name__)


class Delete(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """silent, other_silent: hosts that may have its guest, and with it its volumes, and do not answer. is_other_clean: the
    host that a move has left it on has said that it has nothing of it."""

    instance_id: str
    silent: str | None = None
    other_silent: str | None = None
    is_other_clean: bool = False


def destroy_guest(op: Delete, context: StepContext) -> OnHost | Delete:
    """A server without a host has no guest."""
    instance = context.instance(op.instance_id)
    if instance.host is None:
        return op
    if _may_hold_volumes(instance, instance.host, context):
        return msgspec.structs.replace(op, silent=instance.host)
    # A dead host destroys the guest when it is back and finds no record of it.
    return guest.destroy(instance, skip_if_down=True, waits_if_silent=bool(volumes.of(instance)))


def _may_hold_volumes(instance: Instance, host: str, context: StepContext) -> bool:
    return bool(volumes.of(instance)) and context.is_silent(host)


def forget_old_guest(op: Delete, context: StepContext) -> OnHost | Delete:
    """A resize that was not confirmed has left the old guest aside; so has a move that made way half undone."""
    instance = context.instance(op.instance_id)
    before = instance.properties.resized_from
    host = before.host if before is not None else _source_of_broken_move(instance, context)
    if host is None:
        return op
    return OnHost(host, "forget_aside", GuestArguments(instance=instance), skip_if_down=True)


def clean_other_host(op: Delete, context: StepContext) -> OnHost | Delete:
    """A move that was given up behind its point of no return has left a guest, or disks, on the host it came from."""
    instance = context.instance(op.instance_id)
    other = _other_host(instance, context)
    if other is None:
        return op
    if _may_hold_volumes(instance, other, context):
        return msgspec.structs.replace(op, other_silent=other)
    # A dead host finds what it has when it is back.
    return guest.destroy(instance, other, skip_if_down=True)


def _source_of_broken_move(instance: Instance, context: StepContext) -> str | None:
    migration = context.newest_migration(instance.uuid)
    return None if migration is None or migration.status in ENDED_WELL else migration.source_host


def _cleaned(op: Delete, _: object) -> Delete:
    return msgspec.structs.replace(op, is_other_clean=True)


def _other_host(instance: Instance, context: StepContext) -> str | None:
    """Where else a server's guest, or its disks, may be; None: nowhere, by the word of its newest migration."""
    migration = context.newest_migration(instance.uuid)
    if migration is None or (migration.status in ENDED_WELL and not context.had_left(instance.uuid)):
        return None
    hosts = (migration.source_host, migration.dest_host)
    return next((host for host in hosts if host and host != instance.host), None)


def remove_ports(op: Delete, context: StepContext) -> Delete:
    """Ports the user brought are unbound and stay."""
    instance = context.instance(op.instance_id)
    context.network.release(op.instance_id, keep=tuple(vif.port_id for vif in instance.vifs if vif.is_preexisting))
    return op


def remove_storage(op: Delete, context: StepContext) -> Delete:
    """Its volumes are free again, those that were to go with it are deleted, and its host has no more to do with its shares."""
    instance = context.instance(op.instance_id)
    other = _other_host(instance, context)
    if other is not None and op.other_silent is None and not op.is_other_clean and volumes.of(instance):
        # It fell silent when it was to be cleaned, or refused: what its guest may hold is given back behind that.
        return msgspec.structs.replace(op, other_silent=other)
    volumes.release_all(context, instance, and_delete=True, had_others=context.had_left(op.instance_id))
    shares.release_all(context, instance)
    return op


def release_allocations(op: Delete, context: StepContext) -> Delete:
    """What a resize, or a move that was given up, has left with its migration is the server's, too."""
    context.give_host_back(op.instance_id)
    before = context.instance(op.instance_id).properties.resized_from
    newest = context.newest_migration(op.instance_id)
    migrations = {before.migration_id} if before is not None else set()
    for migration_id in migrations | ({newest.uuid} if newest is not None else set()):
        context.placement.release(migration_id)
    return op


def remove_image(op: Delete, context: StepContext) -> Delete:
    """A shelved server's image is of use to nobody else."""
    image_id = context.instance(op.instance_id).system_metadata.get(IMAGE)
    if image_id is not None:
        try:
            context.images.delete(image_id)
        except (errors.Forbidden, errors.Conflict) as error:
            # Its owner has protected it, or uses it elsewhere.
            LOG.warning("image %s is not deleted with shelved server %s: %s", image_id, op.instance_id, error)
    return op


def destroy_silent_guest(op: Delete, context: StepContext) -> OnHost:
    """When its host answers; a host that is forced down has no guest."""
    return guest.destroy(context.instance(op.instance_id), op.silent, skip_if_down=True, waits_if_silent=True)


def clean_silent_host(op: Delete, context: StepContext) -> OnHost:
    return guest.destroy(context.instance(op.instance_id), op.other_silent, skip_if_down=True, waits_if_silent=True)


def remove_held_storage(op: Delete, context: StepContext) -> Delete:
    """No guest of the server has its volumes any more."""
    return remove_storage(op, context)


def _is_held(op: Delete) -> bool:
    return op.silent is not None or op.other_silent is not None


def _finish(connection: Connection, op: Delete, instance: Instance) -> dict[str, object]:
    if instance.is_deleted:
        # Asked for twice, once each way: it counts for nothing any more.
        return {}
    quotas.give_back(connection, instance.project_id, server_quota(instance))
    server_groups.remove_member(connection, instance.uuid)
    if instance.properties.resized_from is not None:
        server_migrations.change(connection, instance.properties.resized_from.migration_id, status="confirmed")
    now = utcnow()
    return {"deleted_at": now, "terminated_at": now, "power_state": PowerState.NOSTATE}


_WITHOUT_GUEST = (remove_ports, remove_storage, release_allocations)

DELETE = Operation(
    "delete",
    Delete,
    steps=(
        Step(destroy_guest, task_state="deleting"),
        Step(forget_old_guest, task_state="deleting"),
        # Optional: nothing of the server needs it, and that host finds it by itself later.
        Step(clean_other_host, task_state="deleting", is_optional=True, answer=HostAnswer(Any, _cleaned)),
        Step(remove_ports, task_state="deleting"),
        # A volume that is still being made cannot be deleted yet.
        Step(
            remove_storage,
            task_state="deleting",
            retries=20,
            despite=(remove_ports,),
            applies=lambda op: not _is_held(op),
        ),
        Step(release_allocations, task_state="deleting", despite=(remove_ports, remove_storage)),
        # Optional: an Image service that stays away keeps no server from going.
        Step(
            remove_image,
            task_state="deleting",
            is_optional=True,
            despite=_WITHOUT_GUEST,
        ),
        # The server is deleted for its user before these: nobody waits for a host that may never be back.
        Step(
            destroy_silent_guest,
            task_state="deleting",
            retries=0,
            applies=lambda op: op.silent is not None,
            despite=(*_WITHOUT_GUEST, remove_image),
            can_wait=True,
        ),
        Step(
            clean_silent_host,
            task_state="deleting",
            retries=0,
            applies=lambda op: op.other_silent is not None,
            despite=(*_WITHOUT_GUEST, remove_image, destroy_silent_guest),
            can_wait=True,
        ),
        Step(
            remove_held_storage,
            task_state="deleting",
            retries=20,
            applies=_is_held,
            despite=(*_WITHOUT_GUEST, remove_image),
            can_wait=True,
        ),
    ),
    from_states=frozenset(VmState) - {VmState.DELETED},
    succeeds_as=always(VmState.DELETED),
    no_return_after=from_the_start,
    # The host was added after these: doing one twice equals doing it once.
    indexed=(
        destroy_guest.__name__,
        forget_old_guest.__name__,
        remove_ports.__name__,
        remove_storage.__name__,
        release_allocations.__name__,
        *(remove_image.__name__,) * 5,
    ),
    finishes_later=True,
    finish=_finish,
    overtakes=True,
)

# What DELETE does at once where nothing is kept to be restored.
FORCE_DELETE = dataclasses.replace(DELETE, name="forceDelete")
