"""A guest tries whatever address the host has, by every way that leads there."""

import contextlib

import pytest

from tests.functional.network.machines import connect
from tests.functional.network.world import HOST_OUTSIDE, OUTSIDE

MANAGEMENT, NEIGHBOUR = "10.77.0.1", "10.77.0.2"


@pytest.fixture
def host(world):
    """The host has a management network, and serves on all of its addresses."""
    world.neighbour = world.machine()
    connect(world.host, "manage0", world.neighbour, "eth0")
    world.host.run("ip", "addr", "add", f"{MANAGEMENT}/24", "dev", "manage0")
    world.neighbour.run("ip", "addr", "add", f"{NEIGHBOUR}/24", "dev", "eth0")
    world.neighbour.run("ip", "route", "add", "default", "via", MANAGEMENT)
    world.host.serve_who_asks("0.0.0.0", 5672)
    return world.host


@pytest.mark.parametrize("is_filtered", [True, False], ids=["filtered", "port security off"])
@pytest.mark.parametrize("is_joined", [True, False], ids=["with router", "without"])
def test_a_guest_reaches_none_of_the_hosts_services(world, host, attacker, is_joined, is_filtered):
    network = attacker.network(cidr="10.20.0.0/24")
    if is_joined:
        world.join(network, project=attacker)
    guest = world.boot(network, project=attacker, port_security_enabled=is_filtered)
    bridge = world.bridge(network)
    mac = host.run("cat", f"/sys/class/net/{bridge}/address").strip()

    targets = [MANAGEMENT, HOST_OUTSIDE, "127.0.0.1", "10.20.0.1", "10.20.0.254", "203.0.113.1", "169.254.169.254"]
    by_route = {target: guest.ask(f"http://{target}:5672/") for target in targets if target != "127.0.0.1"}
    # As if the host's addresses were on the guest's own wire, at the bridge's own address.
    by_wire = {}
    for target in targets:
        guest.run("ip", "route", "replace", target, "dev", "eth0")
        guest.run("ip", "neigh", "replace", target, "lladdr", mac, "dev", "eth0")
        with contextlib.suppress(OSError):
            by_wire[target] = guest.ask(f"http://{target}:5672/")

    assert host.ask(f"http://{MANAGEMENT}:5672/") == MANAGEMENT
    assert set(by_route.values()) | set(by_wire.values()) == {None}


def test_the_host_answers_no_question_for_its_addresses_on_a_guests_wire(world, host, attacker):
    guest = world.boot(attacker.network(cidr="10.20.0.0/24"), project=attacker, port_security_enabled=False)

    for target in (MANAGEMENT, HOST_OUTSIDE, "10.20.0.1"):
        assert not guest.succeeds("busybox", "arping", "-c", "1", "-w", "1", "-I", "eth0", target)


def test_the_bridges_of_guests_have_no_address_of_the_host(world, attacker):
    network = attacker.network(cidr="10.20.0.0/24")
    attacker.create("subnets", network_id=network["id"], ip_version=6, cidr="fd00:20::/64")
    world.join(attacker.network(cidr="10.21.0.0/24"), project=attacker)
    world.boot(network, project=attacker)

    assert "inet" not in world.host.run("ip", "addr", "show", "dev", world.bridge(network))
    assert world.host.run("sysctl", "-n", "net.ipv4.conf.all.route_localnet").strip() == "0"
    assert world.host.run("sysctl", "-n", f"net.ipv4.conf.{world.bridge(network)}.route_localnet").strip() == "0"


def test_networks_that_the_operator_keeps_for_himself_are_not_reached_through_a_router(world, host, attacker):
    world.cloud.conf.set_override("reserved_ranges", ["10.77.0.0/24"])
    world.neighbour.serve_who_asks(NEIGHBOUR, 3306)
    world.outside.serve_who_asks(OUTSIDE, 8080)
    network = attacker.network(cidr="10.20.0.0/24")
    world.join(network, project=attacker)

    guest = world.boot(network, project=attacker)

    assert host.ask(f"http://{NEIGHBOUR}:3306/") == MANAGEMENT
    assert guest.ask(f"http://{NEIGHBOUR}:3306/") is None
    assert guest.ask(f"http://{OUTSIDE}:8080/") == HOST_OUTSIDE
