"""What was open once: it ends with the rule, the port and the floating IP that allowed it, and never leads to another tenant."""

import sys

import pytest

from nova.concurrency import wait_for
from tests.functional.network.test_dataplane import boot_far, far_world
from tests.functional.network.world import OUTSIDE

__all__ = ["far_world"]

CIDR = "10.20.0.0/24"
MARK = 7000

SEND = """
import socket, sys
source, address, port = sys.argv[1:]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", int(source)))
sock.sendto(b"hello", (address, int(port)))
"""

# Where datagrams to some ports came from, until one comes to the first: that was sent last.
LISTEN = """
import socket, sys
socks = {port: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for port in map(int, sys.argv[1:])}
for port, sock in socks.items():
    sock.bind(("", port))
print("listening", flush=True)
first, *others = socks
socks[first].recv(100)
for port in others:
    socks[port].setblocking(False)
    try:
        while True:
            print(f"{port}<{socks[port].recvfrom(100)[1][0]}", flush=True)
    except BlockingIOError:
        pass
print("end", flush=True)
"""


def send(sender, source, address, port):
    sender.run(sys.executable, "-c", SEND, str(source), address, str(port))


class Heard:
    """What datagrams a machine receives."""

    number = 0

    def __init__(self, machine, *ports):
        Heard.number += 1
        self._told = machine.directory / f"heard{Heard.number}"
        words = " ".join(map(str, (MARK, *ports)))
        machine.start("sh", "-c", f"exec {sys.executable} -c '{LISTEN}' {words} > {self._told}")
        assert wait_for(lambda: self._told.exists() and "listening" in self._told.read_text(), timeout_s=60)

    def until_marked(self):
        assert wait_for(lambda: "end" in self._told.read_text(), timeout_s=60)
        return self._told.read_text().split()[1:-1]


@pytest.fixture
def shared(world):
    return world.cloud.admin.network(cidr=CIDR, shared=True)


def letting_in(project, *ports):
    """A group that lets in UDP to these ports alone."""
    group = project.create("security-groups", name="few")
    for port in ports:
        values = {"protocol": "udp", "port_range_min": port, "port_range_max": port}
        project.create("security-group-rules", security_group_id=group["id"], direction="ingress", **values)
    return [group["id"]]


@pytest.mark.parametrize("opened_by", ["neighbour", "former owner"])
def test_the_next_owner_of_an_address_takes_nothing_over(world, shared, victim, attacker, opened_by):
    former, neighbour = world.boot(shared, project=attacker), world.boot(shared, project=attacker)
    ways = [(neighbour, 1111, former.address, 9999), (former, 9999, neighbour.address, 1111)]
    for way in ways if opened_by == "neighbour" else reversed(ways):
        send(*way)
    attacker.delete("ports", former.port["id"])
    former.run("ip", "link", "del", "eth0")
    world.converge()
    owner = world.boot(shared, project=victim, security_groups=letting_in(victim, MARK))
    assert owner.address == former.address
    heard = Heard(owner, 9999)

    neighbour.run("ip", "neigh", "flush", "dev", "eth0")
    send(neighbour, 1111, owner.address, 9999)
    send(neighbour, 1112, owner.address, MARK)

    assert heard.until_marked() == []


@pytest.mark.parametrize("how", ["another group", "rule deleted"])
def test_a_rule_that_is_revoked_ends_what_it_let_in_and_nothing_else(world, shared, victim, attacker, how):
    groups = letting_in(victim, 9999, MARK)
    owner = world.boot(shared, project=victim, security_groups=groups)
    intruder = world.boot(shared, project=attacker, security_groups=letting_in(attacker, 5001))
    send(owner, 5000, intruder.address, 5001)
    for way in ((intruder, 1111, owner.address, 9999), (owner, 9999, intruder.address, 1111)):
        send(*way)

    if how == "another group":
        victim.update("ports", owner.port["id"], security_groups=letting_in(victim, MARK))
    else:
        rules = victim.get(f"security-group-rules?security_group_id={groups[0]}&port_range_min=9999")
        victim.delete("security-group-rules", rules["security_group_rules"][0]["id"])
    world.converge()
    heard = Heard(owner, 5000, 9999)
    send(intruder, 5001, owner.address, 5000)
    send(intruder, 1111, owner.address, 9999)
    send(intruder, 1112, owner.address, MARK)

    assert heard.until_marked() == [f"5000<{intruder.address}"]


def test_a_compute_host_ends_what_a_rule_let_in(far_world):
    world = far_world
    network, demo = world.cloud.admin.network(cidr=CIDR, shared=True), world.cloud.project()
    owner = boot_far(world, network, security_groups=letting_in(demo, 9999, MARK))
    intruder = boot_far(world, network)
    for way in ((intruder, 1111, owner.address, 9999), (owner, 9999, intruder.address, 1111)):
        send(*way)

    demo.update("ports", owner.port["id"], security_groups=letting_in(demo, MARK))
    with world.compute.inside():
        world.agent.apply_security_groups()
    heard = Heard(owner, 9999)
    send(intruder, 1111, owner.address, 9999)
    send(intruder, 1112, owner.address, MARK)

    assert heard.until_marked() == []


def test_a_floating_ip_takes_its_connections_along(world, victim, attacker, open_to_all):
    networks = {one: one.network(cidr=cidr) for one, cidr in ((attacker, CIDR), (victim, "10.30.0.0/24"))}
    for project, network in networks.items():
        world.join(network, project=project)
    former, owner = (world.boot(network, **open_to_all(project)) for project, network in networks.items())
    floating = attacker.create("floatingips", floating_network_id=world.public["id"], port_id=former.port["id"])
    address = floating["floating_ip_address"]
    world.converge()
    for way in ((former, 1111, OUTSIDE, 5353), (world.outside, 5353, address, 1111), (former, 1111, OUTSIDE, 5353)):
        send(*way)

    attacker.delete("floatingips", floating["id"])
    again = victim.create("floatingips", floating_network_id=world.public["id"], port_id=owner.port["id"])
    assert again["floating_ip_address"] == address
    world.converge()
    outside, inside = Heard(world.outside, 5353), Heard(owner, 1111)
    send(former, 1111, OUTSIDE, 5353)
    send(former, 1112, OUTSIDE, MARK)
    # The way to the new owner is known at once.
    send(world.outside, 5353, address, 1111)
    send(world.outside, 5354, address, MARK)

    [heard] = outside.until_marked()
    assert heard.startswith("5353<") and address not in heard
    assert inside.until_marked() == [f"1111<{OUTSIDE}"]
