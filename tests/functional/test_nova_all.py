"""The real nova-all, as a process of its own: many at once do not stop it, nor does what it was killed in."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from nova.http.limits import Limits
from nova.http.server import HttpServer
from nova.http.service import listen
from tests.functional.cloud import wait
from tests.functional.glance import FakeGlance

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
[api]
auth_strategy = noauth2
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
AT_ONCE = 100


class NovaAll:
    """nova-all on ports of its own, and how to talk to its Compute API."""

    def __init__(self, home, backend, image_port, fake_delay_s):
        self._home = home
        self._port = free_port()
        self._image_port = image_port
        self._conf = home / "nova.conf"
        self._conf.write_text(
            CONF.format(
                home=home,
                backend=backend,
                fake_delay_s=fake_delay_s,
                compute=self._port,
                network=free_port(),
                placement=free_port(),
                image=image_port,
            )
        )
        self._run("nova.cmd.manage", "db", "sync")
        self._run("nova.cmd.placement_manage", "db", "sync")

    def start(self):
        log = (self._home / "nova-all.log").open("ab")
        self._process = subprocess.Popen(self._command("nova.cmd.all"), stdout=log, stderr=log, env=self._environment())
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
            method, f"http://127.0.0.1:{self._port}/v2.1{path}", json=body, headers=headers, timeout=60
        )

    def create_server(self, image):
        body = {"name": "one", "flavorRef": "tiny", "imageRef": image, "networks": "none"}
        answer = self.send("POST", "/servers", {"server": body})
        assert answer.status_code == 202, answer.text
        return answer.json()["server"]["id"]

    def statuses(self):
        return [server["status"] for server in self.send("GET", "/servers/detail").json()["servers"]]

    def _run(self, module, *words):
        subprocess.run([*self._command(module), *words], check=True, capture_output=True, env=self._environment())

    def _command(self, module):
        code = f"from {module} import main; raise SystemExit(main())"
        return [sys.executable, "-W", "ignore", "-c", code, "--config-file", str(self._conf)]

    @staticmethod
    def _environment():
        # The file says which backend it is.
        return {name: value for name, value in os.environ.items() if name != "NOVA_CONCURRENCY_BACKEND"}


@pytest.fixture
def images():
    glance = FakeGlance()
    port = free_port()
    server = HttpServer(listen("127.0.0.1", port), glance, Limits(requests=10, connections_per_source=0))
    server.start()
    yield port, glance.add("tiny")
    server.stop()


@pytest.fixture(params=["eventlet", "threading"])
def make_nova_all(request, tmp_path, images):
    made = []

    def make(fake_delay_s):
        nova = NovaAll(tmp_path, request.param, images[0], fake_delay_s)
        made.append(nova)
        nova.start()
        flavor = {"name": "tiny", "id": "tiny", "ram": 1, "vcpus": 1, "disk": 0}
        assert nova.send("POST", "/flavors", {"flavor": flavor}).status_code == 200
        return nova

    yield make
    for nova in made:
        nova.kill()


def test_a_hundred_at_once_are_created_and_deleted(make_nova_all, images):
    nova = make_nova_all(fake_delay_s=0)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        servers = list(pool.map(lambda _: nova.create_server(images[1]), range(AT_ONCE)))
        wait(lambda: nova.statuses() == ["ACTIVE"] * AT_ONCE, "all servers are active", timeout_s=120)
        deleted = list(pool.map(lambda server: nova.send("DELETE", f"/servers/{server}").status_code, servers))
        wait(lambda: nova.statuses() == [], "all servers are gone", timeout_s=120)

    assert deleted == [204] * AT_ONCE
    assert nova.end() == 0


def test_what_was_under_way_when_it_was_killed_ends_after_the_next_start(make_nova_all, images):
    nova = make_nova_all(fake_delay_s=1)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: nova.create_server(images[1]), range(40)))

    nova.kill()
    nova.start()

    wait(lambda: nova.statuses() == ["ACTIVE"] * 40, "all servers are active", timeout_s=120)
