"""The daemon as an operator runs it."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from nova.concurrency import wait_for
from tests.functional.network.machines import Machine

CONF = """
[DEFAULT]
transport_url = local://
networks_path = {directory}/networks
network_api_listen = 127.0.0.1
state_path = {directory}
host = network-1
[api]
auth_strategy = noauth2
[database]
connection = sqlite:///{database}
"""

# A conductor's part that nova-network needs, in the daemon's own process.
DAEMON = """
import sys
from nova.cmd import network
from nova import daemon
from nova.conductor.calls.networks import NetworkingCalls
from nova.conductor.service import open_database
sys.exit(daemon.run("nova-network", lambda conf: network.build(conf, NetworkingCalls(open_database(conf)))))
"""


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    yield machine
    machine.close()


@pytest.fixture
def configuration(tmp_path, empty_database):
    path = tmp_path / "nova.conf"
    path.write_text(CONF.format(directory=tmp_path, database=empty_database))
    return path


def test_networks_are_made_outlive_a_kill_and_go_with_teardown(machine, configuration):
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    # In the machine's network and nothing else of it: namespaces must be there for all.
    command = ["nsenter", f"--net=/run/netns/{machine.name}", sys.executable]

    def start():
        daemon = subprocess.Popen(
            [*command, "-c", DAEMON, f"--config-file={configuration}"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        machine.processes.append(daemon)
        assert wait_for(lambda: ask("GET", "networks"), timeout_s=60, interval_s=0.2)
        return daemon

    def ask(method, path, body=None):
        headers = {"X-Auth-Token": "admin:admin"}
        with machine.inside():
            try:
                return requests.request(
                    method, f"http://127.0.0.1:9696/v2.0/{path}", json=body, headers=headers, timeout=20
                )
            except requests.RequestException:
                return None

    def has_address():
        """Whether a network of this daemon has its DHCP server's address, and the machine none."""
        shown = [subprocess.run(["ip", "-n", name, "addr"], capture_output=True, text=True).stdout for name in spaces()]
        assert "10.20.0." not in machine.run("ip", "addr")
        return any("10.20.0.254/24" in text for text in shown)

    def spaces():
        return [path.name for path in Path("/run/netns").glob(f"nova-{realm}-*")]

    realm = hashlib.sha256(os.path.realpath(configuration.parent / "networks").encode()).hexdigest()[:6]

    daemon = start()
    network = ask("POST", "networks", {"network": {"name": "private"}}).json()["network"]
    body = {"network_id": network["id"], "ip_version": 4, "cidr": "10.20.0.0/24"}
    ask("POST", "subnets", {"subnet": body})
    assert wait_for(has_address, timeout_s=90)

    daemon.kill()
    daemon.wait()
    assert has_address()
    daemon = start()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=30) == 0
    assert has_address()

    teardown = [
        *command,
        "-c",
        "from nova.cmd.network import main; main()",
        f"--config-file={configuration}",
        "--teardown",
    ]
    subprocess.run(teardown, env=environment, check=True, capture_output=True)
    assert not has_address()
    assert spaces() == []
    assert machine.run("nft", "list", "ruleset") == ""
