"""nova-dhcpbridge by itself, and what nova-network makes of what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nova import conf as configuration
from nova.network import dhcpbridge
from nova.network.host import leases, rights
from nova.privileged.tools import CommandFailed
from nova.structs.networking import DhcpLease

# What is imported besides what an interpreter imports as it starts.
NEW_MODULES = """
import os, sys
before = set(sys.modules)
import nova.network.dhcpbridge
print(*sorted(set(sys.modules) - before))
"""


def bridge(*words, **environment):
    command = [sys.executable, dhcpbridge.__file__, *words]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)


def lease(words):
    return leases._lease("n", words)


def test_nothing_is_imported_that_takes_time():
    shown = subprocess.run([sys.executable, "-S", "-c", NEW_MODULES], capture_output=True, text=True, check=True)

    assert shown.stdout.split() == ["_socket", "nova", "nova.network", "nova.network.dhcpbridge"]


@pytest.mark.parametrize("words", [(), ("init", "more"), ("add",), ("del", "fa:16:3e:00:00:01"), ("add", *"abcd")])
def test_words_that_make_no_sense_are_refused(words):
    done = bridge(*words, NOVA_DHCP_SERVER="/nowhere/nbr0")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: nova-dhcpbridge")


def test_whoever_asks_what_it_is_for_is_told():
    done = bridge("--help")

    assert (done.returncode, done.stdout.partition(" ")[0], done.stderr) == (0, "usage:", "")


def test_without_a_server_there_is_nobody_to_ask():
    assert bridge("init").returncode == 2


def test_events_that_are_not_about_leases_are_none_of_its_business(tmp_path):
    done = bridge("arp-add", "fa:16:3e:00:00:01", "10.0.0.5", NOVA_DHCP_SERVER=str(tmp_path / "nbr0"))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_nova_network_that_is_away_is_no_success(tmp_path):
    for words in (("init",), ("add", "fa:16:3e:00:00:01", "10.0.0.5", "web")):
        done = bridge(*words, NOVA_DHCP_SERVER=str(tmp_path / "nbr0"))

        assert (done.returncode, done.stdout) == (1, "")
        assert "nova-network does not answer" in done.stderr


def test_leases_are_written_as_dnsmasq_reads_them():
    four = DhcpLease("n", "10.0.0.5", "fa:16:3e:00:00:01", 1700000000, "web", "01:fa:16:3e:00:00:01")
    bare = DhcpLease("n", "10.0.0.6", "fa:16:3e:00:00:02", 1700000001)
    six = DhcpLease("n", "fd00::5", "", 1700000002, "web", "00:01:aa", "42", "00:01:bb")

    assert leases.lease_lines([six, four, bare]) == [
        "1700000000 fa:16:3e:00:00:01 10.0.0.5 web 01:fa:16:3e:00:00:01",
        "1700000001 fa:16:3e:00:00:02 10.0.0.6 * *",
        "duid 00:01:bb",
        "1700000002 42 fd00::5 web 00:01:aa",
    ]


def test_a_lease_of_either_version_is_understood():
    mac = "fa:16:3e:00:00:01"

    assert lease([mac, "10.0.0.5", "web", "17", "01:aa", "", "", ""]) == DhcpLease(
        "n", "10.0.0.5", mac, 17, "web", "01:aa"
    )
    assert lease(["00:01:aa", "fd00:0::5", "", "17", "", "T42", "00:01:bb", mac]) == DhcpLease(
        "n", "fd00::5", mac, 17, "", "00:01:aa", "T42", "00:01:bb"
    )


@pytest.mark.parametrize(
    "place, word",
    [
        (0, "fa:16:3e"),
        (0, "fa:16:3e:00:00:01 10.0.0.9"),
        (1, "10.0.0.256"),
        (1, ""),
        (2, "web\n0 fa:16:3e:00:00:02 10.0.0.9 x *"),
        (2, "a b"),
        (3, "-1"),
        (3, "soon"),
        (4, "01:zz"),
        (4, "01\n"),
    ],
)
def test_words_that_a_server_must_not_read_again_are_refused(place, word):
    words = ["fa:16:3e:00:00:01", "10.0.0.5", "web", "17", "01:aa", "", "", ""]

    with pytest.raises(leases._NotUnderstood):
        lease([word if number == place else one for number, one in enumerate(words)])


@pytest.mark.parametrize(
    "line, is_read",
    [
        ("dhcpbridge_flagfile = /etc/nova/nova-dhcpbridge.conf", True),
        ("force_dhcp_release = false", False),
        ("dhcpbridge = nova-dhcpbridge", False),
        ("dhcpbridge = /bin/sh -c id;", False),
        ("force_dhcp_release = true", True),
        ("fixed_ip_disassociate_timeout = 600", True),
        ("dhcpbridge = /usr/bin/nova-dhcpbridge", True),
    ],
)
def test_options_are_honoured_or_refused(tmp_path: Path, line, is_read):
    path = tmp_path / "nova.conf"
    path.write_text(f"[DEFAULT]\n{line}\n")
    if is_read:
        configuration.load([], files=[str(path)])
        return

    with pytest.raises(configuration.BadConfiguration, match=line.partition(" ")[0]):
        configuration.load([], files=[str(path)])


def test_a_program_that_cannot_be_run_is_said_at_the_start(tmp_path: Path):
    program = tmp_path / "nova-dhcpbridge"
    program.touch(0o644)
    conf = configuration.load([], files=[])
    conf.set_override("dhcpbridge", str(program))

    with pytest.raises(CommandFailed, match="dhcpbridge"):
        rights.separate(conf, "")

    program.chmod(0o755)
    rights.separate(conf, "")
