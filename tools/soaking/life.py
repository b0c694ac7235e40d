"""What one server of a run lives through, operation after operation, and what must be true of it after each."""

import random
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from soaking.belongings import Belongings
from soaking.cloud import Away, Cloud
from soaking.report import Report

# What may be asked for in each status, and how often relative to each other.
_CHOICES: dict[str, dict[str, int]] = {
    "ACTIVE": {
        "reboot": 2,
        "os-stop": 2,
        "os-migrateLive": 3,
        "migrate": 3,
        "resize": 3,
        "shelve": 2,
        "pause": 1,
        "suspend": 1,
        "rebuild": 1,
        "interface": 2,
        "volume": 2,
        "snapshot": 1,
        "metadata": 1,
        "console": 1,
    },
    "SHUTOFF": {"os-start": 4, "migrate": 1, "interface": 1, "volume": 1, "rebuild": 1},
    "VERIFY_RESIZE": {"confirmResize": 1, "revertResize": 1},
    "PAUSED": {"unpause": 1},
    "SUSPENDED": {"resume": 1},
    "SHELVED": {"unshelve": 1},
    "SHELVED_OFFLOADED": {"unshelve": 1},
}
_BELONGINGS = ("interface", "volume", "snapshot", "metadata", "console")
_BOOTED = re.compile(r"boot (\d+) of this disk")
# After these the guest says once more how often its disk was booted.
_BOOT = ("create", "reboot", "os-start", "migrate", "resize", "revertResize", "unshelve", "rebuild")
# Each has a larger disk than the one before: disks never shrink.
_FLAVORS = ("m1.tiny", "m1.small", "m1.medium", "m1.large")
# Longer than any operation takes with a part away in each of its steps.
_RESTS_WITHIN_S = 600.0
_BOOTS_WITHIN_S = 300.0


class Life:
    """One server after another, each deleted by chance and made anew."""

    def __init__(self, cloud: Cloud, chance: random.Random, report: Report, name: str) -> None:
        self._cloud = cloud
        self._chance = chance
        self._report = report
        self._name = name
        self._id = ""
        # How often its disk was booted, as far as anybody saw.
        self._boots = 0
        # The same of the disk that a resize has put aside, which is the server's again when that is reverted.
        self._boots_aside = 0
        self._must_boot = False
        self._flavors: dict[str, str] = {}
        self._belongings = Belongings(cloud, chance, report, name)
        # No server has the name of an earlier one: of a request that is made again nobody knows whether it was heard.
        self._number = 0

    def clear(self) -> None:
        """Delete what an earlier run has left of it."""
        for server in self._cloud.ask("compute", "GET", f"/servers?name=^{self._name}(-|$)").json()["servers"]:
            self._delete(server["id"])

    def run(self, is_over: threading.Event) -> None:
        """Live until it is over."""
        while not is_over.is_set():
            self.patiently(lambda: self._live(is_over))

    def patiently(self, what: Callable[[], None]) -> None:
        """Do something that asks the cloud; one that gives no answer for longer than it may is a violation."""
        try:
            what()
        except Away as error:
            self._report.violation(f"{self._name}: no answer: {error}")

    def settle(self) -> None:
        """Come to rest, start, and look at the disk for the last time."""
        if not self._id:
            return
        shown = self._rest()
        for action in ("revertResize", "unshelve", "resume", "unpause"):
            if shown is not None and action in _CHOICES.get(shown["status"], {}):
                self._act(action)
                shown = self._rest()
        if shown is not None:
            self._act("reboot")
            self._look(self._rest())

    def end(self) -> None:
        """Delete it, and what it had."""
        self._end_server()
        self._belongings.end()

    def _end_server(self) -> None:
        if self._id:
            uuid, self._id = self._id, ""
            self._delete(uuid)

    def _delete(self, uuid: str) -> None:
        self._cloud.ask("compute", "DELETE", f"/servers/{uuid}")
        give_up = time.monotonic() + _RESTS_WITHIN_S
        while time.monotonic() < give_up:
            if self._cloud.ask("compute", "GET", f"/servers/{uuid}").status_code == 404:
                return
            time.sleep(1)
        self._report.violation(f"{self._name}: server {uuid} is not deleted")

    def _live(self, is_over: threading.Event) -> None:
        if not self._id:
            self._create()
        shown = self._rest() if self._id else None
        if shown is None:
            return
        if shown["status"] == "ERROR":
            self._report.count("ended", "in ERROR", f"{self._name}: {shown.get('fault', {}).get('message')}")
            self._mend()
            return
        self._look(shown)
        self._belongings.check(shown)
        if self._chance.random() < 0.05:
            self._end_server()
            return
        choices = _CHOICES.get(shown["status"], {})
        if not choices:
            self._report.violation(f"{self._name}: server {self._id} rests as {shown['status']}")
            self._mend()
            return
        if not is_over.is_set():
            [action] = self._chance.choices(list(choices), list(choices.values()))
            if action in _BELONGINGS:
                self._belongings.do(action, self._boots)
            else:
                self._act(action)

    def _create(self) -> None:
        self._number += 1
        wanted = {
            "name": f"{self._name}-{self._number}",
            "imageRef": self._image(),
            "flavorRef": self._flavor(_FLAVORS[0]),
            "networks": [{"uuid": self._cloud.network}],
        }
        body = {"server": wanted, "os:scheduler_hints": {"group": self._cloud.group()}}
        answer = self._cloud.ask("compute", "POST", "/servers", body)
        self._report.count("asked", "create", self._name)
        if answer.status_code != 202:
            self._report.violation(f"{self._name}: create is answered {answer.status_code}: {answer.text[:200]}")
            time.sleep(5)
            return
        self._id, self._boots, self._must_boot = answer.json()["server"]["id"], 0, True
        self._belongings.begin(self._id)
        # A request whose answer was lost was made again.
        for server in self._cloud.ask("compute", "GET", f"/servers?name=^{wanted['name']}$").json()["servers"]:
            if server["id"] != self._id:
                self._delete(server["id"])

    def _act(self, action: str) -> None:
        larger = self._larger_flavor() if action == "resize" else None
        if action == "resize" and larger is None:
            action = "migrate"
        image, boots_in_image = self._image_to_rebuild_from() if action == "rebuild" else ("", 0)
        body: Any = {
            "reboot": {"type": "HARD"},
            "os-migrateLive": {"host": None, "block_migration": "auto"},
            "resize": {"flavorRef": larger},
            "rebuild": {"imageRef": image},
        }.get(action)
        if action in ("migrate", "resize"):
            self._boots_aside = self._boots
        elif action in ("rebuild", "revertResize"):
            self._boots = self._boots_aside if action == "revertResize" else boots_in_image
        self._must_boot = action in _BOOT
        answer = self._cloud.ask("compute", "POST", f"/servers/{self._id}/action", {action: body})
        self._report.count("asked", action, f"{self._name}: {answer.status_code}")
        # What was asked for twice, or met a guest that ended by itself, is refused for the state it finds; so is what meets
        # an operation that shows no task_state.
        if answer.status_code == 409:
            time.sleep(1)
        if answer.status_code not in (200, 202, 204, 409):
            self._report.violation(f"{self._name}: {action} is answered {answer.status_code}: {answer.text[:200]}")

    def _rest(self) -> dict[str, Any] | None:
        """The server once nothing is under way; None when it is stuck or gone."""
        give_up = time.monotonic() + _RESTS_WITHIN_S
        while time.monotonic() < give_up:
            answer = self._cloud.ask("compute", "GET", f"/servers/{self._id}")
            if answer.status_code == 404:
                self._report.violation(f"{self._name}: server {self._id} is gone")
                self._id = ""
                return None
            shown: dict[str, Any] = answer.json()["server"]
            if shown["OS-EXT-SRV-ATTR:host"] in self._cloud.away:
                # It is evacuated, or waits for its host.
                give_up = time.monotonic() + _RESTS_WITHIN_S
            elif shown["OS-EXT-STS:task_state"] is None and shown["status"] != "BUILD":
                return shown
            time.sleep(1)
        self._report.violation(
            f"{self._name}: server {self._id} is stuck: {shown['status']}, {shown['OS-EXT-STS:task_state']}"
        )
        self._end_server()
        return None

    def _look(self, shown: dict[str, Any] | None) -> None:
        """A guest that runs has the disk that it has written to so far."""
        if shown is None or shown["status"] != "ACTIVE":
            return
        give_up = time.monotonic() + (_BOOTS_WITHIN_S if self._must_boot else 0)
        while True:
            body: dict[str, Any] = {"os-getConsoleOutput": {}}
            answer = self._cloud.ask("compute", "POST", f"/servers/{self._id}/action", body)
            if answer.status_code in (404, 409):
                return
            counts = [int(count) for count in _BOOTED.findall(answer.json().get("output", ""))]
            if counts:
                if counts[-1] < self._boots and self._id in self._cloud.made_anew:
                    self._cloud.made_anew.discard(self._id)
                elif counts[-1] < self._boots:
                    self._report.violation(
                        f"{self._name}: the disk of {self._id} has been booted {self._boots} times and says {counts[-1]}"
                    )
                self._boots = counts[-1]
                return
            # A guest that moved alive begins a new log on the other host, and says nothing there until it boots.
            if time.monotonic() >= give_up:
                break
            if not self._runs():
                # Its host was lost meanwhile.
                return
            time.sleep(1)
        if self._must_boot:
            self._report.violation(f"{self._name}: the guest of {self._id} does not boot")

    def _runs(self) -> bool:
        answer = self._cloud.ask("compute", "GET", f"/servers/{self._id}")
        if answer.status_code != 200:
            return False
        shown = answer.json()["server"]
        is_lost = shown["OS-EXT-SRV-ATTR:host"] in self._cloud.away
        return shown["status"] == "ACTIVE" and shown["OS-EXT-STS:task_state"] is None and not is_lost

    def _mend(self) -> None:
        """As an operator does: the state is reset, and the guest started from the disk it has."""
        self._cloud.ask("compute", "POST", f"/servers/{self._id}/action", {"os-resetState": {"state": "active"}})
        self._act("reboot")
        shown = self._rest()
        if shown is not None and shown["status"] == "ERROR":
            fault = shown.get("fault", {})
            if "disk is missing" in str(fault.get("message")) and self._boots:
                self._report.violation(f"{self._name}: the disk of {self._id} is lost")
            self._end_server()

    def _image(self) -> str:
        [image] = self._cloud.ask("image", "GET", "/v2/images?name=tiny").json()["images"]
        return str(image["id"])

    def _image_to_rebuild_from(self) -> tuple[str, int]:
        """The image, and how often the disk in it had been booted: that of an earlier disk, or the first."""
        own = self._belongings.image() if self._chance.random() < 0.5 else None
        return (own, self._belongings.boots_in_image) if own is not None else (self._image(), 0)

    def _flavor(self, name: str) -> str:
        if not self._flavors:
            listed = self._cloud.ask("compute", "GET", "/flavors").json()["flavors"]
            self._flavors = {flavor["name"]: flavor["id"] for flavor in listed}
        return self._flavors[name]

    def _larger_flavor(self) -> str | None:
        """None for the largest."""
        shown = self._cloud.ask("compute", "GET", f"/servers/{self._id}").json()["server"]
        larger = _FLAVORS[_FLAVORS.index(shown["flavor"]["original_name"]) + 1 :]
        return self._flavor(larger[0]) if larger else None
