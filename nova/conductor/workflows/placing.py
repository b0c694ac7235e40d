"""Choosing a host for a server, and giving it back: what builds, moves, evacuations and unshelving share.

A host that refuses, or falls silent, is left again: the operation unwinds to the claim and takes another host,
up to [scheduler] max_attempts.
"""

from typing import TypeVar

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.engine.operation import Recorded
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import port_claims
from nova.conductor.workflows.guest import GuestDocument
from nova.db import events, hosts, server_groups
from nova.structs.instance import Instance
from nova.structs.network import PortClaim
from nova.structs.schedule import Decision, PlacementRequest

# What another host may be better at.
ELSEWHERE = (errors.HostRefused, errors.HostUnreachable, errors.StepTimedOut, errors.GuestFailed)


class Placed(GuestDocument, frozen=True, kw_only=True, omit_defaults=True):
    """only_host, only_node: where the user insists. host, node, host_zone: the choice, None until it is claimed.
    refused: hosts that could not, in order. claims: what the server's ports take of the host."""

    zone: str | None = None
    only_host: str | None = None
    only_node: str | None = None
    group: str | None = None
    hints: dict[str, object] = {}
    refused: tuple[str, ...] = ()
    host: str | None = None
    node: str | None = None
    host_zone: str | None = None
    claims: tuple[PortClaim, ...] = ()

    @property
    def claimed_host(self) -> str:
        """For steps behind the claim: there is a host by then."""
        assert self.host is not None
        return self.host


P = TypeVar("P", bound=Placed)


def check_attempts(op: Placed, context: StepContext) -> None:
    """Raises NoValidHost when as many hosts as are allowed have refused."""
    if len(op.refused) >= context.conf.scheduler.max_attempts:
        raise errors.NoValidHost(reason=f"{len(op.refused)} hosts were tried and could not take the server.")


def chosen(op: P, context: StepContext, operation: str, decision: Decision) -> Recorded[P]:
    """The document with the chosen host, and the decision to be kept with it. Raises NoValidHost."""
    if decision.host is None:
        context.record_decision(op.instance_id, operation, decision)
        raise errors.NoValidHost(reason=decision.reason or "")
    document = msgspec.structs.replace(op, host=decision.host, node=decision.node, host_zone=decision.zone)
    return Recorded(document, lambda c: events.add_decision(c, op.instance_id, operation, decision))


def keep_group_rule(connection: Connection, op: Placed) -> None:
    """The commit of a claim: the server group's rule holds whatever was placed meanwhile. Raises HostRefused."""
    if op.group and op.host:
        server_groups.check_host(connection, op.group, op.instance_id, op.host)


def release_host(op: P, context: StepContext) -> P:
    """Give the claim back; the host is not asked again."""
    context.give_host_back(op.instance_id)
    refused = (*op.refused, op.host) if op.host else op.refused
    return msgspec.structs.replace(op, host=None, node=None, host_zone=None, refused=refused)


def request(op: Placed, context: StepContext, instance: Instance) -> PlacementRequest:
    """What the scheduler is to place."""
    flavor = instance.flavor
    return PlacementRequest(
        instance_id=instance.uuid,
        project_id=instance.project_id,
        user_id=instance.user_id,
        flavor=flavor,
        image=instance.image,
        resources=flavor.resources(boots_from_volume=instance.image_id is None),
        groups=(*flavor.request_groups(), *port_claims.groups(op.claims)),
        # Where a flavor does not care, ports may share a provider.
        group_policy=flavor.group_policy or ("none" if op.claims else None),
        same_subtrees=tuple(claim.subtree for claim in op.claims if len(claim.subtree) > 1),
        required_traits=tuple(sorted(flavor.required_traits() | _image_traits(instance))),
        forbidden_traits=tuple(sorted(flavor.forbidden_traits())),
        zone=op.zone,
        exclude=op.refused,
        only_host=op.only_host,
        only_node=op.only_node,
        group=context.group_view(op.group, without=instance.uuid) if op.group else None,
        hints=op.hints,
        same_hosts=context.hosts_of(_servers(op.hints, "same_host"), instance.project_id),
        different_hosts=context.hosts_of(_servers(op.hints, "different_host"), instance.project_id),
        hosts_version=context.db.read(hosts.view_version),
    )


def _servers(hints: dict[str, object], name: str) -> tuple[str, ...]:
    value = hints.get(name, ())
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def _image_traits(instance: Instance) -> frozenset[str]:
    properties = instance.image.properties if instance.image else {}
    return frozenset(
        name.removeprefix("trait:")
        for name, value in properties.items()
        if name.startswith("trait:") and value == "required"
    )
