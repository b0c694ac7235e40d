"""Confirm a resize: what the server was before is removed, and its resources are free.

What the server was may be the only whole copy of its disks. So its host is asked first whether the new ones are there,
and a confirmation is refused while nobody can tell.
"""

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest
from nova.conductor.workflows.abilities import DISK_CHECKS
from nova.conductor.workflows.resize_quota import growth
from nova.db import hosts, instances, quotas, server_migrations
from nova.structs.instance import Instance, ResizedFrom, VmState
from nova.structs.steps import CheckDisksArguments, GuestArguments


class Confirm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """before: what the server was, known from acceptance on. checks: its host can look at disks and change nothing."""

    instance_id: str
    before: ResizedFrom | None = None
    checks: bool = False

    @property
    def old(self) -> ResizedFrom:
        """Known from acceptance on."""
        assert self.before is not None
        return self.before


def check_new_guest(op: Confirm, context: StepContext) -> OnHost | Confirm:
    """Whether the host that the server is on has its disks. Raises GuestFailed, GuestNotFound, Unavailable."""
    instance = context.instance(op.instance_id)
    host = guest.host_of(instance)
    if op.checks:
        return OnHost(host, "check_disks", CheckDisksArguments(instance=instance))
    # A host of an older release can say no more than whether it has the guest.
    assert context.compute is not None
    context.compute(host).power_state(op.instance_id)
    return op


def forget_old_guest(op: Confirm, context: StepContext) -> OnHost:
    """Behind it nothing is left to go back to; fine when nothing is aside any more."""
    return OnHost(op.old.host, "forget_aside", GuestArguments(instance=context.instance(op.instance_id)))


def release_source(op: Confirm, context: StepContext) -> Confirm:
    """The migration holds what the server was; the server goes on holding what it is."""
    context.placement.release(op.old.migration_id)
    return op


def _begin(acceptance: Acceptance, op: Confirm) -> Confirm:
    instance, connection = acceptance.instance, acceptance.connection
    before = instance.properties.resized_from
    if before is None:
        raise errors.Invalid("Instance has not been resized.")
    services = hosts.services(connection, guest.host_of(instance), "nova-compute")
    if not any(service.is_up and not service.is_forced_down for service in services):
        raise errors.Conflict("The server's host does not answer: what the server was before its resize is kept.")
    server_migrations.change(connection, before.migration_id, status="confirming")
    checks = hosts.offers(connection, guest.host_of(instance), DISK_CHECKS)
    return msgspec.structs.replace(op, before=before, checks=checks)


def _finish(connection: Connection, op: Confirm, instance: Instance) -> dict[str, object]:
    server_migrations.change(connection, op.old.migration_id, status="confirmed")
    quotas.give_back(connection, instance.project_id, growth(instance.flavor, op.old.flavor))
    return {"properties": msgspec.structs.replace(instance.properties, resized_from=None)}


def _fail(connection: Connection, op: Confirm, instance: Instance) -> dict[str, object]:
    server_migrations.change(connection, op.old.migration_id, status="finished")
    # Where nobody confirms, the end of a window is not tried again before another one has passed.
    instances.set_state_since(connection, instance.uuid, VmState.RESIZED, utcnow())
    return {}


def _end(op: Confirm) -> VmState:
    return VmState.ACTIVE if op.old.was_running else VmState.STOPPED


CONFIRM_RESIZE = Operation(
    "confirmResize",
    Confirm,
    steps=(
        Step(check_new_guest),
        Step(forget_old_guest, can_wait=True),
        # What Placement keeps then is released by the reconciler of allocations.
        Step(release_source, retries=20, is_optional=True, can_wait=True),
    ),
    from_states=frozenset({VmState.RESIZED}),
    begin=_begin,
    succeeds_as=_end,
    # From there on the old guest may be half removed: the server must not be reverted to it.
    no_return_after=check_new_guest,
    finishes_later=True,
    # The new guest was not asked for before.
    indexed=(forget_old_guest.__name__, *(release_source.__name__,) * 2),
    finish=_finish,
    fail=_fail,
)
