"""nova-all as a process of its own, over SQLite and fake hypervisors, and the image service beside it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import requests

from tests.functional.cloud import wait

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from throwaway_databases import free_port

CONF = """
[DEFAULT]
transport_url = local:///
host = controller
state_path = {home}
concurrency_backend = {backend}
compute_driver = fake.FakeDriver
fake_delay = {fake_delay_s}
osapi_compute_listen = 127.0.0.1
osapi_compute_listen_port = {compute}
enabled_apis = osapi_compute
network_api_listen = 127.0.0.1
network_api_listen_port = {network}
network_dataplane = false
report_interval = 1
health_port = {health}
[api]
auth_strategy = noauth2
status_page = true
[database]
connection = sqlite:///{home}/nova.db
[placement_database]
connection = sqlite:///{home}/placement.db
[placement]
listen = 127.0.0.1
listen_port = {placement}
auth_type = admin_token
endpoint = http://127.0.0.1:{placement}
token = admin:service
[neutron]
auth_type = admin_token
endpoint = http://127.0.0.1:{network}
token = admin:service
[glance]
auth_type = admin_token
endpoint = http://127.0.0.1:{image}
token = admin:service
[conductor]
poll_interval_s = 0.5
lease_s = 5
[quota]
instances = -1
cores = -1
ram = -1
[vnc]
enabled = false
"""


# The file says which backend it is, the interpreter whose package.
_NOT_HANDED_ON = ("NOVA_CONCURRENCY_BACKEND", "PYTHONPATH")


class ImageService(NamedTuple):
    """An image service on a port of its own, and the id of the image it has."""

    port: int
    image: str


class NovaAll:
    """nova-all on ports of its own, and how to talk to its Compute API. python: whose nova package runs."""

    def __init__(self, home, backend, image_port, fake_delay_s=0, python=sys.executable):
        self._home = home
        self._python = python
        self.port = free_port()
        self.health_port = free_port()
        self._image_port = image_port
        self._conf = home / "nova.conf"
        self._conf.write_text(
            CONF.format(
                home=home,
                backend=backend,
                fake_delay_s=fake_delay_s,
                compute=self.port,
                health=self.health_port,
                network=free_port(),
                placement=free_port(),
                image=image_port,
            )
        )
        self.run("nova.cmd.manage", "db", "sync")
        self.run("nova.cmd.placement_manage", "db", "sync")

    def start(self):
        log = (self._home / "nova-all.log").open("ab")
        self._process = subprocess.Popen(
            self._command("nova.cmd.all"), stdout=log, stderr=log, env=self._environment(), cwd=self._home
        )
        wait(lambda: self.up_hosts(), "nova-all has a host", timeout_s=60)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def end(self):
        """Ask it to end; its status."""
        self._process.terminate()
        return self._process.wait(60)

    def up_hosts(self):
        try:
            answer = self.send("GET", "/os-services?binary=nova-compute")
        except requests.ConnectionError:
            return []
        return [service for service in answer.json().get("services", []) if service["state"] == "up"]

    def send(self, method, path, body=None):
        headers = {"X-Auth-Token": "admin:admin", "OpenStack-API-Version": "compute 2.90"}
        return requests.request(
            method, f"http://127.0.0.1:{self.port}/v2.1{path}", json=body, headers=headers, timeout=60
        )

    def add_flavor(self):
        flavor = {"name": "tiny", "id": "tiny", "ram": 1, "vcpus": 1, "disk": 0}
        assert self.send("POST", "/flavors", {"flavor": flavor}).status_code == 200

    def create_server(self, image):
        body = {"name": "one", "flavorRef": "tiny", "imageRef": image, "networks": "none"}
        answer = self.send("POST", "/servers", {"server": body})
        assert answer.status_code == 202, answer.text
        return answer.json()["server"]["id"]

    def statuses(self):
        return [server["status"] for server in self.send("GET", "/servers/detail").json()["servers"]]

    def run(self, module, *words):
        """What a command prints; it must end well."""
        command = [*self._command(module), *words]
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment(), cwd=self._home)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _command(self, module):
        code = f"from {module} import main; raise SystemExit(main())"
        return [self._python, "-W", "ignore", "-c", code, "--config-file", str(self._conf)]

    @staticmethod
    def _environment():
        return {name: value for name, value in os.environ.items() if name not in _NOT_HANDED_ON}
