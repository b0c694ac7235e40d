"""The other schedulers: each tells the rest what it promises, and they share the hosts that are equally good.

All of it is best effort. News that are lost, or come late, cost a worse choice or a claim that Placement refuses; they
never cost a server its place.
"""

import collections
import hashlib
import logging
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence

from nova import concurrency, errors
from nova.rpc.scheduler import SchedulerNews
from nova.scheduler.decide import Ranking, change_of_best
from nova.scheduler.host_candidate import HostCandidate
from nova.scheduler.promises import Promises
from nova.structs.host import HostState
from nova.structs.schedule import PlacementRequest, Promise, PromiseNews

LOG = logging.getLogger(__name__)

# How often a scheduler says that it is there, and after how many silent turns it is taken to be gone.
HELLO_S = 5.0
SILENT_TURNS = 3
# Another scheduler's promise is a sign that it decides at this moment.
RACE_S = 0.5
# The first members of a group that other schedulers may have placed, and this one has not heard of.
FIRST_MEMBERS = 8
# News kept while the bus is away: what is older is worth nothing.
_NEWS_KEPT = 1000


class Peers:
    """What this scheduler knows of the others, and tells them. bus: all schedulers; None: there are no others."""

    def __init__(
        self, promises: Promises, bus: SchedulerNews | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.me = uuid.uuid4().hex
        self._promises = promises
        self._bus = bus
        self._clock = clock
        self._lock = threading.Lock()
        self._heard_at: dict[str, float] = {}
        self._race_until = float("-inf")
        self._shared: tuple[list[str], Mapping[str, HostState]] = ([], {})
        self._own: Collection[str] = frozenset()
        self._made: collections.deque[Promise] = collections.deque(maxlen=_NEWS_KEPT)
        self._ended: collections.deque[tuple[int, bool]] = collections.deque(maxlen=_NEWS_KEPT)
        self._telling = threading.Lock()
        # Whether the bus takes messages: no request waits for a bus that is away.
        self._is_heard = True
        self._periodic: concurrency.Periodic | None = None

    def start(self) -> None:
        """Say that this scheduler is there, and go on saying so."""
        if self._bus is not None:
            self._periodic = concurrency.Periodic(HELLO_S, self._say_hello, "news of promises", at_once=True)

    def stop(self) -> None:
        """Say goodbye."""
        if self._periodic is not None:
            self._periodic.stop()
            self._send(PromiseNews(scheduler=self.me, is_leaving=True))

    def others(self) -> list[str]:
        """The schedulers that have been heard lately."""
        since = self._silent_since()
        with self._lock:
            return [peer for peer, at in self._heard_at.items() if at > since]

    def _silent_since(self) -> float:
        return self._clock() - HELLO_S * SILENT_TURNS

    # News

    def tell_made(self, promise: Promise) -> None:
        """The others are to count a promise, too: it is on the bus when this returns, or another thread puts it there."""
        if self.others():
            self._made.append(promise)
            while self._is_heard and self._made and self._telling.acquire(blocking=False):
                try:
                    self._tell()
                finally:
                    self._telling.release()

    def tell_ended(self, sequence: int, is_kept: bool) -> None:
        """Placement has answered the claim of a promise. There is no hurry."""
        if self.others():
            self._ended.append((sequence, is_kept))
            if self._periodic is not None:
                self._periodic.wake()

    def hear(self, news: PromiseNews) -> None:
        """Another scheduler's news; one's own come back, too."""
        if news.scheduler == self.me:
            return
        with self._lock:
            is_new = news.scheduler not in self._heard_at
            if news.is_leaving:
                self._heard_at.pop(news.scheduler, None)
            else:
                self._heard_at = {peer: at for peer, at in self._heard_at.items() if at > self._silent_since()}
                self._heard_at[news.scheduler] = self._clock()
            if news.made:
                self._race_until = self._clock() + RACE_S
        for promise in news.made:
            self._promises.add(promise)
        for is_kept, sequences in ((True, news.kept), (False, news.withdrawn)):
            for sequence in sequences:
                self._promises.end(news.scheduler, sequence, is_kept)
        if is_new and not news.is_leaving:
            LOG.info("another scheduler is there: %s", news.scheduler)
            self._introduce()

    def _introduce(self) -> None:
        """A scheduler that has just come knows of nothing that was promised before."""
        self._made.extend(promise for promise in self._promises.standing() if promise.scheduler == self.me)
        if self._periodic is not None:
            self._periodic.wake()

    def _say_hello(self) -> None:
        with self._telling:
            self._tell()

    def _tell(self) -> None:
        # Ends are taken out before promises are, so that no promise is told after its end.
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        made = [self._made.popleft() for _ in range(len(self._made))]
        self._send(
            PromiseNews(
                scheduler=self.me,
                made=tuple(made),
                kept=tuple(sequence for sequence, is_kept in ended if is_kept),
                withdrawn=tuple(sequence for sequence, is_kept in ended if not is_kept),
            )
        )

    def _send(self, news: PromiseNews) -> None:
        assert self._bus is not None
        try:
            self._bus.promised(news)
        except errors.Unavailable as error:
            LOG.debug("the other schedulers hear nothing of promises: %s", error)
            self._is_heard = False
        else:
            self._is_heard = True

    # Shares

    def arrange(
        self, request: PlacementRequest, ranking: Ranking, known: Mapping[str, HostState], is_crowded: bool
    ) -> list[HostCandidate]:
        """The hosts in the order in which this scheduler takes them, since others may be choosing at the same moment.

        is_crowded: this scheduler has several requests at once. Where there is nobody else the order does not change,
        and when nobody else is choosing, only among hosts that weigh the same; but for the first member of an affinity
        group, hosts are as good that differ by a few servers.
        """
        peers = self.others()
        if not peers or not ranking.hosts:
            return ranking.hosts
        change = change_of_best(ranking, request)
        if request.group is not None and request.group.policy in ("affinity", "soft-affinity"):
            if request.group.hosts:
                return ranking.hosts
            # Whether others place its first members is not known: Placement may show a claim before its news come.
            return _together(ranking, request.group.uuid, abs(change) * FIRST_MEMBERS)
        is_race = is_crowded or self._clock() < self._race_until
        if change >= 0:
            # Servers stack: how full a host is does not tell this scheduler's from others'.
            change *= _fitting(ranking.hosts[0], request)
        count = _as_good(ranking, abs(change) if is_race else 0.0)
        best, share = ranking.hosts[:count], self._share(known, peers)
        mine = [host for host in best if host.state.provider_uuid in share]
        theirs = [host for host in best if host.state.provider_uuid not in share]
        # Of what falls to others, schedulers that have nothing of their own take different ones.
        start = zlib.crc32(request.instance_id.encode()) % len(theirs) if change < 0 and theirs else 0
        return [*mine, *theirs[start:], *theirs[:start], *ranking.hosts[count:]]

    def _share(self, known: Mapping[str, HostState], peers: Sequence[str]) -> Collection[str]:
        """The hosts that fall to this scheduler. All come to the same result, without asking each other."""
        everybody = sorted([self.me, *peers])
        if self._shared[0] != everybody or self._shared[1] is not known:
            share = frozenset(sorted(known)[everybody.index(self.me) :: len(everybody)])
            self._shared, self._own = (everybody, known), share
        return self._own


def _together(ranking: Ranking, group: str, change: float) -> list[HostCandidate]:
    """The first members go together: of the hosts that are as good, every scheduler takes the same one first."""
    count = _as_good(ranking, change)
    return [*sorted(ranking.hosts[:count], key=lambda host: _place_of(host, group)), *ranking.hosts[count:]]


def _fitting(host: HostCandidate, request: PlacementRequest) -> int:
    """How many servers like this an empty host takes."""
    amounts = request.amounts.items()
    return min(
        (host.room[name].capacity // amount for name, amount in amounts if amount and name in host.room), default=1
    )


def _as_good(ranking: Ranking, change: float) -> int:
    """How many hosts weigh as much as the best, or less by a smaller amount than this."""
    lowest = ranking.weights[0] - max(change * 0.999, 1e-9)
    return next((place for place, weight in enumerate(ranking.weights) if weight < lowest), len(ranking.weights))


def _place_of(host: HostCandidate, group: str) -> bytes:
    return hashlib.blake2b(f"{group} {host.state.provider_uuid}".encode(), digest_size=8).digest()
