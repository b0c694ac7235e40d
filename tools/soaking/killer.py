"""Kills parts of a cloud, single workers of its daemons, and whole hosts, at random times, and brings each back."""

import fnmatch
import random
import threading
import time

from soaking.cloud import Cloud
from soaking.outage import Outage
from soaking.parts import WELL
from soaking.report import Report

# What other services keep is not what is tried.
_BACK_WITHIN_S = 180.0
_SPARED = ("cinder", "epmd", "glance", "keystone")
# Of RabbitMQ and MariaDB: they take long to come back, and nothing is done meanwhile.
_SLOW_WEIGHT = 0.3
_SLOW = ("mariadb", "rabbitmq")
# Of daemons that no operation on a server needs.
_ASIDE_WEIGHT = 0.3
_ASIDE = ("nova-api-metadata", "nova-cert", "nova-objectstore", "nova-*proxy", "nova-consoleauth")
# Of the daemons that have workers: one of them dies, and its siblings go on.
_WORKER_SHARE = 0.3
_PAUSE_S = 0.2


class Count:
    """How many kills there were, over all killers of a run, and how many there shall be."""

    def __init__(self, wanted: int | None) -> None:
        self._wanted = wanted
        self._done = 0
        self._lock = threading.Lock()

    def is_last(self) -> bool:
        """One more. Whether it was the last."""
        with self._lock:
            self._done += 1
            return self._wanted is not None and self._done >= self._wanted


class Killer:
    """One part at a time. Several killers of one cloud have parts away at once, each part by one of them."""

    def __init__(
        self,
        cloud: Cloud,
        chance: random.Random,
        report: Report,
        victims: str,
        pause_s: float,
        longest_away_s: float,
    ) -> None:
        self._cloud = cloud
        self._chance = chance
        self._report = report
        self._pause_s = pause_s
        self._longest_away_s = longest_away_s
        self._outage = Outage(cloud, chance, report)
        logs = {f"{host}-virtlogd" for host in cloud.hosts}
        parts = [name for name in cloud.parts.names if name not in logs and not name.startswith(_SPARED)]
        self._victims = fnmatch.filter(parts, victims)
        self._weights = [_weight(name) for name in self._victims]

    def run(self, is_over: threading.Event, count: Count) -> None:
        """Kill until it is over, or until there were so many; then it is over."""
        while not is_over.wait(self._chance.expovariate(1 / self._pause_s)):
            [victim] = self._chance.choices(self._victims, self._weights)
            away_s = self._chance.uniform(0, self._longest_away_s)
            is_worker = self._chance.random() < _WORKER_SHARE
            with self._cloud.taken(victim) as is_taken:
                if not is_taken:
                    continue
                self._kill(victim, away_s, is_worker, is_over)
            if count.is_last():
                is_over.set()

    def _kill(self, victim: str, away_s: float, is_worker: bool, is_over: threading.Event) -> None:
        if self._cloud.are_hosts_real and victim in self._cloud.hosts:
            self._outage.happen(victim)
        elif is_worker and self._cloud.parts.kill_worker(victim, self._chance):
            self._report.count("killed", f"a worker of {victim}")
            self._await(victim)
        else:
            self._cloud.parts.kill(victim)
            self._report.count("killed", victim, f"for {away_s:.1f} s")
            is_over.wait(away_s)
            self._cloud.parts.start(victim)
            self._await(victim)

    def _await(self, victim: str) -> None:
        """Until a part is well again. What it waits for itself may be away, taken by another killer."""
        give_up = time.monotonic() + _BACK_WITHIN_S
        while (health := self._cloud.parts.health_of(victim)) != WELL:
            if health == "down":
                # As what watches over it does.
                self._report.count("ended", "by itself", victim)
                self._cloud.parts.start(victim)
            if time.monotonic() > give_up:
                self._report.violation(f"{victim} does not come back: {health}")
                return
            time.sleep(_PAUSE_S)


def _weight(name: str) -> float:
    if name in _SLOW:
        return _SLOW_WEIGHT
    return _ASIDE_WEIGHT if any(fnmatch.fnmatch(name, pattern) for pattern in _ASIDE) else 1.0
