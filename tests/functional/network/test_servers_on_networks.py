"""Servers on networks, through the whole cloud: Compute API, conductor and its bus, nova-network, a host."""

import pytest

from nova.concurrency import wait_for


@pytest.fixture
def cloud(cloud_on_networks):
    return cloud_on_networks


class Networks:
    """The Networking API of a cloud, as one of its users."""

    def __init__(self, user):
        self._user = user

    def ask(self, method, path, body=None):
        return self._user.request(method, f"/{path}", body, url="http://network/v2.0")

    def network(self, name="private", cidr="10.20.0.0/24"):
        network = self.ask("POST", "networks", {"network": {"name": name}}).json()["network"]
        body = {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": cidr}}
        assert self.ask("POST", "subnets", body).status_code == 201
        return network

    def external_network(self):
        network = self.make("network", name="public", **{"router:external": True})
        self.make("subnet", network_id=network["id"], ip_version=4, cidr="203.0.113.0/24")
        return network

    def make(self, noun, **fields):
        return self.ask("POST", f"{noun}s".replace("_", "-"), {noun: fields}).json()[noun]

    def join(self, network, public):
        """A router between them."""
        router = self.make("router", name="router", external_gateway_info={"network_id": public["id"]})
        [subnet] = self.ask("GET", f"subnets?network_id={network['id']}").json()["subnets"]
        path = f"routers/{router['id']}/add_router_interface"
        assert self.ask("PUT", path, {"subnet_id": subnet["id"]}).status_code == 200

    def ports(self):
        """Without those of DHCP servers."""
        return [port for port in self.ask("GET", "ports").json()["ports"] if port["device_owner"] != "network:dhcp"]


@pytest.fixture
def networks(cloud):
    return Networks(cloud.client())


def test_a_server_has_an_address_while_it_lives(cloud, networks):
    cloud.add_host()
    network = networks.network()

    server = cloud.client().create_server(networks=[{"uuid": network["id"]}])
    [port] = networks.ports()
    cloud.client().delete(f"/servers/{server['id']}")
    cloud.client().wait_gone(server["id"])

    [address] = server["addresses"]["private"]
    assert (address["addr"], address["OS-EXT-IPS:type"]) == (port["fixed_ips"][0]["ip_address"], "fixed")
    assert address["OS-EXT-IPS-MAC:mac_addr"] == port["mac_address"]
    assert (port["device_id"], port["device_owner"]) == (server["id"], "compute:nova")
    assert server["security_groups"] == [{"name": "default"}]
    assert networks.ports() == []


def test_a_servers_addresses_and_groups_follow_what_is_done_to_its_port(cloud, networks):
    cloud.add_host()
    network, public = networks.network(), Networks(cloud.client(roles=["admin"])).external_network()
    networks.join(network, public)
    server = cloud.client().create_server(networks=[{"uuid": network["id"]}])
    [port] = [one for one in networks.ports() if one["device_id"] == server["id"]]

    floating = networks.make("floatingip", floating_network_id=public["id"], port_id=port["id"])
    assert soon(lambda: floating["floating_ip_address"] in addresses_of(cloud, server))
    networks.ask("PUT", f"floatingips/{floating['id']}", {"floatingip": {"port_id": None}})
    assert soon(lambda: floating["floating_ip_address"] not in addresses_of(cloud, server))
    networks.ask("PUT", f"floatingips/{floating['id']}", {"floatingip": {"port_id": port["id"]}})
    assert soon(lambda: floating["floating_ip_address"] in addresses_of(cloud, server))
    networks.ask("DELETE", f"floatingips/{floating['id']}")
    assert soon(lambda: floating["floating_ip_address"] not in addresses_of(cloud, server))

    group = networks.make("security_group", name="open")
    networks.ask("PUT", f"ports/{port['id']}", {"port": {"security_groups": [group["id"]]}})
    assert soon(lambda: cloud.client().server(server["id"])["security_groups"] == [{"name": "open"}])


def test_a_server_that_fails_to_build_leaves_no_port(cloud, networks):
    networks.network()

    server = cloud.client().create_server(networks="auto", wait_for="ERROR")

    assert server["addresses"] == {}
    assert networks.ports() == []


def test_servers_get_addresses_of_their_own_and_their_projects_security_groups(cloud, networks):
    cloud.add_host()
    network = networks.network()
    networks.ask("POST", "security-groups", {"security_group": {"name": "web"}})
    asked = {"networks": [{"uuid": network["id"]}], "security_groups": [{"name": "web"}]}

    servers = [cloud.client().create_server(name=name, **asked) for name in ("one", "two")]

    assert len({server["addresses"]["private"][0]["addr"] for server in servers}) == 2
    assert [server["security_groups"] for server in servers] == [[{"name": "web"}]] * 2


def test_a_network_nobody_has_is_refused_before_a_server_is_made(cloud, networks):
    cloud.add_host()
    user = cloud.client()

    wanted = user.wanted(networks=[{"uuid": "11111111-2222-3333-4444-555555555555"}])
    answer = user.post("/servers", {"server": wanted})

    assert answer.status_code == 400
    assert user.get("/servers").json()["servers"] == []


def soon(condition):
    return wait_for(condition, timeout_s=90)


def addresses_of(cloud, server):
    networks = cloud.client().server(server["id"])["addresses"]
    return {one["addr"] for addresses in networks.values() for one in addresses}
