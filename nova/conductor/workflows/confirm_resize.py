"""Confirm a resize: what the server was before is removed, and its resources are free."""

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step, from_the_start
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows.resize_quota import growth
from nova.db import quotas, server_migrations
from nova.structs.instance import Instance, ResizedFrom, VmState
from nova.structs.steps import GuestArguments


class Confirm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """before: what the server was, known from acceptance on."""

    instance_id: str
    before: ResizedFrom | None = None

    @property
    def old(self) -> ResizedFrom:
        """Known from acceptance on."""
        assert self.before is not None
        return self.before


def forget_old_guest(op: Confirm, context: StepContext) -> OnHost:
    """Behind it nothing is left to go back to; fine when nothing is aside any more."""
    return OnHost(op.old.host, "forget_aside", GuestArguments(instance=context.instance(op.instance_id)))


def release_source(op: Confirm, context: StepContext) -> Confirm:
    """The migration holds what the server was; the server goes on holding what it is."""
    context.placement.release(op.old.migration_id)
    return op


def _begin(acceptance: Acceptance, op: Confirm) -> Confirm:
    before = acceptance.instance.properties.resized_from
    if before is None:
        raise errors.Invalid("Instance has not been resized.")
    server_migrations.change(acceptance.connection, before.migration_id, status="confirming")
    return msgspec.structs.replace(op, before=before)


def _finish(connection: Connection, op: Confirm, instance: Instance) -> dict[str, object]:
    server_migrations.change(connection, op.old.migration_id, status="confirmed")
    quotas.give_back(connection, instance.project_id, growth(instance.flavor, op.old.flavor))
    return {"properties": msgspec.structs.replace(instance.properties, resized_from=None)}


def _fail(connection: Connection, op: Confirm, instance: Instance) -> dict[str, object]:
    server_migrations.change(connection, op.old.migration_id, status="finished")
    return {}


def _end(op: Confirm) -> VmState:
    return VmState.ACTIVE if op.old.was_running else VmState.STOPPED


CONFIRM_RESIZE = Operation(
    "confirmResize",
    Confirm,
    steps=(
        Step(forget_old_guest, can_wait=True),
        # What Placement keeps then is released by the reconciler of allocations.
        Step(release_source, retries=20, is_optional=True, can_wait=True),
    ),
    from_states=frozenset({VmState.RESIZED}),
    begin=_begin,
    succeeds_as=_end,
    # The old guest may be half removed: the server must not be reverted to it.
    no_return_after=from_the_start,
    finishes_later=True,
    finish=_finish,
    fail=_fail,
)
