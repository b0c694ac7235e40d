"""How full the hosts are, as Placement says it. Requests that ask the same at the same time share one answer.

A request never gets an answer to a question that was put before the request came.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from nova.clients.placement import PlacementClient
from nova.clients.placement.answers import Candidate
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
    """A question to Placement: what is asked of a host, of which tree (None: of any), how many candidates at most."""

    resources: tuple[tuple[str, int], ...]
    required: tuple[str, ...]
    forbidden: tuple[str, ...]
    in_tree: str | None = None
    limit: int | None = None


@dataclass
class _Turn:
    """One asking of a query, and the one under way when it was wanted."""

    before: "_Turn | None"
    picture: "Future[Picture]"


class Pictures:
    """Asks Placement, one request at a time for each question, after the claims that are under way."""

    def __init__(self, placement: PlacementClient, promises: Promises) -> None:
        self._placement = placement
        self._promises = promises
        self._lock = threading.Lock()
        self._waiting: dict[Query, _Turn] = {}
        self._asked: dict[Query, _Turn] = {}

    def take(
        self, request: PlacementRequest, scope: Mapping[str, HostState], is_everybody: bool, limit: int | None
    ) -> Picture:
        """What Placement offers for a request on the hosts in scope. Raises errors.Unavailable, errors.Invalid.

        is_everybody: the scope is all known hosts.
        """
        if not scope or not request.resources:
            # Nothing to ask Placement for, and nothing to claim.
            return Picture([Candidate(uuid, {}, {}) for uuid in scope], self._promises.moment())
        query = Query(tuple(sorted(request.resources.items())), request.required_traits, request.forbidden_traits)
        if not is_everybody and len(scope) <= IN_TREE_QUERIES:
            parts = [self._shared(msgspec.structs.replace(query, in_tree=uuid)) for uuid in scope]
            candidates = [candidate for part in parts for candidate in part.candidates]
            return Picture(candidates, min(part.since for part in parts))
        return self._shared(msgspec.structs.replace(query, limit=limit if is_everybody else None))

    def _shared(self, query: Query) -> Picture:
        with self._lock:
            turn = self._waiting.get(query)
            is_first = turn is None
            if turn is None:
                turn = self._waiting[query] = _Turn(self._asked.get(query), Future())
        if is_first:
            self._lead(query, turn)
        return turn.picture.result()

    def _lead(self, query: Query, turn: _Turn) -> None:
        """Ask for all who have come until then; whoever comes later waits for the next turn."""
        if turn.before is not None:
            turn.before.picture.exception()
            turn.before = None
        self._promises.wait_for_claims()
        with self._lock:
            del self._waiting[query]
            self._asked[query] = turn
        _settle(turn.picture, lambda: self._ask(query))
        with self._lock:
            if self._asked.get(query) is turn:
                del self._asked[query]

    def _ask(self, query: Query) -> Picture:
        since = self._promises.moment()
        candidates = self._placement.candidates(
            dict(query.resources), query.required, query.forbidden, in_tree=query.in_tree, limit=query.limit
        )
        return Picture(candidates, since, query.limit is not None and len(candidates) >= query.limit)


def _settle(future: "Future[Picture]", function: Callable[[], Picture]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
