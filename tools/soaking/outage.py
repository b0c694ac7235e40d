"""The end of a whole host, as a power cut is, and what its operator does about it."""

import random
import time
from typing import Any

from soaking.cloud import Cloud
from soaking.report import Report

_EVACUABLE = ("ACTIVE", "SHUTOFF", "ERROR")
# Of the servers on a host that is gone: the others wait for it.
_EVACUATED_SHARE = 0.7
# Longer than an operation takes to notice that its host is gone, and to give up.
_ACCEPTED_WITHIN_S = 180.0
_RESTS_WITHIN_S = 300.0
_UP_WITHIN_S = 120.0
_PAUSE_S = 2.0


class Outage:
    """Everything of a host is killed: its nova-compute, its libvirtd, its guests."""

    def __init__(self, cloud: Cloud, chance: random.Random, report: Report) -> None:
        self._cloud = cloud
        self._chance = chance
        self._report = report

    def happen(self, host: str) -> None:
        """Lose the host, evacuate most of its servers, and bring it back."""
        with self._cloud.without(host):
            self._cloud.tool("kill", host)
            self._report.count("killed", host, "whole")
            self._force_down(host, True)
            moved = [uuid for uuid in self._servers_on(host) if self._chance.random() < _EVACUATED_SHARE]
            for uuid in moved:
                self._evacuate(uuid, host)
            self._wait_for(moved)
            self._cloud.tool("start", host)
            self._force_down(host, False)
            self._wait_until_up(host)

    def _service(self, host: str) -> dict[str, Any]:
        path = f"/os-services?binary=nova-compute&host={host}"
        service: dict[str, Any] = self._cloud.ask("compute", "GET", path).json()["services"][0]
        return service

    def _force_down(self, host: str, is_down: bool) -> None:
        path = f"/os-services/{self._service(host)['id']}"
        answer = self._cloud.ask("compute", "PUT", path, {"forced_down": is_down})
        if answer.status_code != 200:
            self._report.violation(f"host {host}: forced_down is answered {answer.status_code}: {answer.text[:200]}")

    def _servers_on(self, host: str) -> list[str]:
        """Those of the run: what else lives on this cloud waits for its host."""
        path = f"/servers?all_tenants=1&name=^soak-&host={host}"
        listed = self._cloud.ask("compute", "GET", path).json()["servers"]
        return sorted(server["id"] for server in listed)

    def _evacuate(self, uuid: str, host: str) -> None:
        """Once nothing else is done to it; a server that is not to be evacuated as it is waits for its host, and one that
        has left it meanwhile needs nothing."""
        give_up = time.monotonic() + _ACCEPTED_WITHIN_S
        while time.monotonic() < give_up:
            shown = self._cloud.ask("compute", "GET", f"/servers/{uuid}")
            if shown.status_code != 200 or self._is_at_rest(shown.json()["server"], but_for=_EVACUABLE):
                return
            if shown.json()["server"]["OS-EXT-SRV-ATTR:host"] != host:
                return
            # Hosts of this cloud share no storage: its disk is made of its image again.
            self._cloud.made_anew.add(uuid)
            answer = self._cloud.ask("compute", "POST", f"/servers/{uuid}/action", {"evacuate": {}})
            if answer.status_code == 200:
                self._report.count("asked", "evacuate", uuid)
                return
            self._cloud.made_anew.discard(uuid)
            if answer.status_code == 400 and "still in use" in answer.text:
                # It has left the host between the two requests: the next look tells.
                continue
            if answer.status_code not in (404, 409):
                self._report.violation(f"evacuate of {uuid} is answered {answer.status_code}: {answer.text[:200]}")
                return
            time.sleep(_PAUSE_S)

    def _wait_for(self, uuids: list[str]) -> None:
        give_up = time.monotonic() + _RESTS_WITHIN_S
        for uuid in uuids:
            while time.monotonic() < give_up:
                shown = self._cloud.ask("compute", "GET", f"/servers/{uuid}")
                if shown.status_code != 200 or shown.json()["server"]["OS-EXT-STS:task_state"] is None:
                    break
                time.sleep(_PAUSE_S)

    def _wait_until_up(self, host: str) -> None:
        give_up = time.monotonic() + _UP_WITHIN_S
        while time.monotonic() < give_up:
            service = self._service(host)
            if (service["state"], service["status"]) == ("up", "enabled"):
                return
            time.sleep(_PAUSE_S)
        self._report.violation(f"host {host} does not come back: {self._service(host)}")

    @staticmethod
    def _is_at_rest(server: dict[str, Any], but_for: tuple[str, ...]) -> bool:
        return server["OS-EXT-STS:task_state"] is None and server["status"] not in but_for
