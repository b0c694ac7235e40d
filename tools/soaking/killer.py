"""Kills parts of a cloud, and whole hosts, at random times, and brings each back."""

import fnmatch
import random
import threading
import time

from soaking.cloud import Cloud
from soaking.outage import Outage
from soaking.report import Report

# What other services keep is not what is tried.
_BACK_WITHIN_S = 180.0
_SPARED = ("cinder", "epmd", "glance", "keystone")


class Killer:
    """One part at a time: two that are away at once are what a cloud of one of each does not promise to live through."""

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
        parts = sorted(name for name in cloud.parts() if name not in logs and not name.startswith(_SPARED))
        self._victims = fnmatch.filter(parts, victims)

    def run(self, is_over: threading.Event, kills: int | None) -> None:
        """Kill until it is over, or until there were so many; then it is over."""
        done = 0
        while not is_over.wait(self._chance.expovariate(1 / self._pause_s)):
            self._kill(self._chance.choice(self._victims), self._chance.uniform(0, self._longest_away_s), is_over)
            done += 1
            if kills is not None and done >= kills:
                is_over.set()

    def _kill(self, victim: str, away_s: float, is_over: threading.Event) -> None:
        if self._cloud.are_hosts_real and victim in self._cloud.hosts:
            self._outage.happen(victim)
            return
        self._cloud.tool("kill", victim)
        self._report.count("killed", victim, f"for {away_s:.1f} s")
        is_over.wait(away_s)
        self._cloud.tool("start", victim)
        give_up = time.monotonic() + _BACK_WITHIN_S
        while not self._cloud.are_well():
            if time.monotonic() > give_up:
                self._report.violation(f"{victim} does not come back: {self._cloud.parts()}")
                return
            is_over.wait(1)
