"""A short soak run: servers live through everything while parts are killed, and lose nothing."""

import os
import subprocess
import sys

import pytest

from tests.e2e.running_cloud import ROOT

pytestmark = [pytest.mark.mode("distributed"), pytest.mark.late]


def test_nothing_is_lost_while_parts_are_killed(cloud):
    command = [
        sys.executable,
        "-W",
        "ignore",
        ROOT / "tools" / "soak.py",
        "--kills",
        "12",
        "--minutes",
        "4",
        "--seed",
        "7",
    ]
    environment = os.environ | {"CLOUD_DIR": str(cloud.directory), "CLOUD_PORT_OFFSET": str(cloud.port_offset)}

    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1500)

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "violations: 0" in done.stdout
