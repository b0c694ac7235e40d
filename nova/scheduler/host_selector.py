"""From a request to a claim: Placement's candidates, the decision, the promise, the claim, and the record of it all.

Decisions are made one at a time, each knowing what those before it have promised. Between them Placement is asked, and
hosts are claimed, in turns.
"""

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from oslo_config import cfg

from nova import errors
from nova.clients.placement import PlacementClient
from nova.clients.placement.claims import ClaimLost, ConsumerHolds
from nova.scheduler import decide
from nova.scheduler.claiming import Claims
from nova.scheduler.filters.filter import Filter
from nova.scheduler.host_candidate import HostCandidate, Refusal, room_less
from nova.scheduler.image_traits import ImageTraits
from nova.scheduler.peers import Peers
from nova.scheduler.phases import Phases
from nova.scheduler.pictures import Picture, Pictures
from nova.scheduler.promises import Promises, joined, loaded, taken, without
from nova.scheduler.record import TAKEN, Lost, Outcome, Recorder, unanswerable
from nova.scheduler.weighers.weigher import Weigher
from nova.structs.host import HostLoad, HostState
from nova.structs.schedule import Decision, PlacementRequest, Promise

# When this many claims in a row are lost, what is known of the room is out of date: ask again.
LOST_PER_ROUND = 3
ROUNDS = 5
# Rounds in which promises take room. After them Placement alone says what is taken: a promise may be void.
TRUSTING_ROUNDS = 2

PROMISED = Refusal("is promised to servers on their way")


@dataclass(eq=False)
class _Attempt:
    """One request on its way. lost: its claims that Placement refused; avoid: where that was since the last look."""

    request: PlacementRequest
    known: Mapping[str, HostState]
    loads: Mapping[str, HostLoad] | None
    scope: Mapping[str, HostState]
    trusts: bool = True
    lost: list[tuple[HostCandidate, Refusal]] = field(default_factory=list)
    avoid: set[str] = field(default_factory=set)


class HostSelector:
    """Chooses hosts from the host view that the caller passes."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        placement: PlacementClient,
        filters: Sequence[Filter],
        weighers: Sequence[Weigher],
        promises: Promises,
        peers: Peers,
    ) -> None:
        self._claims = Claims(placement)
        self._promises = promises
        self._peers = peers
        self._phases = Phases()
        self._pictures = Pictures(placement, promises, self._phases, peers.me)
        self._recorder = Recorder(placement, conf.scheduler.max_attempts - 1)
        self._filters = filters
        self._weighers = weighers
        self._image_traits = ImageTraits(conf)
        self._limit = conf.scheduler.max_placement_results
        self._subset_size = conf.filter_scheduler.host_subset_size
        self._shuffle = conf.filter_scheduler.shuffle_best_same_weighed_hosts
        self._deciding = threading.Lock()
        self._sequence = itertools.count(1)
        self._under_way: set[_Attempt] = set()

    def select(
        self, request: PlacementRequest, known: Mapping[str, HostState], loads: Mapping[str, HostLoad] | None = None
    ) -> Decision:
        """Choose a host and, except for a dry run, claim it. Raises errors.Unavailable."""
        if traits := self._image_traits.of(request.image):
            request = msgspec.structs.replace(request, required_traits=(*request.required_traits, *traits))
        whole = _with_promised(request, without(self._promises.standing(), request.instance_id))
        attempt = _Attempt(request, known, loads, _scope(whole, known, self._limit))
        self._under_way.add(attempt)
        try:
            return self._select(attempt)
        except errors.Invalid as error:
            return unanswerable(known, f"Placement cannot answer the request: {error}")
        finally:
            self._phases.leave(attempt)
            self._under_way.discard(attempt)

    def _select(self, attempt: _Attempt) -> Decision:
        request = attempt.request
        for number in range(ROUNDS):
            attempt.trusts = number < TRUSTING_ROUNDS
            attempt.avoid.clear()
            picture, outcome = self._look(attempt)
            if request.is_dry_run and outcome.order:
                return self._recorder.chosen(request, outcome, outcome.order[0])
            if outcome.promise is None:
                if not request.is_dry_run and (standing := self._standing(attempt)) is not None:
                    return self._recorder.chosen(request, outcome, standing, attempt.lost)
                if outcome.promises and attempt.trusts:
                    # Some of them may be void.
                    continue
                break
            chosen, outcome = self._claim_one(attempt, picture, outcome)
            self._phases.leave(attempt)
            if chosen is not None:
                return self._recorder.chosen(request, outcome, chosen, attempt.lost)
        return self._recorder.no_host(request, outcome, attempt.lost)

    # Who could take it

    def _look(self, attempt: _Attempt) -> tuple[Picture, Outcome]:
        """Ask Placement, and decide."""
        is_everybody = len(attempt.scope) == len(attempt.known)
        picture = self._pictures.take(attempt.request, attempt.scope, is_everybody, self._limit, attempt)
        outcome = self._decide(attempt, picture)
        if picture.is_cut and not outcome.filtered.passed:
            # The one host that fits may be among those left out.
            picture = self._pictures.take(attempt.request, attempt.scope, is_everybody, None, attempt)
            outcome = self._decide(attempt, picture)
        return picture, outcome

    def _decide(self, attempt: _Attempt, picture: Picture) -> Outcome:
        """The decision on one picture, and the promise that the next decision counts."""
        with self._deciding:
            outcome = self._outcome(attempt, picture)
            if not outcome.order or attempt.request.is_dry_run:
                self._phases.leave(attempt)
                return outcome
            promise = self._promise(attempt.request, outcome.order[0])
        self._peers.tell_made(promise)
        return msgspec.structs.replace(outcome, promise=promise)

    def _outcome(self, attempt: _Attempt, picture: Picture) -> Outcome:
        request, loads = attempt.request, attempt.loads
        unseen = without(self._promises.unseen(picture.since), request.instance_id) if attempt.trusts else []
        counted = {promise.instance_id: promise for promise in unseen}
        if request.group is not None or loads is not None:
            standing = without(self._promises.standing(), request.instance_id)
            counted.update((one.instance_id, one) for one in standing if loads is not None or _are_mates(one, request))
            request = _with_promised(request, standing)
            loads = None if loads is None else loaded(loads, standing)
        offered, full, present = _host_candidates(attempt, picture, taken(unseen), loads)
        filtered = decide.pass_filters(offered, self._filters, request, attempt.known)
        ranking = decide.rank(filtered.passed, self._weighers, request)
        return Outcome(
            scope=attempt.scope,
            present=present | attempt.avoid,
            taken=len(attempt.avoid),
            is_cut=picture.is_cut,
            full=full,
            promises=tuple(counted.values()),
            filtered=filtered,
            weighed=ranking.weighed,
            order=self._order(request, ranking, attempt.known),
        )

    def _order(
        self, request: PlacementRequest, ranking: decide.Ranking, known: Mapping[str, HostState]
    ) -> list[HostCandidate]:
        if self._shuffle or self._subset_size > 1:
            return decide.order_of_trial(ranking, self._subset_size, self._shuffle)
        return self._peers.arrange(request, ranking, known, is_crowded=len(self._under_way) > 1)

    # The promise and the claim

    def _promise(self, request: PlacementRequest, host: HostCandidate) -> Promise:
        promise = Promise(
            instance_id=request.instance_id,
            scheduler=self._peers.me,
            sequence=next(self._sequence),
            host=host.state.host,
            provider_uuid=host.state.provider_uuid,
            amounts=request.amounts,
            group=request.group.uuid if request.group else None,
        )
        self._promises.add(promise)
        return promise

    def _end(self, promise: Promise, is_kept: bool) -> None:
        self._promises.end(promise.scheduler, promise.sequence, is_kept)
        self._peers.tell_ended(promise.sequence, is_kept)

    def _claim_one(self, attempt: _Attempt, picture: Picture, outcome: Outcome) -> tuple[HostCandidate | None, Outcome]:
        """The host that could be claimed; None when so many were lost that it is time to look again."""
        for _ in range(LOST_PER_ROUND):
            if (promise := outcome.promise) is None:
                return None, outcome
            host = outcome.order[0]
            self._phases.begin_claim(attempt)
            try:
                chosen = self._claim(attempt, host)
            except ClaimLost as error:
                self._end(promise, is_kept=False)
                attempt.lost.append((host, Refusal(TAKEN.short, error.message)))
                attempt.avoid.add(host.state.provider_uuid)
                outcome = self._decide(attempt, picture)
                continue
            if chosen is host:
                self._end(promise, is_kept=True)
            return chosen, outcome
        if outcome.promise is not None:
            self._end(outcome.promise, is_kept=False)
        return None, outcome

    def _claim(self, attempt: _Attempt, host: HostCandidate) -> HostCandidate:
        """Claim the host, unless a claim of this server stands already. Raises ClaimLost."""
        request = attempt.request
        if request.keep and (standing := self._standing(attempt)):
            return standing
        try:
            self._claims.claim(request, host)
        except ConsumerHolds:
            if standing := self._standing(attempt):
                return standing
            self._claims.replace(request, host)
        return host

    def _standing(self, attempt: _Attempt) -> HostCandidate | None:
        """The host that an earlier attempt claimed, if it still passes. It is promised, in place of any other."""
        standing = self._claims.standing(attempt.request, attempt.known)
        if standing is None or standing.state.provider_uuid not in attempt.scope:
            return None
        if not decide.pass_filters([standing], self._filters, attempt.request, attempt.known).passed:
            return None
        promise = self._promise(attempt.request, standing)
        self._peers.tell_made(promise)
        self._end(promise, is_kept=True)
        return standing


def _host_candidates(
    attempt: _Attempt,
    picture: Picture,
    promised: Mapping[str, Mapping[str, int]],
    loads: Mapping[str, HostLoad] | None,
) -> tuple[list[HostCandidate], Lost, set[str]]:
    """One candidate per host of the scope, with the room that promises leave; those that they fill; the providers of
    both."""
    found: dict[str, HostCandidate] = {}
    full: list[tuple[HostCandidate, Refusal]] = []
    for candidate in picture.candidates:
        provider = candidate.provider
        state = attempt.scope.get(provider)
        if state is None or provider in found or provider in attempt.avoid:
            continue
        load = loads.get(state.host) if loads is not None else None
        found[provider] = HostCandidate(state, candidate.allocations, candidate.room, load)
    present = set(found)
    amounts = attempt.request.amounts
    for provider in promised.keys() & present:
        host = found[provider]
        host = HostCandidate(host.state, host.allocations, room_less(host.room, promised[provider]), host.load)
        if all(host.free(name) >= amount for name, amount in amounts.items() if name in host.room):
            found[provider] = host
        else:
            del found[provider]
            full.append((host, PROMISED))
    return list(found.values()), full, present


def _are_mates(promise: Promise, request: PlacementRequest) -> bool:
    return request.group is not None and promise.group == request.group.uuid


def _with_promised(request: PlacementRequest, standing: Sequence[Promise]) -> PlacementRequest:
    """The request with the members of its server group that are on their way."""
    if request.group is None:
        return request
    return msgspec.structs.replace(request, group=joined(request.group, standing))


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
