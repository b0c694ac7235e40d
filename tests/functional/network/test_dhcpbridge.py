"""Leases of real DHCP servers, kept through nova-dhcpbridge."""

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

from nova.concurrency import wait_for
from nova.network import dhcpbridge
from nova.network.host.dataplane import LinuxDataplane
from nova.structs.networking import DhcpLease
from tests.functional.network.machines import get_address
from tests.functional.network.world import make_world

# DHCPRELEASE of RFC 2131, sent by a guest that asks for nothing before.
RELEASE = """
import socket, sys
address, server, mac = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3].replace(":", ""))
header = b"\\x01\\x01\\x06\\x00" + b"nova" + bytes(4) + socket.inet_aton(address) + bytes(12) + mac + bytes(10 + 192)
options = b"\\x63\\x82\\x53\\x63" + b"\\x35\\x01\\x07" + b"\\x36\\x04" + socket.inet_aton(server)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind((address, 68))
sender.sendto(header + options + b"\\x3d\\x07\\x01" + mac + b"\\xff", (server, 67))
"""


# DHCPv6 of RFC 8415: SOLICIT with rapid commit (asked with "get"), or RELEASE of what that has given.
CLIENT6 = """
import socket, struct, sys, time
mac, what = bytes.fromhex(sys.argv[1].replace(":", "")), sys.argv[2]
option = lambda code, data: struct.pack("!HH", code, len(data)) + data
duid = b"\\x00\\x03\\x00\\x01" + mac
client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
client.bind(("::", 546))
client.settimeout(1)
lease = b"".join(option(5, socket.inet_pton(socket.AF_INET6, one) + bytes(8)) for one in sys.argv[4:5])
message = option(1, duid) + option(3, b"nova" + bytes(8) + lease) + option(8, bytes(2))
message += option(14, b"") if what == "get" else option(2, bytes.fromhex(sys.argv[3]))
kind = 1 if what == "get" else 8
for attempt in range(20):
    try:
        client.sendto(bytes([kind]) + b"xid" + message, ("ff02::1:2", 547, 0, socket.if_nametoindex("eth0")))
        answer = client.recv(2000)
    except OSError:
        time.sleep(0.3)
        continue
    if answer[0] == 7:
        print(answer[4:].hex())
        break
"""

ASK = """
import os, socket, sys
connection = socket.socket(socket.AF_UNIX)
os.setuid(int(sys.argv[1]))
connection.connect("leases.sock")
try:
    connection.sendall(sys.argv[2].encode() + bytes(1) + b"init")
    connection.shutdown(socket.SHUT_WR)
    print(connection.recv(100).decode().strip())
except OSError:
    print()
"""


@pytest.fixture
def bridge(tmp_path):
    """The program as dnsmasq runs it."""
    script = tmp_path / "nova-dhcpbridge"
    with open(dhcpbridge.__file__) as source:
        script.write_text(f"#!{sys.executable} -S\n{source.read()}")
    script.chmod(0o755)
    return script


@pytest.fixture
def world(make_network_host, tmp_path, bridge):
    world = make_world(make_network_host, tmp_path, dhcpbridge=str(bridge))
    yield world
    world.close()


@pytest.fixture
def network(world):
    return world.cloud.project().network(cidr="10.20.0.0/24")


def leases(world):
    return [(one.ip_address, one.mac_address, one.hostname) for one in world.cloud.conductor.dhcp_leases()]


def has_leases(world, *wanted):
    return wait_for(lambda: leases(world) == list(wanted), timeout_s=30, interval_s=0.1)


def lease_of(guest, name="web"):
    return guest.address, guest.port["mac_address"], name


def directory_of(world, network):
    return world.directory / "networks" / world.bridge(network)


def end_server(world, network):
    """Without a word."""
    pid = int((directory_of(world, network) / "run/pid").read_text())
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: not os.path.exists(f"/proc/{pid}/cmdline") or _is_dead(pid), timeout_s=30)


def _is_dead(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] in "ZX"


def release(guest):
    guest.run(sys.executable, "-c", RELEASE, guest.address, guest.lease["serverid"], guest.port["mac_address"])


def options6(text):
    """The options of a DHCPv6 message, by code."""
    data, found = bytes.fromhex(text), {}
    while data:
        code, length = struct.unpack("!HH", data[:4])
        found[code], data = data[4 : 4 + length], data[4 + length :]
    return found


def within(world, network, *command):
    """A command in the namespace of a network's DHCP server, where alone its words are believed."""
    return ["nsenter", f"--net=/run/netns/{world.space(network)}", *command]


def ask_bridge(bridge, world, network, *words, **environment):
    directory = str(directory_of(world, network))
    return subprocess.run(
        within(world, network, bridge, *words),
        env={**os.environ, "NOVA_DHCP_SERVER": directory, **environment},
        capture_output=True,
        text=True,
    )


def test_a_lease_is_recorded_adopted_by_the_next_server_and_goes_when_it_is_released(world, network, bridge):
    began = time.time()
    guest = world.boot(network, dns_name="web")

    assert has_leases(world, lease_of(guest))
    [lease] = world.cloud.conductor.dhcp_leases()
    assert began + 86000 < lease.expires_at < time.time() + 86500
    # dnsmasq itself has written nothing down.
    assert (directory_of(world, network) / "run/leases").read_text() == ""
    told = ask_bridge(bridge, world, network, "init").stdout
    assert told == f"{lease.expires_at} {lease.mac_address} {lease.ip_address} web {lease.client_id}\n"

    end_server(world, network)
    world.converge()
    # Only a server that knows the lease has something to release.
    release(guest)
    assert has_leases(world)


def test_a_lease_of_ipv6_is_adopted_by_a_server_that_has_the_same_name_for_itself(world, network):
    stateful = {"ipv6_address_mode": "dhcpv6-stateful", "ipv6_ra_mode": "dhcpv6-stateful"}
    world.cloud.project().create("subnets", network_id=network["id"], ip_version=6, cidr="fd00:20::/64", **stateful)
    port = world.port(network, dns_name="web")
    [address] = [one["ip_address"] for one in port["fixed_ips"] if ":" in one["ip_address"]]
    world.converge()
    guest = world.plug(network, port)
    mac = port["mac_address"]

    answer = options6(guest.run(sys.executable, "-c", CLIENT6, mac, "get").strip())

    assert socket.inet_pton(socket.AF_INET6, address) in answer[3]
    assert has_leases(world, (address, mac, "web"))
    [lease] = world.cloud.conductor.dhcp_leases()
    assert lease.server_duid == answer[2].hex(":")
    assert (lease.client_id, lease.iaid) == (f"00:03:00:01:{mac}", str(int.from_bytes(b"nova", "big")))

    end_server(world, network)
    world.converge()
    # It hears a client that names another server as little as one whose lease it does not know.
    guest.run(sys.executable, "-c", CLIENT6, mac, "release", answer[2].hex(), address)
    assert has_leases(world)


def test_a_lease_that_nobody_heard_of_is_told_again(world, network):
    port = world.port(network, dns_name="web")
    world.converge()
    guest = world.plug(network, port)
    world.dataplane.stop()
    guest.lease = get_address(guest)
    assert guest.lease["ip"] == guest.address
    assert leases(world) == []

    world.dataplane = LinuxDataplane(world.cloud.conf, world.cloud.conductor)
    world.converge()

    assert has_leases(world, lease_of(guest))


def test_an_address_goes_to_its_next_owner_while_its_lease_lasts(world, network):
    address = {"fixed_ips": [{"ip_address": "10.20.0.40"}]}
    first = world.boot(network, dns_name="first", **address)
    assert has_leases(world, lease_of(first, "first"))
    world.cloud.admin.delete("ports", first.port["id"])
    first.close()
    world.machines.remove(first)

    second = world.boot(network, dns_name="second", **address)

    assert second.lease["ip"] == "10.20.0.40"
    assert has_leases(world, lease_of(second, "second"))


def test_a_lease_that_has_ended_or_whose_port_has_gone_is_not_adopted(world, network):
    port = world.port(network)
    calls, address = world.cloud.conductor, port["fixed_ips"][0]["ip_address"]
    lease = DhcpLease(network["id"], address, port["mac_address"], int(time.time()) + 60)

    assert calls.keep_dhcp_lease(lease)
    assert calls.adopt_dhcp_leases(network["id"]) == [lease]
    assert calls.keep_dhcp_lease(DhcpLease(network["id"], address, port["mac_address"], 17))
    assert calls.adopt_dhcp_leases(network["id"]) == calls.dhcp_leases() == []
    assert calls.keep_dhcp_lease(lease)
    world.cloud.admin.delete("ports", port["id"])
    assert calls.dhcp_leases() == [lease]
    assert calls.adopt_dhcp_leases(network["id"]) == calls.dhcp_leases() == []


def test_only_a_ports_own_address_is_recorded(world, network, bridge):
    port = world.port(network, fixed_ips=[{"ip_address": "10.20.0.40"}])
    other = world.cloud.project("other").network(cidr="10.30.0.0/24")
    world.converge()
    mac = port["mac_address"]

    for words in (
        ("add", "fa:16:3e:ff:ff:ff", "10.20.0.40"),
        ("add", mac, "10.20.0.41"),
        ("add", mac, "10.20.0.40", "a b"),
    ):
        ask_bridge(bridge, world, network, *words, DNSMASQ_LEASE_EXPIRES="2000000000")
    ask_bridge(bridge, world, other, "add", mac, "10.20.0.40", DNSMASQ_LEASE_EXPIRES="2000000000")
    assert leases(world) == []

    ask_bridge(bridge, world, network, "add", mac, "10.20.0.40", "web", DNSMASQ_LEASE_EXPIRES="2000000000")
    ask_bridge(bridge, world, network, "del", "fa:16:3e:ff:ff:ff", "10.20.0.40")
    assert leases(world) == [("10.20.0.40", mac, "web")]


def ask_as(uid, world, network, *where):
    """What a process of this user gets, from within the directory that the tests alone can enter otherwise."""
    command = [*where, sys.executable, "-c", ASK, str(uid), world.bridge(network)]
    directory = world.directory / "networks"
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True).stdout


def test_nobody_but_a_dhcp_server_is_answered(world, network):
    world.converge()

    assert [ask_as(uid, world, network, *within(world, network)) for uid in (65534, 1)] == ["ok\n", "\n"]


@pytest.mark.parametrize("uid", [65534, 0])
def test_a_dhcp_server_speaks_for_its_own_network_alone(world, network, uid):
    """A guest that has got into one reads and forges no lease of another network; nor does a process beside them."""
    other = world.cloud.project("other").network(cidr="10.30.0.0/24")
    guest = world.boot(network, dns_name="web")
    assert has_leases(world, lease_of(guest))
    refusal = "no DHCP server of this host asks\n"

    assert ask_as(uid, world, network, *within(world, other)) == refusal
    assert ask_as(uid, world, network) == refusal
    assert ask_as(uid, world, other, *within(world, other)) == "ok\n"
    assert guest.address in ask_as(uid, world, network, *within(world, network))


def test_who_speaks_slowly_is_heard_for_a_time_and_no_longer(world, network):
    world.converge()
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(world.directory / "networks" / "leases.sock"))
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() < began + 30:
                slow.sendall(b"x")
                time.sleep(0.5)

        assert time.monotonic() < began + 15


def test_words_without_end_hold_nobody_up(world, network, bridge):
    world.converge()
    path = str(world.directory / "networks" / "leases.sock")
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as silent:
        for connection in (one, silent):
            connection.connect(path)
        one.sendall(b"x" * 8000)
        one.sendall(b"x" * 8000)

        assert ask_bridge(bridge, world, network, "init").returncode == 0
        assert one.recv(100) == b"too many words"


def test_the_way_to_a_deep_directory_is_found(world, network, bridge, tmp_path):
    """A socket's path has 107 bytes at most."""
    world.converge()
    deep = tmp_path / ("d" * 100) / "networks"
    deep.parent.mkdir()
    deep.symlink_to(world.directory / "networks")

    done = ask_bridge(bridge, world, network, "init", NOVA_DHCP_SERVER=str(deep / world.bridge(network)))

    assert (done.returncode, done.stderr) == (0, "")
    shutil.rmtree(deep.parent)
