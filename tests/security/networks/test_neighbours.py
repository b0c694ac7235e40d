"""On a shared network a guest speaks in a neighbour's name: it takes, contests or gives back what is the neighbour's."""

import sys

import pytest

from nova.concurrency import wait_for
from tests.functional.network.machines import get_address

CIDR, CIDR_V6 = "10.20.0.0/24", "fd00:9::/64"

# Frames that a guest with root makes itself: FRAME arguments..., on its device.
FRAMES = r"""
import socket, struct, sys, time
def mac(text):
    return bytes.fromhex(text.replace(":", ""))
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff
def link_local(address):
    octets = mac(address)
    return b"\xfe\x80".ljust(8, b"\0") + bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
def icmp6(own, source, destination, to, body):
    pseudo = source + destination + struct.pack("!I3xB", len(body), 58)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return to + mac(own) + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source + destination + body
def advert(own, target):
    body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + socket.inet_pton(socket.AF_INET6, target) + b"\x02\x01" + mac(own)
    everyone = socket.inet_pton(socket.AF_INET6, "ff02::1")
    return [icmp6(own, link_local(own), everyone, mac("33:33:00:00:00:01"), body)]
def solicit(own, asking, told):
    "Ask in another's name, and tell him to be at one's own MAC."
    target = socket.inet_pton(socket.AF_INET6, asking)
    body = struct.pack("!BBHI", 135, 0, 0, 0) + target + b"\x01\x01" + mac(own)
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + target[-3:]
    return [icmp6(own, link_local(told), group, b"\x33\x33" + group[-4:], body)]
def detect(own, target):
    target = socket.inet_pton(socket.AF_INET6, target)
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + target[-3:]
    return [icmp6(own, bytes(16), group, b"\x33\x33" + group[-4:], struct.pack("!BBHI", 135, 0, 0, 0) + target)]
def probe(own, *targets):
    ask = struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + mac(own) + bytes(10)
    return [b"\xff" * 6 + mac(own) + b"\x08\x06" + ask + socket.inet_aton(target) for target in targets]
def dhcp(own, victim, address, server, kind, source, pieces):
    options = b"\x63\x82\x53\x63" + bytes([53, 1, int(kind), 54, 4]) + socket.inet_aton(server)
    options += bytes([50, 4]) + socket.inet_aton(address) + b"\xff"
    client = socket.inet_aton(address) if kind == "7" else bytes(4)
    bootp = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0x1234, 0, 0) + client + bytes(12) + mac(victim) + bytes(202) + options
    udp = struct.pack("!HHHH", 68, 67, 308, 0) + bootp.ljust(300, b"\0")
    cuts = [0, 8, len(udp)] if pieces == "pieces" else [0, len(udp)]
    frames = []
    for first, last in zip(cuts, cuts[1:]):
        fragment = first // 8 | (0x2000 if last < len(udp) else 0)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + last - first, 7, fragment, 64, 17, 0, socket.inet_aton(source), b"\xff" * 4)
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        frames.append(b"\xff" * 6 + mac(own) + b"\x08\x00" + ip + udp[first:last])
    return frames
device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
device.bind(("eth0", 0))
times, what, *words = sys.argv[1:]
for _ in range(int(times)):
    for frame in globals()[what](*words):
        device.send(frame)
    if times != "1":
        time.sleep(0.02)
"""

# The targets of ARP probes, until one for the address that is named last comes.
PROBED = """
import socket, sys
device = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x806))
device.bind(("eth0", 0x806))
print("listening", flush=True)
while True:
    frame = device.recv(100)
    if frame[28:32] == bytes(4):
        target = socket.inet_ntoa(frame[38:42])
        print(target, flush=True)
        if target == sys.argv[1]:
            break
"""


@pytest.fixture
def shared(world):
    network = world.cloud.admin.network(cidr=CIDR, shared=True)
    slaac = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    world.cloud.admin.create("subnets", network_id=network["id"], cidr=CIDR_V6, ip_version=6, **slaac)
    return network


def boot(world, network, **values):
    """A guest with its address of IPv6, too."""
    guest = world.boot(network, **values)
    [guest.v6] = [one["ip_address"] for one in guest.port["fixed_ips"] if ":" in one["ip_address"]]
    guest.mac = guest.port["mac_address"]
    # It gives itself the address, and a router's advertisement does not.
    guest.run("sysctl", "-w", "net.ipv6.conf.eth0.accept_ra=0")
    guest.run("ip", "-6", "addr", "replace", f"{guest.v6}/64", "dev", "eth0", "nodad")
    return guest


def send(guest, what, *words):
    guest.run(sys.executable, "-c", FRAMES, "1", what, *words)


def link_local(guest):
    """A guest's link-local address, once it has made sure of it."""
    shown = []

    def is_sure():
        shown[:] = guest.run("ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link").split()
        return shown and "tentative" not in shown

    assert wait_for(is_sure, timeout_s=60)
    return shown[3].partition("/")[0]


def test_nobody_advertises_a_neighbours_address(world, shared, victim, attacker):
    asking, owner, thief = (boot(world, shared, project=one) for one in (victim, victim, attacker))
    assert wait_for(lambda: asking.reaches(owner.v6), timeout_s=60)

    send(thief, "advert", thief.mac, owner.v6)
    # What comes behind it on the same way has come.
    thief.reaches(asking.address)

    assert owner.mac in asking.run("ip", "-6", "neigh", "show", owner.v6)
    assert asking.reaches(owner.v6)


def test_nobody_asks_in_a_neighbours_name(world, shared, victim, attacker):
    asked, owner, thief = (boot(world, shared, project=one) for one in (victim, victim, attacker))

    send(thief, "solicit", thief.mac, asked.v6, owner.mac)
    thief.reaches(asked.address)

    assert thief.mac not in asked.run("ip", "-6", "neigh", "show", link_local(owner))


def test_a_guest_advertises_its_own_and_its_allowed_addresses(world, victim):
    network = victim.network(cidr=CIDR)
    slaac = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    victim.create("subnets", network_id=network["id"], cidr=CIDR_V6, ip_version=6, **slaac)
    pairs = [{"ip_address": "fd00:9::/120"}, {"ip_address": "fd00:9::1:5"}]
    one, other = boot(world, network, project=victim), boot(world, network, project=victim, allowed_address_pairs=pairs)

    for address in ("fd00:9::77", "fd00:9::1:5"):
        other.run("ip", "-6", "addr", "add", f"{address}/64", "dev", "eth0", "nodad")

    for address in (other.v6, "fd00:9::77", "fd00:9::1:5"):
        assert wait_for(lambda address=address: one.reaches(address), timeout_s=60)


def test_nobody_keeps_a_neighbour_from_his_address(world, shared, victim, attacker):
    owner, thief = boot(world, shared, project=victim), boot(world, shared, project=attacker)
    owner.run("ip", "-6", "addr", "del", f"{owner.v6}/64", "dev", "eth0")
    link_local(owner)
    sent = lambda: int(thief.run("cat", "/sys/class/net/eth0/statistics/tx_packets"))  # noqa: E731
    before = sent()
    thief.start(sys.executable, "-c", FRAMES, "3000", "detect", thief.mac, owner.v6)
    assert wait_for(lambda: sent() > before + 5, timeout_s=60)

    owner.run("ip", "-6", "addr", "add", f"{owner.v6}/64", "dev", "eth0")

    assert wait_for(lambda: owner.owns(owner.v6), timeout_s=30)


def test_nobody_probes_for_a_neighbours_address(world, shared, victim, attacker):
    owner, thief = boot(world, shared, project=victim), boot(world, shared, project=attacker)
    told = owner.directory / "probed"
    owner.start("sh", "-c", f"exec {sys.executable} -c '{PROBED}' {thief.address} > {told}")
    assert wait_for(lambda: told.exists() and told.read_text(), timeout_s=60)

    send(thief, "probe", thief.mac, owner.address, thief.address)

    assert wait_for(lambda: thief.address in told.read_text(), timeout_s=60)
    assert told.read_text().split() == ["listening", thief.address]


@pytest.mark.parametrize("how", ["of no address", "of its own address", "of its own address, in pieces"])
def test_nobody_gives_back_or_declines_a_neighbours_lease(world, shared, victim, attacker, how):
    owner, thief = boot(world, shared, project=victim), boot(world, shared, project=attacker)
    (owner.directory / "lease").unlink()
    source = "0.0.0.0" if how == "of no address" else thief.address
    for kind in ("7", "4"):
        words = (thief.mac, owner.mac, owner.address, owner.lease["serverid"], kind, source)
        send(thief, "dhcp", *words, "pieces" if "pieces" in how else "whole")
    # The server has heard what was sent before this.
    assert get_address(thief)["ip"] == thief.address

    again = get_address(owner)

    assert again is not None and again["ip"] == owner.address
