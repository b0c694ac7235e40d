"""What a server's ports take of its host: claimed with the server, and told to the Networking service.

A port that its user brought may ask for a minimum of bandwidth or packets. The host is claimed with it; which of the host's
providers gives it is read off the claim, whoever made it.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nova import errors
from nova.clients.network.port_claims import allocation
from nova.conductor.engine.step_context import StepContext
from nova.structs.network import PortClaim, Vif
from nova.structs.request_group import RequestGroup

LOG = logging.getLogger(__name__)

Amounts = Mapping[str, Mapping[str, int]]


def of_vifs(context: StepContext, project_id: str, vifs: Iterable[Vif]) -> tuple[PortClaim, ...]:
    """The claims of a server's ports as they are now. A port that was made for it has none."""
    claims: tuple[PortClaim, ...] = context.network.claims.of(
        project_id, [vif.port_id for vif in vifs if vif.is_preexisting]
    )
    return claims


def groups(claims: Iterable[PortClaim]) -> tuple[RequestGroup, ...]:
    """All that is asked of a host for ports."""
    return tuple(group for claim in claims for group in claim.groups)


def said(context: StepContext, consumer: str, claims: Sequence[PortClaim]) -> dict[str, Any]:
    """By port, which providers of what a consumer holds give what it claims, as the port's binding says it.

    Raises StepFailed where it does not hold all of that: somebody has taken it away.
    """
    if not claims:
        return {}
    held = context.placement.allocations(consumer).resources
    traits = {provider: context.placement.traits(provider) for provider in held}
    providers = match(groups(claims), held, traits)
    if providers is None:
        raise errors.StepFailed(reason="What the server holds in Placement is not what its ports ask for.")
    return {claim.port_id: allocation(claim, providers) for claim in claims}


def said_if_held(context: StepContext, consumer: str, claims: Sequence[PortClaim]) -> dict[str, Any]:
    """The same where the ports have to be bound whatever has become of the claim: the guest is there."""
    try:
        return said(context, consumer, claims)
    except errors.StepFailed as error:
        LOG.warning("ports of %s are bound without a word of what they claim: %s", consumer, error)
        return {}


def match(wanted: Sequence[RequestGroup], held: Amounts, traits: Mapping[str, frozenset[str]]) -> dict[str, str] | None:
    """By group, a provider with its traits that gives all of it, no amount counted twice; None when there is no way."""
    if not wanted:
        return {}
    first, rest = wanted[0], wanted[1:]
    for provider, amounts in held.items():
        left = _less(amounts, first)
        if left is None or not traits[provider].issuperset(first.required):
            continue
        others = match(rest, {**held, provider: left}, traits)
        if others is not None:
            return {first.suffix: provider, **others}
    return None


def _less(amounts: Mapping[str, int], group: RequestGroup) -> dict[str, int] | None:
    """What is left when a group is given; None when there is less."""
    left = dict(amounts)
    for name, amount in group.resources:
        left[name] = left.get(name, 0) - amount
    return None if min(left.values(), default=0) < 0 else left
