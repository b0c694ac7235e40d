"""Ports with a minimum of bandwidth, beside a real Neutron: claimed with the server, told to Neutron, given back."""

import pytest

from tests.functional.cloud import wait
from tests.functional.parts_of_hosts import PartsOfHosts

BANDWIDTH = "NET_BW_EGR_KILOBIT_PER_SEC"
OPERATOR = "admin:project"


@pytest.fixture
def cloud(make_cloud, real_neutron):
    cloud = make_cloud()
    cloud.stand_beside(neutron=real_neutron)
    return cloud


@pytest.fixture
def neutron(real_neutron):
    yield real_neutron
    real_neutron.clear()
    for policy in real_neutron.ask("GET", "/qos/policies")["policies"]:
        real_neutron.ask("DELETE", f"/qos/policies/{policy['id']}")


@pytest.fixture
def parts(cloud):
    return PartsOfHosts(cloud)


@pytest.fixture
def links(cloud, neutron, parts):
    """A link of each of two hosts to the physical network, of 10 Mbit/s, and one to another; by the host's name."""
    names = [cloud.add_host(name).name for name in ("host-1", "host-2")]
    for name in names:
        parts.add(name, "other", {BANDWIDTH: 10000}, ["CUSTOM_PHYSNET_OTHER", "CUSTOM_VNIC_TYPE_NORMAL"])
    traits = ["CUSTOM_PHYSNET_PROVIDER", "CUSTOM_VNIC_TYPE_NORMAL"]
    ids = {name: neutron.add_link(name, 10000) for name in names}
    return {name: parts.add(name, "link", {BANDWIDTH: 10000}, traits, ids[name]) for name in names}


@pytest.fixture
def policy_id(neutron):
    policy = neutron.ask("POST", "/qos/policies", {"policy": {"name": "fast"}}, OPERATOR)["policy"]
    rule = {"min_kbps": 8000, "direction": "egress"}
    path = f"/qos/policies/{policy['id']}/minimum_bandwidth_rules"
    neutron.ask("POST", path, {"minimum_bandwidth_rule": rule}, OPERATOR)
    return policy["id"]


@pytest.fixture
def network_id(neutron, cloud):
    network = {"name": "wire", "provider:network_type": "flat", "provider:physical_network": "provider"}
    made = neutron.ask("POST", "/networks", {"network": network}, OPERATOR)["network"]["id"]
    subnet = {"network_id": made, "cidr": "10.7.0.0/24", "ip_version": 4}
    neutron.ask("POST", "/subnets", {"subnet": subnet}, OPERATOR)
    return made


@pytest.fixture
def port_id(neutron, network_id, policy_id):
    port = {"network_id": network_id, "qos_policy_id": policy_id}
    return neutron.ask("POST", "/ports", {"port": port}, OPERATOR)["port"]["id"]


def told(neutron, port_id):
    """The providers of which Neutron knows that they give what a port asks for."""
    port = neutron.ask("GET", f"/ports/{port_id}", token="admin:service")["port"]
    return list(port["binding:profile"].get("allocation", {}).values())


def host_of(admin, server):
    return admin.server(server["id"])["OS-EXT-SRV-ATTR:host"]


def test_a_port_gets_its_bandwidth_from_the_link_to_its_network(neutron, parts, links, port_id, admin, user):
    server = user.create_server(networks=[{"port": port_id}])

    link = links[host_of(admin, server)]
    assert parts.held(server["id"]) == {link: {BANDWIDTH: 8000}}
    assert told(neutron, port_id) == [link]

    user.delete(f"/servers/{server['id']}")
    user.wait_gone(server["id"])
    assert (parts.held(server["id"]), told(neutron, port_id)) == ({}, [])


def test_a_link_is_not_promised_twice(neutron, parts, links, network_id, policy_id, admin, user):
    ports = [
        neutron.ask("POST", "/ports", {"port": {"network_id": network_id, "qos_policy_id": policy_id}}, OPERATOR)
        for _ in range(3)
    ]
    servers = [user.create_server(networks=[{"port": port["port"]["id"]}], wait_for=None) for port in ports]

    statuses = sorted(user.wait(server["id"], "ACTIVE", "ERROR")["status"] for server in servers)

    # Each link has room for one.
    assert statuses == ["ACTIVE", "ACTIVE", "ERROR"]


def test_bandwidth_goes_along_with_a_server_that_moves(neutron, parts, links, port_id, admin, user):
    server = user.create_server(networks=[{"port": port_id}])
    places = [host_of(admin, server)]

    for action, argument, status in (
        ("os-migrateLive", {"host": None, "block_migration": "auto"}, "ACTIVE"),
        ("migrate", None, "VERIFY_RESIZE"),
        ("revertResize", None, "ACTIVE"),
        ("migrate", None, "VERIFY_RESIZE"),
        ("confirmResize", None, "ACTIVE"),
    ):
        answer = admin.act(server["id"], action, argument)
        assert answer.status_code in (202, 204), answer.text
        user.wait(server["id"], status)

        places.append(host_of(admin, server))
        link = links[places[-1]]
        assert parts.held(server["id"]) == {link: {BANDWIDTH: 8000}}, action
        assert told(neutron, port_id) == [link], action
    first, second = links
    if places[0] != first:
        first, second = second, first
    assert places == [first, second, first, second, first, first]


def test_a_shelved_server_holds_no_bandwidth_and_gets_it_again(neutron, parts, links, port_id, admin, user):
    server = user.create_server(networks=[{"port": port_id}])

    assert user.act(server["id"], "shelve").status_code == 202
    user.wait(server["id"], "SHELVED_OFFLOADED")
    assert (parts.held(server["id"]), told(neutron, port_id)) == ({}, [])

    assert user.act(server["id"], "unshelve").status_code == 202
    user.wait(server["id"], "ACTIVE")
    link = links[host_of(admin, server)]
    assert (parts.held(server["id"]), told(neutron, port_id)) == ({link: {BANDWIDTH: 8000}}, [link])


def test_a_host_without_bandwidth_is_explained(links, port_id, policy_id, neutron, user):
    [rule] = neutron.ask("GET", f"/qos/policies/{policy_id}")["policy"]["rules"]
    body = {"minimum_bandwidth_rule": {"min_kbps": 20000}}
    neutron.ask("PUT", f"/qos/policies/{policy_id}/minimum_bandwidth_rules/{rule['id']}", body, OPERATOR)

    server = user.create_server(networks=[{"port": port_id}], wait_for="ERROR")

    assert f"lack {BANDWIDTH} (needs 20000)" in server["fault"]["message"]


def test_clients_that_do_not_know_of_bandwidth_are_told(cloud, links, port_id, user):
    old = cloud.client(version="2.71")

    answer = old.post("/servers", {"server": user.wanted(networks=[{"port": port_id}])})

    assert answer.status_code == 400
    assert port_id in answer.json()["badRequest"]["message"]


def test_ports_that_are_made_for_a_server_cannot_have_a_minimum(neutron, links, network_id, policy_id, user):
    neutron.ask("PUT", f"/networks/{network_id}", {"network": {"qos_policy_id": policy_id}}, OPERATOR)

    answer = user.post("/servers", {"server": user.wanted(networks=[{"uuid": network_id}])})

    assert answer.status_code == 400
    assert "QoS policy" in answer.json()["badRequest"]["message"]
    wait(lambda: not user.get("/servers").json()["servers"], "no server was made")


def test_a_port_with_a_minimum_is_not_attached_to_a_server_that_has_its_host(neutron, parts, links, port_id, user):
    server = user.create_server()

    answer = user.post(f"/servers/{server['id']}/os-interface", {"interfaceAttachment": {"port_id": port_id}})

    assert answer.status_code == 400
    assert port_id in answer.json()["badRequest"]["message"]
    assert neutron.ask("GET", f"/ports/{port_id}", token="admin:service")["port"]["device_id"] == ""
