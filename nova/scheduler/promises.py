"""What has been promised and cannot be seen yet: servers on their way to hosts.

A promise is made with the choice of a host. Placement shows it once its claim has succeeded, to whoever asks after
that; the database shows it once the conductor has committed the choice. Until then it counts here as if the server
were there already. Whatever becomes of it, it is forgotten after a time.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from nova.structs.host import HostLoad
from nova.structs.schedule import GroupView, Promise

# A claim whose answer is lost counts for so long, and so long a conductor may take to commit a choice.
LIFETIME_S = 30.0
# Who asks Placement waits for the answers to claims that are under way, as long as an answer takes where all is busy.
CLAIM_WAIT_S = 2.0
# What may be kept in memory: far more than are made in a lifetime.
MOST = 20_000
# Ends of promises that may arrive before the promises themselves.
_ENDS_KEPT = 1000


@dataclass
class _Entry:
    """kept_at: when its claim succeeded, by the count of moments; None while nobody knows."""

    promise: Promise
    made_at: float
    kept_at: int | None = None


class Promises:
    """All promises that may matter, one per server: this scheduler's own, and those it heard of from others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._moments = itertools.count(1)
        # In the order in which they were made, and in which their claims succeeded.
        self._open: dict[str, _Entry] = {}
        self._kept: dict[str, _Entry] = {}
        self._early_ends: dict[tuple[str, int], bool] = {}

    def add(self, promise: Promise) -> None:
        """A promise was made; it takes the place of an earlier one to the same server."""
        with self._changed:
            self._forget(promise.instance_id)
            self._drop_old()
            self._open[promise.instance_id] = _Entry(promise, self._clock())
            was_kept = self._early_ends.pop((promise.scheduler, promise.sequence), None)
            if was_kept is not None:
                self._end(promise.instance_id, was_kept)

    def end(self, scheduler: str, sequence: int, is_kept: bool) -> None:
        """Placement has answered the claim of a promise."""
        with self._changed:
            for instance_id, entry in reversed(self._open.items()):
                if (entry.promise.scheduler, entry.promise.sequence) == (scheduler, sequence):
                    self._end(instance_id, is_kept)
                    return
            # News may overtake each other.
            self._early_ends[scheduler, sequence] = is_kept
            if len(self._early_ends) > _ENDS_KEPT:
                del self._early_ends[next(iter(self._early_ends))]

    def forget(self, instance_id: str) -> None:
        """The server has left its host, or will never come."""
        with self._changed:
            self._forget(instance_id)
            self._changed.notify_all()

    def moment(self) -> int:
        """Now. What Placement is asked from here on shows the claims that have succeeded before."""
        with self._changed:
            return next(self._moments)

    def wait_for_claims(self, without: str, timeout_s: float = CLAIM_WAIT_S) -> None:
        """Wait until Placement has answered the claims of all schedulers but one; not those that are late already."""
        give_up_at = time.monotonic() + timeout_s
        with self._changed:
            recent = self._clock() - timeout_s
            awaited = [
                entry for entry in self._open.values() if entry.made_at > recent and entry.promise.scheduler != without
            ]
            while any(self._open.get(entry.promise.instance_id) is entry for entry in awaited):
                left = give_up_at - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return

    def unseen(self, since: int) -> list[Promise]:
        """The promises that an answer of Placement, asked for at this moment, may not show."""
        with self._changed:
            self._drop_old()
            found = [entry.promise for entry in self._open.values()]
            for entry in reversed(self._kept.values()):
                if entry.kept_at is not None and entry.kept_at <= since:
                    break
                found.append(entry.promise)
            return found

    def standing(self) -> list[Promise]:
        """All promises that the database may not show."""
        with self._changed:
            self._drop_old()
            return [entry.promise for entries in (self._open, self._kept) for entry in entries.values()]

    def _end(self, instance_id: str, is_kept: bool) -> None:
        entry = self._open.pop(instance_id)
        if is_kept:
            entry.kept_at = next(self._moments)
            self._kept[instance_id] = entry
        self._changed.notify_all()

    def _forget(self, instance_id: str) -> None:
        self._open.pop(instance_id, None)
        self._kept.pop(instance_id, None)

    def _drop_old(self) -> None:
        oldest = self._clock() - LIFETIME_S
        for entries in (self._open, self._kept):
            while entries:
                first = next(iter(entries))
                if entries[first].made_at > oldest and len(entries) <= MOST:
                    break
                del entries[first]


def without(promises: Iterable[Promise], instance_id: str) -> list[Promise]:
    """The promises to other servers."""
    return [promise for promise in promises if promise.instance_id != instance_id]


def taken(promises: Iterable[Promise]) -> dict[str, Counter[str]]:
    """What promises take of hosts: provider -> class -> amount."""
    total: dict[str, Counter[str]] = {}
    for promise in promises:
        total.setdefault(promise.provider_uuid, Counter()).update(promise.amounts)
    return total


def joined(group: GroupView, promises: Iterable[Promise]) -> GroupView:
    """The group with the members that are promised to it. A member that it shows on that host counts once."""
    if group.hosts and not group.members:
        # A conductor of the last release does not say who is where.
        return group
    shown = set(zip(group.members, group.hosts, strict=True))
    hosts, members = list(group.hosts), list(group.members)
    for promise in promises:
        if promise.group == group.uuid and (promise.instance_id, promise.host) not in shown:
            hosts.append(promise.host)
            members.append(promise.instance_id)
    return msgspec.structs.replace(group, hosts=tuple(hosts), members=tuple(members))


def loaded(loads: Mapping[str, HostLoad], promises: Collection[Promise]) -> Mapping[str, HostLoad]:
    """The loads with the servers that are promised to hosts. One that is counted on its host already counts once."""
    if not promises:
        return loads
    total = dict(loads)
    counted = {uuid for host in {promise.host for promise in promises} if host in loads for uuid in loads[host].recent}
    for promise in promises:
        if promise.instance_id not in counted:
            before = total.get(promise.host, HostLoad())
            total[promise.host] = msgspec.structs.replace(
                before, instances=before.instances + 1, io_ops=before.io_ops + 1
            )
    return total
