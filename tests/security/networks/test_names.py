"""On a shared network a guest wants to be taken for a neighbour by its name."""

import pytest


@pytest.mark.parametrize("how", ["booted like it", "renamed like it", "called like its address"])
def test_nobody_takes_a_neighbours_name(world, victim, attacker, how):
    network = world.cloud.admin.network(cidr="10.20.0.0/24", shared=True)
    # Older than the victim's, and without a name.
    thief = world.boot(network, project=attacker)
    owner = world.boot(network, project=victim, dns_name="" if how == "called like its address" else "db")
    name = "db" if owner.port["dns_name"] else f"host-{owner.address.replace('.', '-')}"
    asking = world.boot(network, project=victim)

    if how == "booted like it":
        thief = world.boot(network, project=attacker, dns_name=name)
    else:
        attacker.update("ports", thief.port["id"], dns_name=name)
        world.converge()
        # Its lease is younger from here.
        thief.run("busybox", "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-s", "/bin/true", check=False)

    answer = asking.run("busybox", "nslookup", name, owner.lease["serverid"], check=False)
    _, _, told = answer.partition("Name:")
    assert [line.split()[1] for line in told.splitlines() if line.startswith("Address:")] == [owner.address]
