"""A guest wants the metadata, and with it the user data, of another one."""

import pytest

CIDR = "10.20.0.0/24"


@pytest.fixture
def served(world):
    world.serve_metadata()
    return world


def test_with_the_same_address_on_another_network_each_is_itself(served, victim, attacker):
    fixed = [{"ip_address": "10.20.0.10"}]
    owner = served.boot(victim.network(cidr=CIDR), project=victim, fixed_ips=fixed)
    thief = served.boot(attacker.network(cidr=CIDR), project=attacker, fixed_ips=fixed, port_security_enabled=False)

    assert owner.ask("http://169.254.169.254/") == owner.port["device_id"]
    assert thief.ask("http://169.254.169.254/") == thief.port["device_id"]


def test_an_address_that_no_port_of_its_network_has_is_nobody(served, victim, attacker):
    served.boot(victim.network(cidr=CIDR), project=victim, fixed_ips=[{"ip_address": "10.20.0.10"}])
    network = attacker.network(cidr=CIDR)
    port = attacker.create("ports", network_id=network["id"], fixed_ips=[{"ip_address": "10.20.0.10"}])
    guest = served.boot(network, project=attacker, fixed_ips=[{"ip_address": "10.20.0.11"}])
    attacker.delete("ports", port["id"])

    # The guest's own address, once its port has lost it.
    served.cloud.admin.update("ports", guest.port["id"], fixed_ips=[{"ip_address": "10.20.0.12"}])
    answer = guest.request("http://169.254.169.254/")

    assert answer is None or answer[0] == 404


@pytest.mark.parametrize("is_filtered", [True, False], ids=["filtered", "port security off"])
def test_a_neighbours_address_gives_nothing(served, victim, is_filtered):
    """On one network, too: whoever owns it may switch port security off, and others have guests on it."""
    network = victim.network(cidr=CIDR)
    owner = served.boot(network, project=victim)
    thief = served.boot(network, project=victim, port_security_enabled=is_filtered)
    owner.run("ip", "link", "set", "eth0", "down")

    thief.take_address(f"{owner.address}/24")
    thief.run("ip", "route", "add", "169.254.169.254", "dev", "eth0")

    assert thief.ask("http://169.254.169.254/") is None


def test_an_allowed_pair_gives_nothing(served, victim):
    network = victim.network(cidr=CIDR)
    owner = served.boot(network, project=victim)
    thief = served.boot(network, project=victim, allowed_address_pairs=[{"ip_address": owner.address}])
    owner.run("ip", "link", "set", "eth0", "down")

    thief.take_address(f"{owner.address}/24")
    thief.run("ip", "route", "add", "169.254.169.254", "dev", "eth0")

    assert thief.ask("http://169.254.169.254/") is None


def test_headers_of_a_guest_say_nothing_of_who_it_is(served, victim, attacker):
    owner = served.boot(victim.network(cidr=CIDR), project=victim)
    thief = served.boot(attacker.network(cidr=CIDR), project=attacker)

    said = thief.ask(
        "http://169.254.169.254/",
        X_Instance_ID=owner.port["device_id"],
        X_Tenant_ID="victim",
        X_Instance_ID_Signature="00",
        X_Forwarded_For=owner.address,
    )

    assert said == thief.port["device_id"]


def test_the_gateway_of_another_network_taken_as_ones_own_diverts_nothing(served, victim, attacker):
    """A guest without port security claims every address of the other network's, with the same range."""
    owner = served.boot(victim.network(cidr=CIDR), project=victim)
    thief = served.boot(attacker.network(cidr=CIDR), project=attacker, port_security_enabled=False)
    for address in (owner.address, "10.20.0.1", "10.20.0.254", "169.254.169.254"):
        thief.run("ip", "addr", "add", f"{address}/32", "dev", "eth0", check=False)
        thief.succeeds("busybox", "arping", "-c", "1", "-w", "1", "-U", "-I", "eth0", address)

    assert owner.ask("http://169.254.169.254/") == owner.port["device_id"]
    assert served.boot(victim.network(cidr=CIDR), project=victim).lease is not None
