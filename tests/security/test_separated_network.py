"""nova-network hears tenants, and has no right on its host: a process beside it has the few that networks need.

With the real unit's command line and capabilities, on real namespaces.
"""

import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from oslo_privsep import capabilities

from nova.concurrency import wait_for
from nova.network import dhcpbridge
from tests.functional.network.conftest import empty_database
from tests.functional.network.machines import get_address
from tests.security.separated import Separated, rights_of
from tests.security.units import capabilities_of

__all__ = ["empty_database"]


@pytest.fixture(scope="module", params=["eventlet", "threading"])
def separated(request, empty_database):
    separated = Separated(empty_database, request.param)
    leave_as_root(separated.directory / "networks")
    try:
        separated.start()
        yield separated
    finally:
        separated.close()


def leave_as_root(networks):
    """What an earlier release, which was root, left of a network that is no more; and a link that somebody laid."""
    (networks / "nbr0").mkdir(parents=True)
    for name in ("hosts", "options", "leases", "dnsmasq.command"):
        (networks / "nbr0" / name).touch(0o600)
    (networks.parent / "of-root").touch()
    (networks / "link").symlink_to(networks.parent / "of-root")


def test_what_an_earlier_release_left_as_root_is_taken_over(separated):
    assert wait_for(lambda: not (separated.directory / "networks/nbr0").exists(), timeout_s=60, interval_s=0.2)
    assert (separated.directory / "networks").stat().st_uid == separated.uid
    assert (separated.directory / "of-root").stat().st_uid == 0


@pytest.mark.parametrize(
    ("user", "why"), [("nobody-of-this-name", "there is no user nobody-of-this-name"), ("root", "root is root")]
)
def test_it_does_not_stay_root_when_it_cannot_be_who_it_should(separated, user, why):
    command = [sys.executable, "-W", "ignore", "-c", "from nova.cmd.network import main; raise SystemExit(main())"]
    arguments = [f"--config-file={separated.configuration}", "--user", user]

    ended = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120)

    assert ended.returncode == 2
    assert why in ended.stderr


def test_the_process_that_hears_tenants_has_no_right_at_all(separated):
    for thread in rights_of(separated.process.pid):
        assert thread["uids"] == {str(separated.uid)}
        assert {thread[kind] for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{separated.process.pid}/status").read_text().splitlines()
    )
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Groups"].split() in ([], [status["Gid"].split()[0]])


def test_the_privileged_process_has_the_capabilities_of_the_unit_and_no_other(separated):
    mask = sum(1 << capabilities.CAPS_BYNAME[name] for name in capabilities_of("nova-network"))

    for thread in rights_of(separated.helper()):
        assert (thread["CapEff"], thread["CapPrm"], thread["CapBnd"]) == (mask, mask, mask)
        assert (thread["CapInh"], thread["CapAmb"]) == (0, 0)


def test_a_guest_gets_its_address_and_its_metadata_all_the_same(separated):
    network = separated.network("10.20.0.0/24")
    guest = separated.guest(network)
    separated.machine.serve_metadata("127.0.0.1", 18775, "between-proxy-and-api")

    assert wait_for(lambda: get_address(guest), timeout_s=60, interval_s=0.5)

    assert guest.ask("http://169.254.169.254/openstack") == guest.server_id


def test_dnsmasq_is_nobody_and_can_write_what_is_its_own_alone(separated):
    separated.network("10.21.0.0/24")
    assert wait_for(separated.servers, timeout_s=60, interval_s=0.2)

    least = sum(1 << number for number in (capabilities.CAP_NET_ADMIN, capabilities.CAP_NET_RAW, 10))
    for thread in rights_of(separated.servers()[0]):
        assert thread["uids"] == {"65534"}
        assert thread["CapPrm"] == thread["CapBnd"] == least
    for path in separated.directory.glob("networks/*/*"):
        owner = path.stat().st_uid
        assert owner == (65534 if path.name == "run" else separated.uid)
        assert not path.stat().st_mode & stat.S_IWOTH


def test_without_the_privileged_process_it_ends_and_works_again_once_it_is_started(separated):
    separated.network("10.22.0.0/24")
    assert wait_for(separated.servers, timeout_s=60, interval_s=0.2)
    before = set(separated.servers())

    os.kill(separated.helper(), signal.SIGKILL)
    separated.ask("POST", "networks", {"network": {"name": "makes it work"}})

    # Which systemd takes for a failure, and not for a configuration that will never do.
    assert separated.process.wait(timeout=60) == 1
    assert "the privileged process has ended" in separated.log()
    separated.start()
    guest = separated.guest(separated.network("10.23.0.0/24"))
    assert wait_for(lambda: get_address(guest), timeout_s=60, interval_s=0.5)
    # Servers of networks that did not change have lived on.
    assert before <= set(separated.servers())


@pytest.fixture(params=["eventlet", "threading"])
def bridged(request, empty_database):
    """Its DHCP servers hand their leases to it, through a program that any Python of the host runs."""
    separated = Separated(empty_database, request.param)
    program = separated.directory / "nova-dhcpbridge"
    program.write_text(f"#!/usr/bin/python3 -S\n{Path(dhcpbridge.__file__).read_text()}")
    program.chmod(0o755)
    text = separated.configuration.read_text()
    separated.configuration.write_text(text.replace("[DEFAULT]\n", f"[DEFAULT]\ndhcpbridge = {program}\n"))
    try:
        separated.start()
        yield separated
    finally:
        separated.close()


def test_a_dhcp_server_that_is_nobody_hands_its_leases_on(bridged):
    guest = bridged.guest(bridged.network("10.24.0.0/24"))

    def recorded():
        with contextlib.closing(sqlite3.connect(bridged.directory / "networks.db")) as database:
            return [address for (address,) in database.execute("SELECT address FROM dhcp_leases")]

    assert wait_for(lambda: get_address(guest), timeout_s=60, interval_s=0.5), bridged.log()
    assert wait_for(recorded, timeout_s=30, interval_s=0.2), bridged.log()
    assert recorded() == [guest.address]
    [pid] = bridged.servers()
    assert {uid for thread in rights_of(pid) for uid in thread["uids"]} == {"65534"}
