"""The cloud a run acts on: its parts through tools/cloud.sh, its APIs as an administrator who has patience."""

import contextlib
import functools
import json
import os
import re
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import requests
from keystoneauth1 import exceptions, loading, session
from keystoneauth1.adapter import Adapter

from soaking.parts import WELL, Parts

_ROOT = Path(__file__).parents[2]
_TOOL = _ROOT / "tools" / "cloud.sh"
_VERSIONS = {"compute": "compute 2.79", "placement": "placement 1.30"}
_LATER = (500, 502, 503, 504, 401)
_PAUSE_S = 0.5
_BACK_WITHIN_S = 180.0
_LIMITED = ("instances", "cores", "ram", "server_group_members")
# While a part is away, so is whoever needs it: a request is made again for so long.
_PATIENCE_S = 300.0


class Away(Exception):
    """A request had no answer for longer than any part was away."""


class Cloud:
    """One cloud of tools/cloud.sh, named by CLOUD_DIR."""

    def __init__(self) -> None:
        self._directory = Path(os.environ.get("CLOUD_DIR", _ROOT / ".cloud"))
        openrc = _ROOT / "openrc" if self._directory == _ROOT / ".cloud" else self._directory / "openrc"
        shown = subprocess.run(
            ["bash", "-c", f". {openrc} && env -0"], capture_output=True, text=True, check=True
        ).stdout
        said = dict(line.split("=", 1) for line in shown.split("\0") if line.startswith("OS_"))
        words = ("auth_url", "username", "password", "project_name", "user_domain_name", "project_domain_name")
        auth: Any = loading.get_plugin_loader("password").load_from_options(
            **{word: said[f"OS_{word.upper()}"] for word in words}
        )
        self._session = session.Session(auth=auth, timeout=40)
        hosts = self._directory / "hosts"
        self._real = sorted(path.name for path in hosts.iterdir()) if hosts.exists() else []
        self._fake = self._directory / "data" / "fake"
        self.parts = Parts(self._directory, self.tool)
        self._taken: set[str] = set()
        self._lock = threading.Lock()
        self._group = ""
        self._limits: dict[str, int] = {}
        # Hosts that are gone as a whole, and servers whose disks were made anew when they were evacuated from one.
        self.away: set[str] = set()
        self.made_anew: set[str] = set()

    @property
    def are_hosts_real(self) -> bool:
        return bool(self._real)

    @property
    def has_volumes(self) -> bool:
        return "cinder-api" in self.parts.names

    @functools.cached_property
    def project(self) -> str:
        return str(self._session.get_project_id())

    @functools.cached_property
    def network(self) -> str:
        """The network of all servers."""
        [network] = self.ask("network", "GET", "/v2.0/networks?name=private").json()["networks"]
        return str(network["id"])

    def group(self) -> str:
        """The server group of all servers, whose members are apart where that is possible."""
        with self._lock:
            if not self._group:
                body = {"server_group": {"name": "soak", "policy": "soft-anti-affinity"}}
                self._group = self.ask("compute", "POST", "/os-server-groups", body).json()["server_group"]["id"]
        return self._group

    def end_group(self) -> None:
        """Delete the server group of this run."""
        if self._group:
            self.ask("compute", "DELETE", f"/os-server-groups/{self._group}")

    def lift_quota(self) -> None:
        """A create whose answer was lost is made again: for a while there are more servers than lives."""
        path = f"/os-quota-sets/{self.project}"
        limits = self.ask("compute", "GET", path).json()["quota_set"]
        self._limits = {name: limits[name] for name in _LIMITED}
        self.ask("compute", "PUT", path, {"quota_set": dict.fromkeys(_LIMITED, -1)})

    def restore_quota(self) -> None:
        """The limits that were there before lift_quota()."""
        self.ask("compute", "PUT", f"/os-quota-sets/{self.project}", {"quota_set": self._limits})

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What the compute database answers."""
        conf = (self._directory / "etc" / "nova" / "nova-conductor.conf").read_text()
        url = urllib.parse.urlsplit(re.findall(r"^connection = (\S+/nova)\?", conf, re.M)[0])
        login: Any = {"host": url.hostname, "port": url.port, "user": url.username, "password": url.password}
        with pymysql.connect(**login, database="nova") as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    @property
    def hosts(self) -> list[str]:
        """The names of all hosts. A fake one is there as soon as its nova-compute has done anything on it."""
        return self._real or sorted(path.stem for path in self._fake.glob("*.json") if path.stem != "images")

    def tool(self, *words: str) -> str:
        """What tools/cloud.sh says, whatever its status."""
        return subprocess.run([_TOOL, *words], stdout=subprocess.PIPE, text=True, check=False).stdout

    @contextlib.contextmanager
    def taken(self, part: str) -> Iterator[bool]:
        """Whether nobody else has that part away; if so, nobody else takes it meanwhile."""
        with self._lock:
            is_mine = part not in self._taken
            self._taken.add(part)
        try:
            yield is_mine
        finally:
            if is_mine:
                self._taken.discard(part)

    def start_all(self) -> list[str]:
        """Bring back whatever is away. What does not become well, in words."""
        for name, health in self.parts.health().items():
            if health == "down":
                self.parts.start(name)
        return self.wait_until_empty(self._unwell, _BACK_WITHIN_S)

    def _unwell(self) -> list[str]:
        return [
            f"{name} does not come back: {health}" for name, health in self.parts.health().items() if health != WELL
        ]

    def ask(self, service: str, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        """The answer of an API; a request that met a part that is away is made again. Raises Away."""
        adapter = Adapter(self._session, service_type=service, raise_exc=False, connect_retries=0)
        headers = {"OpenStack-API-Version": _VERSIONS[service]} if service in _VERSIONS else {}
        give_up = time.monotonic() + _PATIENCE_S
        while True:
            try:
                answer = adapter.request(path, method, json=body, headers=headers)
                if answer.status_code not in _LATER:
                    return answer
                why = answer.text[:200]
            except (exceptions.ClientException, requests.RequestException) as error:
                why = str(error)[:200]
            if self.away:
                # What is asked of such a host is answered when it is back.
                give_up = time.monotonic() + _PATIENCE_S
            if time.monotonic() > give_up:
                raise Away(f"{method} {path}: {why}")
            time.sleep(_PAUSE_S)

    @contextlib.contextmanager
    def without(self, host: str) -> Iterator[None]:
        """A host is gone as a whole meanwhile."""
        self.away.add(host)
        try:
            yield
        finally:
            self.away.discard(host)

    def guests(self, host: str) -> list[str]:
        """The servers that a host has a guest of, whether it runs or not."""
        if self.are_hosts_real:
            return self.tool("in", host, "virsh", "-q", "list", "--all", "--uuid").split()
        return list(self._state(host)["guests"])

    def directories(self, host: str) -> list[str]:
        """Names of the directories of disks on a host; each begins with its server's id."""
        if self.are_hosts_real:
            directories = self._directory / "hosts" / host / "nova" / "instances"
            return [path.name for path in directories.glob("*-*-*-*-*")]
        return list(self._state(host)["directories"])

    def plugged_ports(self) -> dict[str, set[str]]:
        """The ports that each guest of a fake host has."""
        hosts = () if self.are_hosts_real else self.hosts
        return {uuid: set(guest["vifs"]) for host in hosts for uuid, guest in self._state(host)["guests"].items()}

    def _state(self, host: str) -> dict[str, dict[str, Any]]:
        """What the fake driver has kept of a host."""
        state: dict[str, dict[str, Any]] = json.loads((self._fake / f"{host}.json").read_text())
        return state

    @staticmethod
    def wait_until_empty(look: Callable[[], list[str]], timeout_s: float) -> list[str]:
        """What look() still sees when the time is up; nothing as soon as it sees nothing."""
        give_up = time.monotonic() + timeout_s
        while (seen := look()) and time.monotonic() < give_up:
            time.sleep(2)
        return seen
