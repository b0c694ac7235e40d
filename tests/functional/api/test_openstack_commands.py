"""The commands that tools/openstack_commands adds to the openstack client, run as a user runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nova.api.compute import application
from nova.http.service import HttpService

PACKAGE = Path(__file__).parents[3] / "tools/openstack_commands"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The package, installed into a directory of its own."""
    place = tmp_path_factory.mktemp("commands")
    source = tmp_path_factory.mktemp("source") / "package"
    # Its build leaves files beside it.
    subprocess.run(["cp", "-r", PACKAGE, source], check=True)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", place, source], check=True, capture_output=True)
    return place


@pytest.fixture
def openstack(cloud, installed):
    """Run the openstack client beside a cloud with one host; what it ends with."""
    cloud.add_host("host-1")
    app = application(cloud.conf, cloud.conductor_calls, cloud.transport)
    service = HttpService(cloud.conf, "osapi_compute", app, "127.0.0.1", 0, requests=4)
    service.start()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OS_")},
        "OS_AUTH_TYPE": "admin_token",
        "OS_TOKEN": "admin:project",
        "OS_ENDPOINT": f"http://127.0.0.1:{service.port}/v2.1",
        "PYTHONPATH": str(installed),
        "PYTHONWARNINGS": "ignore",
    }

    def run(*words):
        return subprocess.run(
            ["openstack", *words], env=environment, cwd="/", capture_output=True, text=True, timeout=300, check=False
        )

    yield run
    service.stop()


def table(done):
    """The rows of a command's answer, each by the names of its columns."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_user_is_told_where_a_server_could_be_built_and_why_not_elsewhere(cloud, openstack):
    image = next(iter(cloud.glance.images))

    explain = ("server", "explain", "--flavor", "m1.tiny", "--image", image, "-f", "json")
    user = cloud.client("admin", "project")

    rows = table(openstack(*explain))
    [service] = user.get("/os-services?binary=nova-compute").json()["services"]
    assert user.put(f"/os-services/{service['id']}", {"status": "disabled"}).status_code == 200
    nowhere = table(openstack(*explain))

    name = cloud.hypervisor("host-1").name
    assert rows[-1] == {"Stage": "=", "Hosts before": 1, "Hosts after": 1, "Removed": f"Chosen: {name}"}
    assert {row["Hosts after"] for row in rows} == {1}
    assert (nowhere[-1]["Hosts after"], nowhere[-1]["Removed"]) == (0, "1 host: 1 is disabled.")
    assert any("1 x " in row["Removed"] and "disabled" in row["Removed"] for row in nowhere[:-1])
    assert user.get("/servers").json()["servers"] == []


def test_a_user_reads_how_a_host_was_chosen_and_follows_a_server_by_its_name(cloud, openstack):
    user = cloud.client("admin", "project")
    server_id = user.create_server(name="watched")["id"]
    other_id = user.create_server(name="other")["id"]

    rows = table(openstack("server", "scheduling", "show", "watched", "-f", "json"))
    watched = openstack("server", "watch", "watched", "--after", "0", "--timeout", "0")

    assert rows[-1]["Removed"] == f"Chosen: {cloud.hypervisor('host-1').name}"
    assert "ComputeFilter" in {row["Stage"] for row in rows}
    lines = watched.stdout.splitlines()
    assert watched.returncode == 0, watched.stderr
    assert any("step spawn" in line for line in lines) and lines[-1].endswith("active")
    assert all(server_id in line for line in lines) and other_id not in watched.stdout


def test_a_server_that_is_not_there_is_said_to_be_not_there(openstack):
    done = openstack("server", "scheduling", "show", "nobody")

    assert (done.returncode, done.stderr.strip()) == (1, "No server is called nobody.")
