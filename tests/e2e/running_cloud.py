"""A development cloud as tests see it: brought up and down by tools/cloud.sh, used with the clients users have.

Nothing here reaches into the control plane: what a test learns, a user or an operator could learn too.
"""

import contextlib
import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from openstack import connect
from openstack.connection import Connection

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "cloud.sh"
OPTIONS = {
    "embedded": ("--volumes",),
    "distributed": ("--volumes", "--distributed", "--hosts", "2"),
    "neutron": ("--neutron", "--distributed", "--hosts", "2", "--volumes", "--heat"),
}


class CommandFailed(Exception):
    """A command ended with another status than 0; the message holds what it said."""


class Cloud:
    """One cloud in one directory; a port offset keeps it apart from others on this machine."""

    def __init__(self, directory: Path, mode: str, port_offset: int) -> None:
        self.directory = directory
        self.mode = mode
        self.port_offset = port_offset
        self._client: Connection | None = None

    def up(self) -> str:
        return self.tool("up", *OPTIONS[self.mode], timeout_s=900)

    def down(self) -> str:
        self._client = None
        return self.tool("down", timeout_s=300)

    def tool(self, *arguments: str, timeout_s: float = 120) -> str:
        """What tools/cloud.sh says."""
        environment = os.environ | {"CLOUD_DIR": str(self.directory), "CLOUD_PORT_OFFSET": str(self.port_offset)}
        return run([str(TOOL), *arguments], environment, timeout_s)

    def run(self, *arguments: str, timeout_s: float = 300) -> str:
        """What the openstack CLI prints for these arguments."""
        return run(["openstack", *arguments], self.environment(), timeout_s)

    def openstack(self, *arguments: str, timeout_s: float = 300) -> Any:
        """The same, for a command that shows or lists something: its answer."""
        return json.loads(self.run(*arguments, "--format", "json", timeout_s=timeout_s))

    def sdk(self) -> Connection:
        if self._client is None:
            environment = self.environment()
            self._client = connect(
                load_envvars=False,
                load_yaml_config=False,
                auth_url=environment["OS_AUTH_URL"],
                username=environment["OS_USERNAME"],
                password=environment["OS_PASSWORD"],
                project_name=environment["OS_PROJECT_NAME"],
                user_domain_name="Default",
                project_domain_name="Default",
                region_name="RegionOne",
            )
        return self._client

    def environment(self) -> dict[str, str]:
        """A user's environment after `. openrc`."""
        shown = run(["bash", "-c", f". {self.openrc()} && env -0"], {"PATH": os.environ["PATH"]}, 10)
        return os.environ | dict(line.split("=", 1) for line in shown.split("\0") if "=" in line)

    def openrc(self) -> Path:
        return ROOT / "openrc" if self.directory == ROOT / ".cloud" else self.directory / "openrc"

    def hosts(self) -> list[str]:
        return [path.name for path in sorted((self.directory / "hosts").iterdir())]

    def in_host(self, host: str, *command: str) -> str:
        return self.tool("in", host, *command)

    def guests(self) -> set[str]:
        """UUIDs of all guests on all hosts, running or not."""
        return {
            uuid
            for host in self.hosts()
            for uuid in self.in_host(host, "virsh", "-q", "list", "--all", "--uuid").split()
        }

    def guest_directories(self) -> set[str]:
        """UUIDs whose disks lie on some host."""
        return {
            path.name
            for host in self.hosts()
            for path in (self.directory / "hosts" / host / "nova" / "instances").glob("*-*-*-*-*")
        }

    def allocated_consumers(self) -> set[str]:
        """UUIDs that hold room on some host, as Placement sees it."""
        placement = self.sdk().placement
        consumers: set[str] = set()
        for provider in placement.resource_providers():
            answer = placement.get(f"/resource_providers/{provider.id}/allocations")
            consumers |= set(answer.json()["allocations"])
        return consumers

    def port_owners(self) -> set[str]:
        """UUIDs of the servers that have ports."""
        return {
            port.device_id for port in self.sdk().network.ports() if (port.device_owner or "").startswith("compute:")
        }

    def leftovers(self) -> dict[str, set[str]]:
        """What belongs to no server: guests, disks, room on hosts, ports. Empty when all is well."""
        servers = {server.id for server in self.sdk().compute.servers(all_projects=True)}
        found = {
            "guests": self.guests() - servers,
            "disks": self.guest_directories() - servers,
            "allocations": self.allocated_consumers() - servers,
            "ports": self.port_owners() - servers,
        }
        return {kind: left for kind, left in found.items() if left}

    def wait_for(self, condition: Callable[[], Any], timeout_s: float = 120) -> Any:
        """The first true answer of condition; the last one, whatever it is, when time is up."""
        deadline = time.monotonic() + timeout_s
        while not (answer := condition()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return answer

    def wait_for_console(self, server: str, text: str, timeout_s: float = 120) -> str:
        """The server's console log, once text is in it. A server that is still being built has none."""
        self.wait_for(lambda: self.sdk().compute.get_server(server).status != "BUILD", timeout_s)
        log = ""

        def has_text() -> bool:
            nonlocal log
            log = self.sdk().compute.get_server_console_output(server)["output"] or ""
            return text in log

        self.wait_for(has_text, timeout_s)
        return log

    @contextlib.contextmanager
    def server(self, name: str, **more: Any) -> Iterator[Any]:
        """A new server of the tiny image, requested but not waited for; deleted in the end."""
        client = self.sdk()
        wanted = {
            "name": name,
            "image_id": client.image.find_image("tiny").id,
            "flavor_id": client.compute.find_flavor("m1.tiny").id,
            "networks": [{"uuid": client.network.find_network("private").id}],
            "key_name": "k1",
        }
        server = client.compute.create_server(**wanted | more)
        try:
            yield server
        finally:
            client.compute.delete_server(server, ignore_missing=True)
            client.compute.wait_for_delete(server, interval=0.5, wait=120)

    def external_network(self) -> Any:
        """The network to which the router of the network private leads."""
        return self.sdk().network.find_network("public", ignore_missing=False)


def unused_name(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:8]}"


def run(command: list[str], environment: dict[str, str], timeout_s: float) -> str:
    """The output of a command. Raises CommandFailed with its last words."""
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as expired:
        said = (expired.stdout or b"").decode() + (expired.stderr or b"").decode()
        raise CommandFailed(f"{' '.join(command)}: no end after {timeout_s} s\n{said[-4000:]}") from expired
    if done.returncode:
        raise CommandFailed(
            f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
    return done.stdout
