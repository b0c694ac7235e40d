"""What a server of a run has beside its disk: ports, a volume, an image of it, metadata. Given, taken away, and looked at."""

import random
import time
from typing import Any

from soaking.cloud import Cloud
from soaking.report import Report

_SETTLES_WITHIN_S = 120.0
# Refused for the state that a request meets, or because the first of two of the same was heard.
_REFUSED = (400, 404, 409)
_MOST_PORTS = 3
_PAUSE_S = 1.0


class Belongings:
    """Of one server at a time, under one name."""

    def __init__(self, cloud: Cloud, chance: random.Random, report: Report, name: str) -> None:
        self._cloud = cloud
        self._chance = chance
        self._report = report
        self._name = name
        self._server = ""
        self._volume = ""
        # An image of the server's disk, and how often that had been booted.
        self._image = ""
        self.boots_in_image = 0
        self._metadata: dict[str, str] = {}

    def begin(self, server: str) -> None:
        """Another server has the name. The volume is nobody's, and the image stays."""
        self._server, self._metadata = server, {}

    def image(self) -> str | None:
        """The image of the disk, when there is one that is whole."""
        return self._image if self._image and self._status_of_image() == "active" else None

    def do(self, what: str, boots: int) -> None:
        {
            "interface": self._change_interfaces,
            "volume": self._change_volume,
            "snapshot": lambda: self._snapshot(boots),
            "metadata": self._write_metadata,
            "console": self._open_console,
        }[what]()

    def check(self, shown: dict[str, Any]) -> None:
        """The server has what it was given, and its image is whole or gone."""
        if shown["metadata"] != self._metadata:
            self._report.violation(f"{self._name}: metadata {shown['metadata']}, given were {self._metadata}")
            self._metadata = shown["metadata"]
        if self._image and self._status_of_image() not in ("active", "gone"):
            self._report.violation(f"{self._name}: image {self._image} is left {self._status_of_image()}")
            self._forget_image()

    def end(self) -> None:
        """Delete what outlives the server."""
        self._forget_image()
        if self._volume:
            self._wait_for_volume()
            self._cloud.ask("block-storage", "DELETE", f"/volumes/{self._volume}")
            self._volume = ""

    def _change_interfaces(self) -> None:
        path = f"/servers/{self._server}/os-interface"
        answer = self._cloud.ask("compute", "GET", path)
        ports = [one["port_id"] for one in answer.json().get("interfaceAttachments", ())]
        if len(ports) > 1 and (len(ports) >= _MOST_PORTS or self._chance.random() < 0.5):
            self._asked(
                "detach interface", self._cloud.ask("compute", "DELETE", f"{path}/{self._chance.choice(ports)}")
            )
        else:
            body = {"interfaceAttachment": {"net_id": self._cloud.network}}
            self._asked("attach interface", self._cloud.ask("compute", "POST", path, body))

    def _change_volume(self) -> None:
        if not self._cloud.has_volumes:
            return
        if not self._volume:
            body = {"volume": {"size": 1, "name": self._name}}
            self._volume = self._cloud.ask("block-storage", "POST", "/volumes", body).json()["volume"]["id"]
            self._wait_for_volume()
        path = f"/servers/{self._server}/os-volume_attachments"
        attached = [one["volumeId"] for one in self._cloud.ask("compute", "GET", path).json()["volumeAttachments"]]
        if self._volume in attached:
            self._asked("detach volume", self._cloud.ask("compute", "DELETE", f"{path}/{self._volume}"))
        else:
            body = {"volumeAttachment": {"volumeId": self._volume}}
            self._asked("attach volume", self._cloud.ask("compute", "POST", path, body))

    def _snapshot(self, boots: int) -> None:
        self._forget_image()
        body = {"createImage": {"name": f"{self._name}-snapshot"}}
        answer = self._cloud.ask("compute", "POST", f"/servers/{self._server}/action", body)
        self._asked("snapshot", answer)
        if answer.status_code == 202:
            self._image, self.boots_in_image = answer.json()["image_id"], boots

    def _write_metadata(self) -> None:
        given = {"turn": str(self._chance.randrange(10**6))}
        answer = self._cloud.ask("compute", "PUT", f"/servers/{self._server}/metadata", {"metadata": given})
        self._asked("metadata", answer)
        if answer.status_code == 200:
            self._metadata = given

    def _open_console(self) -> None:
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        self._asked("console", self._cloud.ask("compute", "POST", f"/servers/{self._server}/remote-consoles", body))

    def _asked(self, what: str, answer: Any) -> None:
        self._report.count("asked", what, f"{self._name}: {answer.status_code}")
        if not answer.ok and answer.status_code not in _REFUSED:
            self._report.violation(f"{self._name}: {what} is answered {answer.status_code}: {answer.text[:200]}")

    def _status_of_image(self) -> str:
        answer = self._cloud.ask("image", "GET", f"/v2/images/{self._image}")
        return str(answer.json()["status"]) if answer.status_code == 200 else "gone"

    def _forget_image(self) -> None:
        if self._image:
            self._cloud.ask("image", "DELETE", f"/v2/images/{self._image}")
            self._image = ""

    def _wait_for_volume(self) -> None:
        give_up = time.monotonic() + _SETTLES_WITHIN_S
        while time.monotonic() < give_up:
            answer = self._cloud.ask("block-storage", "GET", f"/volumes/{self._volume}")
            if answer.status_code == 404 or answer.json()["volume"]["status"] == "available":
                return
            time.sleep(_PAUSE_S)
        self._report.violation(f"{self._name}: volume {self._volume} is not available")
