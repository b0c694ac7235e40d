"""Attach a share to a stopped server, and detach one.

A share is reached in two steps of which each has its own owner: the Shared File Systems service lets
the server's host in, and the guest's definition has the share from its next start on. Access is granted
to a host, once for all its servers that have the share; a lock keeps the share from being deleted, one
for each server. A share that is neither attached nor gone stays in the record, in error, until its user
detaches it.
"""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clients.share import ShareAccessFailed, ShareAccessNotReady
from nova.clock import utcnow
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step, on_its_host, unchanged
from nova.conductor.engine.step_context import StepContext
from nova.db import hosts, instances
from nova.structs.instance import Instance, VmState
from nova.structs.share import Share, ShareStatus
from nova.structs.steps import GuestArguments


class ShareInUse(errors.Conflict):
    text = "Share {share_id} or tag '{tag}' is already attached to this server."


class SharesNotConfigured(errors.Conflict):
    text = (
        "The host of instance {server_id} cannot give it shares: that takes virtiofs, and memory in files "
        "or hw:mem_page_size in the flavor."
    )


class AttachShare(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """asked_at: since when the service has had time to let the host in."""

    instance_id: str
    share: Share
    asked_at: datetime | None = None


def grant_access(op: AttachShare, context: StepContext) -> AttachShare:
    """Let the host in and lock the share. Raises ShareNotFound, ShareAccessFailed."""
    instance = context.instance(op.instance_id)
    address = _address(context, str(instance.host))
    context.shares.lock(op.share.share_id, _reason(op.instance_id))
    patience_s = context.conf.manila.share_apply_policy_timeout
    try:
        context.shares.grant(op.share.share_id, address)
    except ShareAccessNotReady:
        assert op.asked_at is not None
        if not patience_s:
            return op
        if utcnow() < op.asked_at + timedelta(seconds=patience_s):
            raise
        reason = f"the rule was not applied within {patience_s} s"
        raise ShareAccessFailed(share_id=op.share.share_id, address=address, reason=reason) from None
    return op


def withdraw_access(op: AttachShare, context: StepContext) -> AttachShare:
    """The server's lock goes; the host's access only when no other server on it has the share."""
    _withdraw(context, context.instance(op.instance_id), op.share.share_id)
    return op


def define_with_share(op: AttachShare, context: StepContext) -> OnHost:
    return _define(op, context, (op.share,))


def define_without_share(op: AttachShare, context: StepContext) -> OnHost:
    """The undo of define_with_share(); with the host down it counts as done."""
    return _define(op, context, (), skip_if_down=True)


def take_from_guest(op: AttachShare, context: StepContext) -> OnHost | AttachShare:
    """A server without a host has no guest to take the share from."""
    if context.instance(op.instance_id).host is None:
        return op
    # A server whose host is lost can go elsewhere once it has no shares.
    return _define(op, context, (), skip_if_down=True)


def give_back_to_guest(op: AttachShare, context: StepContext) -> OnHost | AttachShare:
    """The undo of take_from_guest(), for a share that the guest had: one in error is left out."""
    if context.instance(op.instance_id).host is None or not op.share.is_for_guest:
        return op
    return _define(op, context, (op.share,), skip_if_down=True)


def _define(op: AttachShare, context: StepContext, shares: tuple[Share, ...], skip_if_down: bool = False) -> OnHost:
    """Have the guest defined with these in the place of this operation's share."""
    instance = context.instance(op.instance_id, with_user_data=True)
    others = tuple(share for share in instance.shares if share.share_id != op.share.share_id)
    wanted = msgspec.structs.replace(instance, shares=(*others, *shares))
    return OnHost(str(instance.host), "define_shares", GuestArguments(instance=wanted), skip_if_down=skip_if_down)


def release_all(context: StepContext, instance: Instance) -> None:
    """The server goes: what was granted and locked for it is not any more."""
    for share in instance.shares:
        _withdraw(context, instance, share.share_id)


def find(instance: Instance, share_id: str) -> Share:
    """Raises ShareNotAttached."""
    for share in instance.shares:
        if share.share_id == share_id:
            return share
    raise errors.ShareNotAttached(share_id=share_id, server_id=instance.uuid)


def _withdraw(context: StepContext, instance: Instance, share_id: str) -> None:
    if instance.host is not None:
        address = _address(context, instance.host)
        if not _is_needed(context, instance, share_id):
            context.shares.deny(share_id, address)
            # Another server of the host may have been given the share since it was looked for.
            if _is_needed(context, instance, share_id):
                context.shares.grant(share_id, address)
    context.shares.unlock(share_id, _reason(instance.uuid))


def _is_needed(context: StepContext, instance: Instance, share_id: str) -> bool:
    others = (server for server in context.servers_on(str(instance.host)) if server.uuid != instance.uuid)
    return any(share.share_id == share_id and share.is_for_guest for other in others for share in other.shares)


def _address(context: StepContext, host: str) -> str:
    state = context.nodes_of(host)[0].state
    return state.share_ip or state.host_ip


def _reason(instance_id: str) -> str:
    return f"Server {instance_id} has the share."


def _begin_attach(acceptance: Acceptance, op: AttachShare) -> AttachShare:
    """Raises ShareInUse, SharesNotConfigured."""
    instance, connection = acceptance.instance, acceptance.connection
    on_its_host(acceptance, op)
    if any(share.share_id == op.share.share_id or share.tag == op.share.tag for share in instance.shares):
        raise ShareInUse(share_id=op.share.share_id, tag=op.share.tag)
    if not _can_have_shares(connection, instance):
        raise SharesNotConfigured(server_id=instance.uuid)
    instances.change(connection, instance.uuid, shares=(*instance.shares, op.share))
    return msgspec.structs.replace(op, asked_at=utcnow())


def _can_have_shares(connection: Connection, instance: Instance) -> bool:
    """Source: admin guide, "Manage shares", prerequisites."""
    nodes = hosts.nodes(connection, str(instance.host))
    traits = {trait for node in nodes for trait in node.state.traits}
    shares_memory = "COMPUTE_MEM_BACKING_FILE" in traits or "hw:mem_page_size" in instance.flavor.extra_specs
    return "COMPUTE_STORAGE_VIRTIO_FS" in traits and shares_memory and hosts.offers(connection, nodes[0].host, "Shares")


def _begin_detach(acceptance: Acceptance, op: AttachShare) -> AttachShare:
    share = find(acceptance.instance, op.share.share_id)
    _write(acceptance.connection, acceptance.instance, share, ShareStatus.DETACHING)
    return msgspec.structs.replace(op, share=share)


def _write(connection: Connection, instance: Instance, share: Share, status: ShareStatus) -> None:
    instances.change(connection, instance.uuid, shares=_with(instance, share, status))


def _with(instance: Instance, share: Share, status: ShareStatus) -> tuple[Share, ...]:
    changed = msgspec.structs.replace(share, status=status)
    return tuple(changed if other.share_id == share.share_id else other for other in instance.shares)


def _attached(connection: Connection, op: AttachShare, instance: Instance) -> dict[str, object]:
    return {"shares": _with(instance, op.share, ShareStatus.INACTIVE)}


def _in_error(connection: Connection, op: AttachShare, instance: Instance) -> dict[str, object]:
    return {"shares": _with(instance, op.share, ShareStatus.ERROR)}


def _detached(connection: Connection, op: AttachShare, instance: Instance) -> dict[str, object]:
    return {"shares": tuple(share for share in instance.shares if share.share_id != op.share.share_id)}


def _not_detached(connection: Connection, op: AttachShare, instance: Instance) -> dict[str, object]:
    return {"shares": _with(instance, op.share, op.share.status)}


ATTACH_SHARE = Operation(
    "attach_share",
    AttachShare,
    steps=(
        Step(grant_access, withdraw_access, retries=60),
        Step(define_with_share, define_without_share),
    ),
    from_states=frozenset({VmState.STOPPED}),
    begin=_begin_attach,
    succeeds_as=unchanged,
    tells=lambda op: {"share_id": op.share.share_id},
    finish=_attached,
    fail=_in_error,
)

DETACH_SHARE = Operation(
    "detach_share",
    AttachShare,
    steps=(
        Step(take_from_guest, give_back_to_guest),
        Step(withdraw_access, retries=20),
    ),
    from_states=frozenset({VmState.STOPPED, VmState.ERROR}),
    begin=_begin_detach,
    succeeds_as=unchanged,
    tells=lambda op: {"share_id": op.share.share_id},
    # The guest has the share no more, and detaching it may be asked for again.
    no_return_after=take_from_guest,
    abandons_as=None,
    finish=_detached,
    fail=_not_detached,
    abandon=_in_error,
)
