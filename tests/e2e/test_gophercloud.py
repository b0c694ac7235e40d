"""A compiled program that uses gophercloud, Debian's, walks a server's life from key pair to delete."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.running_cloud import run

pytestmark = pytest.mark.mode("embedded")

SOURCES = Path(__file__).parent / "clients" / "gophercloud"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Built of the sources, which find the library where Debian installs it."""
    directory = tmp_path_factory.mktemp("gophercloud")
    shutil.copytree(SOURCES, directory / "src" / "walk")
    environment = os.environ | {"GOPATH": f"{directory}:/usr/share/gocode", "GO111MODULE": "off", "GOFLAGS": ""}
    subprocess.run(
        ["go", "build", "-o", directory / "walk", "."], cwd=directory / "src" / "walk", env=environment, check=True
    )
    return directory / "walk"


def test_a_member_walks_a_servers_life_and_leaves_nothing(cloud, program):
    environment = cloud.environment() | {"OS_USERNAME": "demo", "OS_PROJECT_NAME": "demo", "OS_DOMAIN_NAME": "Default"}
    # It takes a user's domain for the project's, and refuses to be told both.
    for name in ("OS_USER_DOMAIN_NAME", "OS_PROJECT_DOMAIN_NAME"):
        environment.pop(name)

    said = run([str(program)], environment, timeout_s=400)

    assert said.splitlines()[-1] == "walked"
    assert cloud.wait_for(lambda: cloud.leftovers() == {}), cloud.leftovers()
