"""A guest wants to be rid of its filters: its device is there, and no port says what it may send."""

import pytest

from nova.network.host import firewall
from tests.functional.network.machines import connect, get_address
from tests.functional.network.test_dataplane import boot_far, far_world

__all__ = ["far_world"]

CIDR = "10.20.0.0/24"


@pytest.fixture
def shared(world):
    world.serve_metadata()
    return world.cloud.admin.network(cidr=CIDR, shared=True)


@pytest.mark.parametrize(
    "values", [{"device_owner": ""}, {"device_id": ""}, {"binding:vnic_type": "direct"}], ids=["owner", "id", "vnic"]
)
def test_a_member_does_not_take_a_port_from_its_guest(world, shared, attacker, values):
    guest = world.boot(shared, project=attacker)
    before = world.cloud.admin.get(f"ports/{guest.port['id']}")

    answer = attacker.ask("PUT", f"ports/{guest.port['id']}", {"port": values})

    assert answer.status_code == 409
    assert world.cloud.admin.get(f"ports/{guest.port['id']}") == before


def test_a_member_may_say_again_what_a_port_is(world, shared, attacker):
    port = world.port(shared, project=attacker)
    same = {name: port[name] for name in ("device_id", "device_owner", "binding:vnic_type")}

    assert attacker.ask("PUT", f"ports/{port['id']}", {"port": {**same, "name": "mine"}}).status_code == 200


def test_a_guest_whose_port_is_deleted_has_no_network(world, shared, victim, attacker):
    owner, thief = world.boot(shared, project=victim), world.boot(shared, project=attacker)
    assert thief.ask("http://169.254.169.254/") == thief.port["device_id"]

    assert attacker.delete("ports", thief.port["id"]) is None
    world.converge()
    take(thief, owner.address)

    assert thief.ask("http://169.254.169.254/") is None
    assert owner.ask("http://169.254.169.254/") == owner.port["device_id"]


@pytest.mark.parametrize("values", [{"device_owner": ""}, {"binding:vnic_type": "direct"}], ids=["owner", "vnic"])
def test_whatever_else_is_said_of_a_port_its_guest_stays_guarded(world, shared, victim, attacker, values):
    """An administrator, or the records of an earlier release, may say this."""
    owner, thief = world.boot(shared, project=victim), world.boot(shared, project=attacker)

    world.cloud.admin.update("ports", thief.port["id"], **values)
    world.converge()
    take(thief, owner.address)

    assert thief.ask("http://169.254.169.254/") is None


def test_a_device_has_no_network_before_its_port_is_known_here(world, shared, attacker):
    port = world.port(shared, project=attacker)
    world.converge()
    world.cloud.admin.update("ports", port["id"], **{"binding:host_id": ""})
    world.converge()
    early = world.plug(shared, port)
    dark = get_address(early)

    world.cloud.admin.update("ports", port["id"], **{"binding:host_id": world.cloud.conf.host})
    world.converge()

    assert dark is None
    assert get_address(early)["ip"] == early.address


def test_guests_of_others_on_this_host_are_left_alone(world, shared):
    """Another cloud's bridge, with devices that are called like ours."""
    one, other = world.machine(), world.machine()
    world.host.run("ip", "link", "add", "of-others", "type", "bridge")
    world.host.run("ip", "link", "set", "of-others", "up")
    for guest, device, address in ((one, "tap0", "192.0.2.1/24"), (other, "tap1a2b3c4d-5e", "192.0.2.2/24")):
        connect_to(world.host, guest, device, "of-others")
        guest.run("ip", "addr", "add", address, "dev", "eth0")

    world.converge()

    assert one.reaches("192.0.2.2")


@pytest.mark.parametrize("how", ["deleted", "owner", "vnic"])
def test_on_a_compute_host_a_guest_stays_guarded(far_world, how):
    world = far_world
    network, demo = world.cloud.admin.network(cidr=CIDR, shared=True), world.cloud.project()
    opened = demo.create("security-groups", name="open")
    demo.create("security-group-rules", security_group_id=opened["id"], direction="ingress")
    thief, other = boot_far(world, network), boot_far(world, network, security_groups=[opened["id"]])
    assert thief.reaches(other.address)

    if how == "deleted":
        demo.delete("ports", thief.port["id"])
    else:
        values = {"owner": {"device_owner": ""}, "vnic": {"binding:vnic_type": "direct"}}[how]
        world.cloud.admin.update("ports", thief.port["id"], **values)
    with world.compute.inside():
        world.agent.apply_security_groups()
    thief.take_address("10.20.0.77/24")

    assert not thief.reaches(other.address)
    assert firewall.device_of(thief.port["id"]) in world.compute.run("ip", "link")


def take(thief, address):
    """Claim a neighbour's address, loudly, and look for the metadata service with it."""
    thief.take_address(f"{address}/24")
    for _ in range(3):
        thief.run("busybox", "arping", "-c", "1", "-w", "1", "-U", "-I", "eth0", address, check=False)
    thief.run("ip", "route", "add", "169.254.169.254", "dev", "eth0")


def connect_to(host, guest, device, bridge):
    connect(host, device, guest, "eth0")
    host.run("ip", "link", "set", device, "master", bridge)
