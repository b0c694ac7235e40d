"""Migrate a running server to another host without stopping it.

Until its guest runs on the destination everything can be undone; from then on the server is there,
and what is left to do is to take its traces off the source.
"""

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step, unchanged
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest, moving, placing, port_claims, volumes
from nova.conductor.workflows.moving import Move
from nova.db import server_migrations
from nova.structs.instance import Instance, VmState
from nova.structs.migration import LIVE
from nova.structs.steps import MigrateArguments, ReceiveArguments

ABORTING = "aborting"
# Until the deadline: where the guest is must be known before anything is undone.
_UNTIL_IT_IS_KNOWN = 1_000_000


class LiveMigrate(Move, frozen=True, kw_only=True, omit_defaults=True):
    """is_block: whether disks are copied; None: where the hosts share none. source_generation: of the disks that are
    left behind. losses: how often the host fell silent that was to tell where the guest is. stays: the source has
    said that the guest is there, and goes on there."""

    is_block: bool | None = None
    losses: int = 0
    stays: bool = False
    source_generation: int | None = None


def expect_ports(op: LiveMigrate, context: StepContext) -> LiveMigrate:
    """The network is ready for the guest at both ends, where the Networking service can do that. Raises HostRefused."""
    instance = context.instance(op.instance_id)
    if not instance.vifs:
        return op
    said = port_claims.said(context, op.instance_id, op.claims)
    vifs = context.network.expect(op.instance_id, op.claimed_host, instance.vifs, said)
    return op if vifs is None else msgspec.structs.replace(op, vifs=vifs)


def expect_no_ports(op: LiveMigrate, context: StepContext) -> LiveMigrate:
    """A step that timed out may have left bindings: the client looks for them."""
    if op.host is not None:
        context.network.expect_no_more(op.instance_id, op.host)
    return msgspec.structs.replace(op, vifs=None)


def prepare_destination(op: LiveMigrate, context: StepContext) -> OnHost:
    """The host answers with facts, which the source needs for the migration."""
    instance = moving.at_destination(op, context.instance(op.instance_id, with_user_data=True))
    return OnHost(op.claimed_host, "prepare_destination", ReceiveArguments(instance=instance))


def abort_destination(op: LiveMigrate, context: StepContext) -> OnHost | LiveMigrate:
    """Raises PointPassed, through the host, where the guest has arrived after all: the operation goes forward then."""
    if op.host is None:
        return op
    instance = moving.at_destination(op, context.instance(op.instance_id))
    arguments = ReceiveArguments(instance=instance, stays_away=op.stays)
    # Where the source has not said that the guest stays, it may have come.
    is_unknown = bool(op.losses) and not op.stays
    return OnHost(op.host, "abort_destination", arguments, skip_if_down=True, waits_if_silent=is_unknown)


def check_disks(op: LiveMigrate, context: StepContext) -> LiveMigrate:
    """Whether what the hosts share is what the user expects. Raises GuestFailed."""
    is_shared = bool(op.facts.get("is_shared"))
    if op.is_block is True and is_shared:
        raise errors.StepFailed(reason="Block migration can not be used with shared storage.")
    if op.is_block is False and not is_shared and context.instance(op.instance_id).image_id is not None:
        raise errors.StepFailed(reason="Live migration can not be used without shared storage.")
    return op


def migrate_guest(op: LiveMigrate, context: StepContext) -> OnHost:
    """The source moves the guest. Where it has died meanwhile the destination knows whether the guest came."""
    instance = moving.at_destination(op, context.instance(op.instance_id, with_user_data=True))
    if op.losses and not context.is_up(op.source_host):
        if not context.is_up(op.claimed_host):
            raise errors.Unavailable("Neither host of the migration tells where the server is.")
        return OnHost(op.claimed_host, "check_arrival", ReceiveArguments(instance=instance))
    return OnHost(op.source_host, "migrate", MigrateArguments(instance=instance, to=op.claimed_host, facts=op.facts))


def _learn_where_it_is(op: LiveMigrate, error: errors.DomainError) -> LiveMigrate:
    if isinstance(error, errors.HostUnreachable | errors.StepTimedOut):
        return msgspec.structs.replace(op, losses=op.losses + 1)
    if isinstance(error, errors.GuestStays) or error.details.get("stays"):
        return msgspec.structs.replace(op, stays=True)
    return op


def bind_ports(op: LiveMigrate, context: StepContext) -> LiveMigrate:
    """The guest is there: its ports follow."""
    return moving.bind_where_it_is(op, context)


def confirm_arrival(op: LiveMigrate, context: StepContext) -> OnHost:
    """The last look before the source's guest and disks go."""
    instance = context.instance(op.instance_id)
    return OnHost(op.claimed_host, "check_arrival", ReceiveArguments(instance=instance))


def clean_source(op: LiveMigrate, context: StepContext) -> OnHost:
    """Disks that both hosts share are the destination's now, and stay."""
    instance = context.instance(op.instance_id)
    is_shared = bool(op.facts.get("is_shared"))
    # A dead host removes what is left when it is back and finds the server elsewhere.
    return guest.destroy(
        instance, op.source_host, skip_if_down=True, keep_disks=is_shared, generation=op.source_generation
    )


def _begin(acceptance: Acceptance, op: LiveMigrate) -> LiveMigrate:
    if op.only_host is not None and op.only_host == acceptance.instance.host:
        raise errors.Invalid(f"The target host can't be the same one: {op.only_host}")
    op = msgspec.structs.replace(op, source_generation=acceptance.instance.generation)
    return moving.begin(acceptance, op, LIVE, "queued")


def _finish(connection: Connection, op: LiveMigrate, instance: Instance) -> dict[str, object]:
    server_migrations.change(connection, op.migration_id, status="completed")
    return {}


def _fail(connection: Connection, op: LiveMigrate, instance: Instance) -> dict[str, object]:
    is_aborted = server_migrations.status_of(connection, op.migration_id) == ABORTING
    server_migrations.change(connection, op.migration_id, status="cancelled" if is_aborted else "error")
    return {}


_MIGRATING = "migrating"
_PORTS = (bind_ports,)

LIVE_MIGRATE = Operation(
    "live-migration",
    LiveMigrate,
    steps=(
        Step(moving.hold_source, moving.give_source_back, task_state=_MIGRATING),
        Step(
            moving.claim_destination,
            placing.release_host,
            task_state=_MIGRATING,
            commit=(placing.keep_group_rule, moving.marks("preparing")),
            again_on=(errors.HostRefused,),
        ),
        *volumes.moved_steps(_MIGRATING),
        Step(expect_ports, expect_no_ports, task_state=_MIGRATING),
        Step(prepare_destination, abort_destination, task_state=_MIGRATING, answer=moving.FACTS),
        Step(check_disks, task_state=_MIGRATING, commit=(moving.marks("running"),)),
        # The destination is undone by the step above; the source's guest goes on by itself.
        Step(
            migrate_guest,
            learns=_learn_where_it_is,
            task_state=_MIGRATING,
            commit=(moving.write_place,),
            again_on=(errors.HostUnreachable,),
            timeout_s=24 * 3600.0,
            retries=_UNTIL_IT_IS_KNOWN,
        ),
        Step(bind_ports, task_state=_MIGRATING, commit=(moving.write_ports,), retries=20, can_wait=True),
        Step(confirm_arrival, task_state=_MIGRATING, retries=20, despite=_PORTS, can_wait=True),
        Step(clean_source, task_state=_MIGRATING, retries=20, despite=_PORTS, can_wait=True),
        Step(volumes.disconnect_source, task_state=_MIGRATING, retries=20, despite=_PORTS, can_wait=True),
        # What Placement keeps then is released by the reconciler of allocations.
        Step(
            moving.release_source,
            task_state=_MIGRATING,
            retries=20,
            is_optional=True,
            despite=(*_PORTS, volumes.disconnect_source),
            can_wait=True,
        ),
    ),
    asked_as="os-migrateLive",
    from_states=frozenset({VmState.ACTIVE, VmState.PAUSED}),
    begin=_begin,
    succeeds_as=unchanged,
    # The guest runs on the destination, and the record says so in the same transaction.
    no_return_after=migrate_guest,
    passes_when_done=True,
    # What is left over on the source does the running guest no harm.
    abandons_as=None,
    finishes_later=True,
    finish=_finish,
    fail=_fail,
    makes_way=_fail,
    abandon=_fail,
    tells=moving.tells,
    deadline_s=25 * 3600.0,
    bars_shares=True,
)
