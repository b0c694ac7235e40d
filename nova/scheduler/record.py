"""The record of a decision: what is kept and shown of how a host was chosen, or why there was none."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import msgspec

from nova import errors
from nova.clients.placement import PlacementClient
from nova.scheduler import decide, explain
from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.structs.host import HostState
from nova.structs.schedule import Decision, PlacementRequest, Promise, Stage, Weighed

TAKEN = Refusal("was taken by another server at the last moment")

Lost = Sequence[tuple[HostCandidate, Refusal]]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one look: hosts in scope, those of them that Placement offers (present), of these the number whose
    claims were lost (taken) and those that promises fill (full), filter stages, weights, and the order to try. promises: those that counted. promise: the one
    made with this choice."""

    scope: Mapping[str, HostState]
    present: Collection[str]
    taken: int
    is_cut: bool
    full: Lost
    promises: Sequence[Promise]
    filtered: decide.Filtered
    weighed: tuple[Weighed, ...]
    order: list[HostCandidate]
    promise: Promise | None = None


class Recorder:
    """Makes decisions out of outcomes."""

    def __init__(self, placement: PlacementClient, alternates: int) -> None:
        self._explainer = explain.Explainer(placement)
        self._alternates = alternates

    def chosen(self, request: PlacementRequest, outcome: Outcome, chosen: HostCandidate, lost: Lost = ()) -> Decision:
        """The decision for a host, with the claims that were lost before."""
        alternates = dict.fromkeys(host.state.host for host in outcome.order)
        alternates.pop(chosen.state.host, None)
        return Decision(
            stages=_stages(outcome, self._why_missing(request, outcome, is_asked=request.is_dry_run), lost, 1),
            weighed=outcome.weighed,
            host=chosen.state.host,
            node=chosen.state.node,
            zone=chosen.state.zone,
            provider_uuid=chosen.state.provider_uuid,
            alternates=tuple(alternates)[: self._alternates],
            promises=explain.counted(outcome.promises),
        )

    def no_host(self, request: PlacementRequest, outcome: Outcome, lost: Lost = ()) -> Decision:
        """The decision that there is no host. Placement is asked why."""
        missing = self._why_missing(request, outcome, is_asked=True)
        reasons = Counter(why.short for why in missing.values())
        reasons.update(why.short for _, why in outcome.full)
        reasons.update(outcome.filtered.lost)
        if taken := outcome.taken + len(outcome.order):
            reasons[TAKEN.short] += taken
        reason = explain.sentence(len(outcome.scope), reasons)
        if not outcome.scope and (request.only_host or request.only_node):
            reason = "The host asked for does not exist."
        return Decision(
            stages=_stages(outcome, missing, lost, 0), reason=reason, promises=explain.counted(outcome.promises)
        )

    def _why_missing(self, request: PlacementRequest, outcome: Outcome, is_asked: bool) -> Mapping[str, Refusal]:
        """Why hosts in scope are no candidates; one general reason when Placement is not asked about each."""
        missing = [uuid for uuid in outcome.scope if uuid not in outcome.present]
        default = explain.NOT_ASKED if outcome.is_cut else explain.NO_CANDIDATE
        if not missing or not is_asked:
            return dict.fromkeys(missing[: decide.SHOWN], default)
        try:
            refusals = self._explainer.what_hosts_lack(request, missing)
        except errors.DomainError:
            return dict.fromkeys(missing, default)
        if outcome.is_cut:
            return {uuid: default if why.short == explain.NOT_TOGETHER.short else why for uuid, why in refusals.items()}
        return refusals


def _stages(outcome: Outcome, missing: Mapping[str, Refusal], lost: Lost, claimed: int) -> tuple[Stage, ...]:
    absent = ((HostCandidate(outcome.scope[uuid], {}, {}), why) for uuid, why in missing.items())
    offered = len(outcome.present)
    first = decide.stage("Placement", len(outcome.scope), offered, absent)
    promised = (decide.stage("Promises", offered, offered - len(outcome.full), outcome.full),) if outcome.full else ()
    claims = (decide.stage("Claim", len(lost) + claimed, claimed, lost),) if lost else ()
    return (first, *promised, *outcome.filtered.stages, *claims)


def unanswerable(known: Mapping[str, HostState], reason: str) -> Decision:
    """The decision when Placement does not understand the request."""
    return Decision(stages=(Stage(name="Placement", before=len(known), after=0),), reason=reason)
