"""Interfaces, addresses and security groups of a running server."""

import ipaddress
from concurrent.futures import ThreadPoolExecutor

import pytest

from nova.structs.context import Context
from tests.functional.actions.history import history
from tests.functional.cloud import wait
from tests.functional.invariants import settle

pytestmark = pytest.mark.usefixtures("in_order")


@pytest.fixture
def cloud(cloud_on_networks):
    return cloud_on_networks


@pytest.fixture
def network(cloud, admin):
    """A network all projects may use."""
    return make_network(admin, 0)


def make_network(admin, number):
    body = {"network": {"name": f"net-{number}", "shared": True}}
    network = admin.post("/v2.0/networks", body, url="http://network").json()["network"]["id"]
    subnet = {"network_id": network, "cidr": f"10.{number}.0.0/24", "ip_version": 4}
    assert admin.post("/v2.0/subnets", {"subnet": subnet}, url="http://network").status_code == 201
    return network


def ports_of(admin, server_id):
    ports = admin.get("/v2.0/ports", url="http://network").json()["ports"]
    return [one["id"] for one in ports if one["device_id"] == server_id]


def test_an_automatic_network_that_cannot_be_is_refused(cloud, user):
    cloud.add_host()

    answer = user.post("/servers", {"server": user.wanted(networks="auto")})

    assert answer.status_code == 400
    assert "automatically allocate" in answer.text
    assert user.get("/servers").json()["servers"] == []


def test_interfaces_that_come_at_once_take_turns_and_go_once(cloud, user, admin, network):
    host = cloud.add_host()
    server_id = user.create_server(networks=[{"uuid": network}])["id"]
    others = [make_network(admin, number) for number in (1, 2)]
    host.hold("attach_vif")

    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(user.post, f"/servers/{server_id}/os-interface", {"interfaceAttachment": {"net_id": other}})
            for other in others
        ]
        wait(lambda: len(history(cloud, server_id)) == 2, "one of them is accepted")
        host.release("attach_vif")
    attached = [one.result().json()["interfaceAttachment"] for one in asked]
    path = f"/servers/{server_id}/os-interface/{attached[0]['port_id']}"
    host.hold("detach_vif")
    gone = [user.delete(path).status_code for _ in range(2)]
    host.release("detach_vif")
    settle(cloud)

    assert {one["net_id"] for one in attached} == set(others)
    assert gone == [202, 404]
    assert len(host.guests[server_id].vifs) == 2
    assert len(ports_of(admin, server_id)) == 2


def test_an_interface_is_attached_and_detached(cloud, user, admin, network):
    host = cloud.add_host()
    server_id = user.create_server(networks=[{"uuid": network}])["id"]
    other = make_network(admin, 1)

    answer = user.post(f"/servers/{server_id}/os-interface", {"interfaceAttachment": {"net_id": other, "tag": "data"}})

    attached = answer.json()["interfaceAttachment"]
    assert answer.status_code == 200
    assert (attached["net_id"], attached["tag"]) == (other, "data")
    assert len(user.get(f"/servers/{server_id}/os-interface").json()["interfaceAttachments"]) == 2
    assert len(host.guests[server_id].vifs) == 2
    assert len(user.server(server_id)["addresses"]) == 2

    assert user.delete(f"/servers/{server_id}/os-interface/{attached['port_id']}").status_code == 202
    user.wait(server_id, "ACTIVE")
    settle(cloud)

    assert attached["port_id"] not in host.guests[server_id].vifs
    assert attached["port_id"] not in ports_of(admin, server_id)
    assert user.get(f"/servers/{server_id}/os-interface/{attached['port_id']}").status_code == 404


def test_a_second_interface_on_one_network_is_another_port(cloud, user, admin, network):
    host = cloud.add_host()
    server_id = user.create_server(networks=[{"uuid": network}, {"uuid": network}])["id"]

    answer = user.post(f"/servers/{server_id}/os-interface", {"interfaceAttachment": {"net_id": network}})

    assert answer.status_code == 200, answer.text
    assert len(set(ports_of(admin, server_id))) == 3
    assert set(host.guests[server_id].vifs) == set(ports_of(admin, server_id))
    assert len(user.server(server_id)["addresses"]["net-0"]) == 3


@pytest.mark.parametrize("moment", ["done", "committed"])
def test_an_interface_whose_conductor_dies_is_attached_once(cloud, user, admin, network, moment):
    host = cloud.add_host()
    server_id = user.create_server(networks=[{"uuid": network}])["id"]
    cloud.boundary.kill("attach_interface", "make_port", moment)
    cloud.add_conductor()

    user.post(f"/servers/{server_id}/os-interface", {"interfaceAttachment": {"net_id": network}})
    settle(cloud)

    assert history(cloud, server_id)[0] == ("attach_interface", "succeeded")
    assert len(ports_of(admin, server_id)) == 2
    assert set(host.guests[server_id].vifs) == set(ports_of(admin, server_id))


def test_a_port_the_user_brought_outlives_the_server_it_was_attached_to(cloud, user, network):
    cloud.add_host()
    server_id = user.create_server()["id"]
    body = {"port": {"network_id": network}}
    port_id = user.post("/v2.0/ports", body, url="http://network").json()["port"]["id"]

    attached = user.post(f"/servers/{server_id}/os-interface", {"interfaceAttachment": {"port_id": port_id}})
    user.delete(f"/servers/{server_id}/os-interface/{port_id}")
    settle(cloud)

    port = user.get(f"/v2.0/ports/{port_id}", url="http://network").json()["port"]
    assert attached.status_code == 200
    assert port["device_id"] == ""


def port_of(user, port_id):
    return user.get(f"/v2.0/ports/{port_id}", url="http://network").json().get("port")


def tell_of_change(user, server_id):
    event = {"name": "network-changed", "server_uuid": server_id}
    assert user.post("/os-server-external-events", {"events": [event]}).status_code == 200


def test_a_port_of_which_is_told_while_it_is_attached_stays_its_users(cloud, user, admin, network):
    cloud.add_host()
    server_id = user.create_server(networks=[{"uuid": network}])["id"]
    port_id = user.post("/v2.0/ports", {"port": {"network_id": network}}, url="http://network").json()["port"]["id"]
    body = {"interfaceAttachment": {"port_id": port_id}}

    cloud.boundary.call_at("attach_interface", "plug", "ordered", lambda: tell_of_change(admin, server_id))

    assert user.post(f"/servers/{server_id}/os-interface", body).status_code == 200
    tell_of_change(admin, server_id)

    listed = user.get(f"/servers/{server_id}/os-interface").json()["interfaceAttachments"]
    assert [one["port_id"] for one in listed].count(port_id) == 1
    assert len(user.server(server_id)["addresses"]["net-0"]) == 2
    user.delete(f"/servers/{server_id}")
    settle(cloud)
    assert port_of(user, port_id)["device_id"] == ""


def test_a_port_that_its_user_gave_a_server_outlives_it(cloud, user, admin, network):
    cloud.add_host()
    server_id = user.create_server(networks=[{"uuid": network}])["id"]
    port_id = user.post("/v2.0/ports", {"port": {"network_id": network}}, url="http://network").json()["port"]["id"]
    body = {"port": {"device_id": server_id, "device_owner": "compute:nova"}}
    given = user.put(f"/v2.0/ports/{port_id}", body, url="http://network").status_code
    # nova-network lets nobody but the Compute service give ports away.
    assert given == (403 if cloud.has_nova_network else 200)
    tell_of_change(admin, server_id)

    user.delete(f"/servers/{server_id}")
    settle(cloud)

    assert port_of(user, port_id)["device_id"] == ""


def test_a_host_that_cannot_plug_leaves_no_port_behind(cloud, user, admin, network):
    host = cloud.add_host()
    server_id = user.create_server()["id"]
    host.fail("attach_vif")

    answer = user.post(f"/servers/{server_id}/os-interface", {"interfaceAttachment": {"net_id": network}})

    assert answer.status_code == 500
    assert ports_of(admin, server_id) == []
    assert history(cloud, server_id)[0] == ("attach_interface", "failed")


@pytest.mark.parametrize(
    "wanted", [{"net_id": "NET", "port_id": "NET"}, {"fixed_ips": [{"ip_address": "10.0.0.9"}]}, {"net_id": "NONE"}]
)
def test_what_cannot_be_attached_is_refused(cloud, user, network, wanted):
    cloud.add_host()
    server_id = user.create_server()["id"]
    ids = {"NET": network, "NONE": "7a9b1f0e-0000-4000-8000-000000000000"}
    body = {key: ids.get(value, value) if isinstance(value, str) else value for key, value in wanted.items()}

    assert user.post(f"/servers/{server_id}/os-interface", {"interfaceAttachment": body}).status_code == 400


def test_an_interface_has_a_chosen_address_where_its_asker_may_choose(cloud, user, admin, network):
    """The network is the administrator's project's; another one is the user's own."""
    cloud.add_host()
    own = user.post("/v2.0/networks", {"network": {"name": "own"}}, url="http://network").json()["network"]["id"]
    subnet = {"network_id": own, "cidr": "10.9.0.0/24", "ip_version": 4}
    assert user.post("/v2.0/subnets", {"subnet": subnet}, url="http://network").status_code == 201
    server_id = user.create_server(networks="none")["id"]

    def attach(client, net_id, address):
        body = {"interfaceAttachment": {"net_id": net_id, "fixed_ips": [{"ip_address": address}]}}
        return client.post(f"/servers/{server_id}/os-interface", body).status_code

    assert [attach(user, network, address) for address in ("10.0.0.53", "10.0.0.1", "192.0.2.1")] == [403] * 3
    assert [attach(client, own, "10.9.0.1") for client in (user, admin)] == [400, 400]
    assert attach(admin, network, "10.0.0.1") == 400
    assert ports_of(admin, server_id) == []

    assert [attach(user, own, "10.9.0.53"), attach(admin, network, "10.0.0.53")] == [200, 200]
    addresses = user.server(server_id)["addresses"]
    assert {one["addr"] for each in addresses.values() for one in each} == {"10.9.0.53", "10.0.0.53"}


def test_security_groups_come_and_go(cloud, user, network):
    cloud.add_host()
    server_id = user.create_server(networks=[{"uuid": network}])["id"]
    user.post("/v2.0/security-groups", {"security_group": {"name": "web"}}, url="http://network")

    assert user.act(server_id, "addSecurityGroup", {"name": "web"}).status_code == 202
    assert {"name": "web"} in user.server(server_id)["security_groups"]

    assert user.act(server_id, "removeSecurityGroup", {"name": "web"}).status_code == 202
    assert {"name": "web"} not in user.server(server_id)["security_groups"]
    assert user.act(server_id, "removeSecurityGroup", {"name": "web"}).status_code == 404


def test_a_server_gets_one_more_address_and_loses_it(cloud, user, network):
    cloud.add_host()
    old = cloud.client(version="2.43")
    server_id = user.create_server(networks=[{"uuid": network}])["id"]

    assert old.act(server_id, "addFixedIp", {"networkId": network}).status_code == 202
    settle(cloud)
    addresses = [one["addr"] for one in user.server(server_id)["addresses"]["net-0"]]

    assert len(addresses) == 2, cloud.conductor_calls.operations(Context(), server_id)
    assert old.act(server_id, "removeFixedIp", {"address": addresses[1]}).status_code == 202
    settle(cloud)
    assert [one["addr"] for one in user.server(server_id)["addresses"]["net-0"]] == addresses[:1]
    assert user.act(server_id, "addFixedIp", {"networkId": network}).status_code == 404


def test_an_ipv6_address_is_the_same_in_any_form(cloud, user, admin, network):
    cloud.add_host()
    old = cloud.client(version="2.43")
    subnet = {"network_id": network, "cidr": "fd00:9::/64", "ip_version": 6}
    assert admin.post("/v2.0/subnets", {"subnet": subnet}, url="http://network").status_code == 201
    server_id = user.create_server(networks=[{"uuid": network}])["id"]
    [address] = [one["addr"] for one in user.server(server_id)["addresses"]["net-0"] if one["version"] == 6]
    floating = {"address": "203.0.113.9", "fixed_address": ipaddress.ip_address(address).exploded.upper()}

    # It is the server's; the floating address is nobody's.
    assert old.act(server_id, "addFloatingIp", floating).status_code == 404
    assert old.act(server_id, "removeFixedIp", {"address": floating["fixed_address"]}).status_code == 202
    settle(cloud)

    assert {one["version"] for one in user.server(server_id)["addresses"]["net-0"]} == {4}


def test_a_port_that_serves_a_trunk_is_no_servers(cloud, user, admin, network):
    host = cloud.add_host()
    server_id = user.create_server(networks="none")["id"]
    port = user.post("/v2.0/ports", {"port": {"network_id": network}}, url="http://network").json()["port"]["id"]
    admin.put(f"/v2.0/ports/{port}", {"port": {"device_owner": "trunk:subport"}}, url="http://network")

    attached = user.post(f"/servers/{server_id}/os-interface", {"interfaceAttachment": {"port_id": port}})
    created = user.post("/servers", {"server": user.wanted(networks=[{"port": port}])})

    assert (attached.status_code, created.status_code) == (409, 409)
    assert port in attached.text
    shown = admin.get(f"/v2.0/ports/{port}", url="http://network").json()["port"]
    assert (shown["device_id"], shown["device_owner"]) == ("", "trunk:subport")
    assert list(host.guests) == [server_id]
