"""How full the hosts are, as Placement says it. Requests that ask the same at the same time share one answer.

A request never gets an answer to a question that was put before the request came. An answer is of one moment: no claim
of this scheduler goes on meanwhile.
"""

import threading
from collections.abc import Hashable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

import msgspec

from nova.clients.placement import PlacementClient
from nova.clients.placement.answers import Candidate
from nova.clients.placement.query import CandidatesQuery
from nova.scheduler.phases import Phases
from nova.scheduler.promises import Promises
from nova.structs.host import HostState
from nova.structs.schedule import PlacementRequest

# Hosts insisted on are asked for one by one up to this number, else picked out of all candidates.
IN_TREE_QUERIES = 16


class Picture(msgspec.Struct, frozen=True, gc=False):
    """Placement's candidates. since: the moment at which it was asked. is_cut: the limit left some out."""

    candidates: list[Candidate]
    since: int
    is_cut: bool = False


class Query(msgspec.Struct, frozen=True):
    """A question to Placement: what is asked of a host, of which trees (none: of any), how many candidates at most."""

    wanted: CandidatesQuery
    in_trees: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(eq=False)
class _Turn:
    """One asking of a query, and the one under way when it was wanted. holders: the decisions that will claim."""

    before: "_Turn | None"
    picture: "Future[Picture]"
    holders: list[Hashable] = field(default_factory=list)


class Pictures:
    """Asks Placement, one request at a time for each question, after the claims that are under way."""

    def __init__(self, placement: PlacementClient, promises: Promises, phases: Phases, scheduler: str) -> None:
        self._placement = placement
        self._promises = promises
        self._phases = phases
        self._scheduler = scheduler
        self._lock = threading.Lock()
        self._waiting: dict[Query, _Turn] = {}
        self._asked: dict[Query, _Turn] = {}

    def take(
        self,
        request: PlacementRequest,
        scope: Mapping[str, HostState],
        is_everybody: bool,
        limit: int | None,
        holder: Hashable,
    ) -> Picture:
        """What Placement offers for a request on the hosts in scope. Raises errors.Unavailable, errors.Invalid.

        is_everybody: the scope is all known hosts. Unless the request is a dry run, the holder keeps the next asking
        waiting until it leaves the phases.
        """
        if not scope or not request.amounts:
            # Nothing to ask Placement for, and nothing to claim.
            return Picture([Candidate(uuid, {}, {}) for uuid in scope], self._promises.moment())
        query = Query(CandidatesQuery.of(request))
        if is_everybody:
            query = msgspec.structs.replace(query, limit=limit)
        elif len(scope) <= IN_TREE_QUERIES:
            query = msgspec.structs.replace(query, in_trees=tuple(scope))
        return self._shared(query, None if request.is_dry_run else holder)

    def _shared(self, query: Query, holder: Hashable | None) -> Picture:
        with self._lock:
            turn = self._waiting.get(query)
            is_first = turn is None
            if turn is None:
                turn = self._waiting[query] = _Turn(self._asked.get(query), Future())
            if holder is not None:
                self._phases.expect(holder)
                turn.holders.append(holder)
        if is_first:
            self._lead(query, turn)
        return turn.picture.result()

    def _lead(self, query: Query, turn: _Turn) -> None:
        """Ask for all who have come until then; whatever ends it, they are told."""
        try:
            self._begin(query, turn)
            picture = self._ask(query)
        except BaseException as error:
            self._phases.end_asking(turn, ())
            turn.picture.set_exception(error)
        else:
            self._phases.end_asking(turn, turn.holders)
            turn.picture.set_result(picture)
        with self._lock:
            for turns in (self._waiting, self._asked):
                if turns.get(query) is turn:
                    del turns[query]

    def _begin(self, query: Query, turn: _Turn) -> None:
        """Wait for the asking before this one and for the claims; whoever comes later waits for the next turn."""
        if turn.before is not None:
            turn.before.picture.exception()
            turn.before = None
        self._promises.wait_for_claims(without=self._scheduler)
        self._phases.begin_asking(turn)
        with self._lock:
            del self._waiting[query]
            self._asked[query] = turn

    def _ask(self, query: Query) -> Picture:
        since = self._promises.moment()
        candidates = [
            candidate
            for tree in query.in_trees or (None,)
            for candidate in self._placement.candidates(query.wanted, in_tree=tree, limit=query.limit)
        ]
        return Picture(candidates, since, query.limit is not None and len(candidates) >= query.limit)
