"""From a request to a claim: Placement's candidates, the decision, the claim, and the record of it all.

The claim's consumer is the server's uuid, so a repeated request never allocates twice.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from oslo_config import cfg

from nova import errors
from nova.clients.placement import PlacementClient
from nova.clients.placement.answers import Candidate
from nova.clients.placement.claims import Claim, ClaimLost, ConsumerHolds
from nova.scheduler import decide, explain
from nova.scheduler.filters.filter import Filter
from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.scheduler.image_traits import ImageTraits
from nova.scheduler.weighers.weigher import Weigher
from nova.structs.host import HostLoad, HostState
from nova.structs.schedule import Decision, PlacementRequest, Stage, Weighed

# When this many claims in a row are lost, what is known of the room is out of date: ask again.
LOST_PER_ROUND = 3
ROUNDS = 5
# Hosts insisted on are asked for one by one up to this number, else picked out of all candidates.
IN_TREE_QUERIES = 16

TAKEN = Refusal("was taken by another server at the last moment")


class Outcome(msgspec.Struct, frozen=True):
    """The result of one round: hosts in scope, candidates, filter stages, weights, and the order to try."""

    scope: Mapping[str, HostState]
    host_candidates: Sequence[HostCandidate]
    is_cut: bool
    filtered: decide.Filtered
    weighed: tuple[Weighed, ...]
    order: list[HostCandidate]


class HostSelector:
    """Chooses hosts from the host view that the caller passes."""

    def __init__(
        self, conf: cfg.ConfigOpts, placement: PlacementClient, filters: Sequence[Filter], weighers: Sequence[Weigher]
    ) -> None:
        self._placement = placement
        self._explainer = explain.Explainer(placement)
        self._filters = filters
        self._weighers = weighers
        self._image_traits = ImageTraits(conf)
        self._limit = conf.scheduler.max_placement_results
        self._alternates = conf.scheduler.max_attempts - 1
        self._subset_size = conf.filter_scheduler.host_subset_size
        self._shuffle = conf.filter_scheduler.shuffle_best_same_weighed_hosts

    def select(
        self, request: PlacementRequest, known: Mapping[str, HostState], loads: Mapping[str, HostLoad] | None = None
    ) -> Decision:
        """Choose a host and, except for a dry run, claim it. Raises errors.Unavailable."""
        if traits := self._image_traits.of(request.image):
            request = msgspec.structs.replace(request, required_traits=(*request.required_traits, *traits))
        lost: list[tuple[HostCandidate, Refusal]] = []
        for _ in range(ROUNDS):
            try:
                outcome = self._look(request, known, loads)
            except errors.Invalid as error:
                return _unanswerable(known, f"Placement cannot answer the request: {error}")
            if not outcome.order:
                standing = None if request.is_dry_run else self._standing(request, known)
                return (
                    self._chosen(request, outcome, standing, lost)
                    if standing
                    else self._no_host(request, outcome, lost)
                )
            if request.is_dry_run:
                return self._chosen(request, outcome, outcome.order[0], lost)
            chosen = self._claim_one(request, known, outcome.order, lost)
            if chosen is not None:
                return self._chosen(request, outcome, chosen, lost)
        return self._no_host(request, outcome, lost)

    # Who could take it

    def _look(
        self, request: PlacementRequest, known: Mapping[str, HostState], loads: Mapping[str, HostLoad] | None
    ) -> Outcome:
        scope = _scope(request, known, self._limit)
        host_candidates, is_cut = self._host_candidates(request, scope, known, loads, self._limit)
        filtered = decide.pass_filters(host_candidates, self._filters, request, known)
        if is_cut and not filtered.passed:
            # The one host that fits may be among those left out.
            host_candidates, is_cut = self._host_candidates(request, scope, known, loads, None)
            filtered = decide.pass_filters(host_candidates, self._filters, request, known)
        ranking = decide.rank(filtered.passed, self._weighers, request)
        order = decide.order_of_trial(ranking, self._subset_size, self._shuffle)
        return Outcome(scope, host_candidates, is_cut, filtered, ranking.weighed, order)

    def _host_candidates(
        self,
        request: PlacementRequest,
        scope: Mapping[str, HostState],
        known: Mapping[str, HostState],
        loads: Mapping[str, HostLoad] | None,
        limit: int | None,
    ) -> tuple[list[HostCandidate], bool]:
        """One candidate per host of the scope, and whether the limit left some out."""
        if not scope:
            return [], False
        if not request.resources:
            # Nothing to ask Placement for, and nothing to claim.
            candidates = [Candidate(uuid, {}, {}) for uuid in scope]
        elif len(scope) < len(known) and len(scope) <= IN_TREE_QUERIES:
            limit = None
            candidates = [candidate for uuid in scope for candidate in self._ask(request, in_tree=uuid)]
        else:
            limit = limit if len(scope) == len(known) else None
            candidates = self._ask(request, limit=limit)
        host_candidates: dict[str, HostCandidate] = {}
        for candidate in candidates:
            state = scope.get(candidate.provider)
            if state is not None and candidate.provider not in host_candidates:
                load = loads.get(state.host) if loads is not None else None
                host_candidates[candidate.provider] = HostCandidate(state, candidate.allocations, candidate.room, load)
        return list(host_candidates.values()), limit is not None and len(candidates) >= limit

    def _ask(self, request: PlacementRequest, in_tree: str | None = None, limit: int | None = None) -> list[Candidate]:
        return self._placement.candidates(
            request.resources, request.required_traits, request.forbidden_traits, in_tree=in_tree, limit=limit
        )

    # The claim

    def _claim_one(
        self,
        request: PlacementRequest,
        known: Mapping[str, HostState],
        order: Sequence[HostCandidate],
        lost: list[tuple[HostCandidate, Refusal]],
    ) -> HostCandidate | None:
        """The first host that could be claimed; None when so many were lost that it is time to look again."""
        if request.keep and (standing := self._standing(request, known)):
            return standing
        for host in order[:LOST_PER_ROUND]:
            try:
                self._claim(request, host)
            except ClaimLost as error:
                lost.append((host, Refusal(TAKEN.short, error.message)))
                continue
            except ConsumerHolds:
                if standing := self._standing(request, known):
                    return standing
                try:
                    self._placement.replace(_claim(request, host))
                except ClaimLost as error:
                    lost.append((host, Refusal(TAKEN.short, error.message)))
                    continue
            return host
        return None

    def _claim(self, request: PlacementRequest, host: HostCandidate) -> None:
        if request.keep:
            self._placement.replace(_claim(request, host))
        elif host.allocations:
            self._placement.claim(request.instance_id, host.allocations, request.project_id, request.user_id)

    def _standing(self, request: PlacementRequest, known: Mapping[str, HostState]) -> HostCandidate | None:
        """The host that an earlier attempt claimed, if it still passes."""
        if not request.resources:
            return None
        claimed = _without(self._placement.allocations(request.instance_id).resources, request.keep)
        total: Counter[str] = Counter()
        for amounts in claimed.values():
            total.update(amounts)
        state = next((known[provider] for provider in claimed if provider in known), None)
        if state is None or dict(total) != dict(request.resources):
            return None
        if state.provider_uuid not in _scope(request, known, self._limit):
            return None
        standing = HostCandidate(state, claimed, {})
        return standing if decide.pass_filters([standing], self._filters, request, known).passed else None

    # The record

    def _chosen(
        self,
        request: PlacementRequest,
        outcome: Outcome,
        chosen: HostCandidate,
        lost: Sequence[tuple[HostCandidate, Refusal]],
    ) -> Decision:
        alternates = dict.fromkeys(host.state.host for host in outcome.order)
        alternates.pop(chosen.state.host, None)
        return Decision(
            stages=self._stages(outcome, self._why_missing(request, outcome, is_asked=request.is_dry_run), lost, 1),
            weighed=outcome.weighed,
            host=chosen.state.host,
            node=chosen.state.node,
            zone=chosen.state.zone,
            provider_uuid=chosen.state.provider_uuid,
            alternates=tuple(alternates)[: self._alternates],
        )

    def _no_host(
        self, request: PlacementRequest, outcome: Outcome, lost: Sequence[tuple[HostCandidate, Refusal]]
    ) -> Decision:
        missing = self._why_missing(request, outcome, is_asked=True)
        reasons = Counter(why.short for why in missing.values())
        reasons.update(outcome.filtered.lost)
        if outcome.order:
            reasons[TAKEN.short] += len(outcome.order)
        reason = explain.sentence(len(outcome.scope), reasons)
        if not outcome.scope and (request.only_host or request.only_node):
            reason = "The host asked for does not exist."
        return Decision(stages=self._stages(outcome, missing, lost, 0), reason=reason)

    def _stages(
        self,
        outcome: Outcome,
        missing: Mapping[str, Refusal],
        lost: Sequence[tuple[HostCandidate, Refusal]],
        claimed: int,
    ) -> tuple[Stage, ...]:
        absent = ((HostCandidate(outcome.scope[uuid], {}, {}), why) for uuid, why in missing.items())
        first = decide.stage("Placement", len(outcome.scope), len(outcome.host_candidates), absent)
        claims = (decide.stage("Claim", len(lost) + claimed, claimed, lost),) if lost else ()
        return (first, *outcome.filtered.stages, *claims)

    def _why_missing(self, request: PlacementRequest, outcome: Outcome, is_asked: bool) -> Mapping[str, Refusal]:
        """Why hosts in scope are no candidates; one general reason when Placement is not asked about each."""
        present = {host.state.provider_uuid for host in outcome.host_candidates}
        missing = [uuid for uuid in outcome.scope if uuid not in present]
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


def _scope(request: PlacementRequest, known: Mapping[str, HostState], limit: int) -> Mapping[str, HostState]:
    """The hosts in question: all, or those that the request names.

    In a cloud of more hosts than candidates are asked for, hosts that a hint or a group insists on
    must be asked for by name, or they would be missed.
    """
    if request.only_host or request.only_node:
        return {
            uuid: state
            for uuid, state in known.items()
            if request.only_host in (None, state.host) and request.only_node in (None, state.node)
        }
    hosts = set(request.same_hosts)
    if request.group is not None and request.group.policy == "affinity":
        hosts.update(request.group.hosts)
    if hosts and len(known) > limit:
        return {uuid: state for uuid, state in known.items() if state.host in hosts}
    return known


def _claim(request: PlacementRequest, host: HostCandidate) -> Claim:
    """The allocations of the host, on top of those that are kept."""
    total = {provider: dict(amounts) for provider, amounts in request.keep.items()}
    for provider, amounts in host.allocations.items():
        mine = total.setdefault(provider, {})
        for name, amount in amounts.items():
            mine[name] = mine.get(name, 0) + amount
    return Claim(
        consumer=request.instance_id, allocations=total, project_id=request.project_id, user_id=request.user_id
    )


def _without(
    claimed: Mapping[str, Mapping[str, int]], keep: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """The claimed amounts less those in keep."""
    remainder = {
        provider: {
            name: rest for name, amount in amounts.items() if (rest := amount - keep.get(provider, {}).get(name, 0))
        }
        for provider, amounts in claimed.items()
    }
    return {provider: amounts for provider, amounts in remainder.items() if amounts}


def _unanswerable(known: Mapping[str, HostState], reason: str) -> Decision:
    return Decision(stages=(Stage(name="Placement", before=len(known), after=0),), reason=reason)
