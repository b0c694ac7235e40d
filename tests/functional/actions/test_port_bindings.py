"""The ports of a server that moves while it runs, beside a real Neutron: bound at both ends until it has arrived."""

import pytest

from nova.virt.fake.hypervisor import HYPERVISORS, Hypervisor
from tests.functional.cloud import wait
from tests.functional.invariants import settle


@pytest.fixture
def neutron(real_neutron):
    return real_neutron


@pytest.fixture
def cloud(make_cloud, neutron):
    cloud = make_cloud()
    cloud.stand_beside(neutron=neutron)
    cloud.add_network()
    return cloud


@pytest.fixture
def hosts(cloud):
    return {cloud.add_host(name).name: name for name in ("host-1", "host-2")}


@pytest.fixture
def migration(cloud, admin, user, hosts):
    """A live migration of a server with one port, held while its guest is under way: (server, source)."""
    server_id = user.create_server(networks="auto")["id"]
    source = admin.server(server_id)["OS-EXT-SRV-ATTR:host"]
    cloud.hypervisor(hosts[source]).hold("migration")
    answer = admin.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})
    assert answer.status_code == 202
    wait(lambda: under_way(admin, server_id), "half of it is done")
    return server_id, source


def under_way(admin, server_id):
    migrations = admin.get(f"/servers/{server_id}/migrations").json()["migrations"]
    return [one["id"] for one in migrations if one["memory_processed_bytes"]]


def bindings(neutron, server_id):
    """{host: status} of the server's only port, and the host it is to move to."""
    [port] = neutron.ask("GET", f"/ports?device_id={server_id}", token="admin:service")["ports"]
    found = neutron.ask("GET", f"/ports/{port['id']}/bindings", token="admin:service")["bindings"]
    return {each["host"]: each["status"] for each in found}, port["binding:profile"].get("migrating_to")


def test_the_network_is_ready_at_both_ends_of_a_live_migration(neutron, admin, user, hosts, migration):
    server_id, source = migration
    [destination] = hosts.keys() - {source}

    during = bindings(neutron, server_id)
    [number] = under_way(admin, server_id)
    admin.post(f"/servers/{server_id}/migrations/{number}/action", {"force_complete": None})
    user.wait(server_id, "ACTIVE")

    assert during == ({source: "ACTIVE", destination: "INACTIVE"}, destination)
    assert bindings(neutron, server_id) == ({destination: "ACTIVE"}, None)


def test_a_live_migration_that_is_given_up_leaves_one_binding(cloud, neutron, admin, user, migration):
    server_id, source = migration

    [number] = under_way(admin, server_id)
    assert admin.delete(f"/servers/{server_id}/migrations/{number}").status_code == 202
    user.wait(server_id, "ACTIVE")
    settle(cloud)

    assert bindings(neutron, server_id) == ({source: "ACTIVE"}, None)


def test_a_live_migration_to_a_host_that_the_network_does_not_reach_is_given_up_at_once(cloud, neutron, admin, user):
    source = cloud.add_host("host-1").name
    server_id = user.create_server(networks="auto")["id"]
    # No agent there is alive: OVN has never heard of the host.
    HYPERVISORS[cloud._full("host-2")] = Hypervisor(cloud._full("host-2"))
    cloud.start_host("host-2")

    admin.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})
    settle(cloud)

    [migration] = admin.get("/os-migrations").json()["migrations"]
    assert migration["status"] == "error"
    assert admin.server(server_id)["OS-EXT-SRV-ATTR:host"] == source
    assert bindings(neutron, server_id) == ({source: "ACTIVE"}, None)
    action = admin.get(f"/servers/{server_id}/os-instance-actions").json()["instanceActions"][0]
    shown = admin.get(f"/servers/{server_id}/os-instance-actions/{action['request_id']}").json()["instanceAction"]
    assert "cannot be bound there" in shown["message"]
    assert [one["result"] for one in shown["events"] if one["event"] == "expect_ports"] == ["Error"]
