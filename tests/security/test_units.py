"""What systemd takes from the daemons before they start: whoever gets into one has got little.

Measured by systemd itself, from 0 (safe) to 10.
"""

import configparser
import re
import subprocess

import pytest

from tests.security.units import ROOT, UNITS, service_of

# They manage the host's devices, mounts and namespaces: each unit says for what.
ON_HOSTS = ("nova-all", "nova-compute", "nova-network")
DAEMONS = {path.stem for path in UNITS}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_daemon_has_no_more_than_it_needs(unit):
    measure = ["systemd-analyze", "security", "--offline=true", "--no-pager", unit]
    said = subprocess.run(measure, capture_output=True, text=True, check=False).stdout

    exposure = float(re.search(r"Overall exposure level for .*: ([\d.]+)", said)[1])
    assert exposure < (7 if unit.stem in ON_HOSTS else 3)


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.stem not in ON_HOSTS], ids=lambda unit: unit.stem)
def test_a_daemon_of_the_control_plane_is_not_root(unit):
    service = service_of(unit)

    assert service["User"] == "nova"
    assert (service["NoNewPrivileges"], service["CapabilityBoundingSet"]) == ("yes", "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_knows_whether_a_daemon_lives(unit):
    service = service_of(unit)

    assert (service["Type"], service["WatchdogSec"]) == ("notify", "60")
    # It goes on when it has read its files again, and ends long before it would be killed.
    assert service["ExecReload"].endswith("/kill -HUP $MAINPID")
    assert int(service["TimeoutStopSec"]) > 10


def test_every_daemon_has_a_unit_that_starts_it():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = {
        line.partition(" = ")[0] for line in setup["options.entry_points"]["console_scripts"].split("\n") if line
    }

    assert scripts - DAEMONS == {"nova-dhcpbridge", "nova-manage", "nova-policy", "nova-status", "placement-manage"}
    for unit in UNITS:
        assert service_of(unit)["ExecStart"].startswith(f"/usr/bin/{unit.stem} ")
