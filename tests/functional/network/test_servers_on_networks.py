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

    def network(self, name="private", cidr="10.20.0.0/24", **facts):
        network = self.ask("POST", "networks", {"network": {"name": name, **facts}}).json()["network"]
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


def test_an_address_has_one_floating_ip_of_a_network(cloud, networks):
    cloud.add_host()
    network, public = networks.network(), Networks(cloud.client(roles=["admin"])).external_network()
    networks.join(network, public)
    server = cloud.client().create_server(networks=[{"uuid": network["id"]}])
    first, second = (networks.make("floatingip", floating_network_id=public["id"]) for _ in range(2))
    user = cloud.client(version="2.43")

    codes = [
        user.act(server["id"], "addFloatingIp", {"address": each["floating_ip_address"]}).status_code
        for each in (first, second)
    ]

    assert codes == [202, 400]
    shown = networks.ask("GET", f"floatingips/{second['id']}").json()["floatingip"]
    assert shown["port_id"] is None


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


def asked_at(client, network, address):
    """The answer to a request for a server with this address."""
    return client.post("/servers", {"server": client.wanted(networks=[{"uuid": network["id"], "fixed_ip": address}])})


def test_who_shares_a_network_of_others_does_not_choose_addresses_on_it(cloud):
    """A port with a chosen address is refused by the Networking API: a server is no way round."""
    cloud.add_host()
    admin, user = Networks(cloud.client("admin", "admin")), cloud.client()
    shared = admin.network(cidr="10.21.0.0/24", shared=True)
    port = {"network_id": shared["id"], "fixed_ips": [{"ip_address": "10.21.0.77"}]}
    assert Networks(user).ask("POST", "ports", {"port": port}).status_code == 403

    # Whether the address is free, is the gateway, or is no address of the network: it is not even looked for.
    answers = [asked_at(user, shared, address) for address in ("10.21.0.77", "10.21.0.1", "192.0.2.1")]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert user.get("/servers").json()["servers"] == []
    assert [one for one in admin.ports() if one["network_id"] == shared["id"]] == []
    # Without a choice it is theirs to use; and an administrator chooses.
    user.create_server(networks=[{"uuid": shared["id"]}])
    administrator = cloud.client("admin", "project")
    chosen = administrator.create_server(networks=[{"uuid": shared["id"], "fixed_ip": "10.21.0.78"}])
    assert addresses_of(cloud, chosen) == {"10.21.0.78"}


def test_the_owner_of_a_network_chooses_addresses_but_for_the_gateway(cloud, networks):
    cloud.add_host()
    user, network = cloud.client(), networks.network()
    port = networks.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.20.0.76"}])

    chosen = user.create_server(networks=[{"uuid": network["id"], "fixed_ip": "10.20.0.77"}])
    brought = user.create_server(networks=[{"port": port["id"]}])
    gateway = [asked_at(client, network, "10.20.0.1") for client in (user, cloud.client("admin", "project"))]

    assert addresses_of(cloud, chosen) == {"10.20.0.77"}
    assert addresses_of(cloud, brought) == {"10.20.0.76"}
    assert [answer.status_code for answer in gateway] == [400, 400]
    assert "gateway" in gateway[0].text


def test_a_port_made_for_a_project_on_a_network_of_others_keeps_its_address(cloud):
    """An administrator has chosen it."""
    cloud.add_host()
    admin = Networks(cloud.client("admin", "admin"))
    shared = admin.network(cidr="10.21.0.0/24", shared=True)
    fixed_ips = [{"ip_address": "10.21.0.79"}]
    port = admin.make("port", network_id=shared["id"], project_id="project", fixed_ips=fixed_ips)

    server = cloud.client().create_server(networks=[{"port": port["id"]}])

    assert addresses_of(cloud, server) == {"10.21.0.79"}


def soon(condition):
    return wait_for(condition, timeout_s=90)


def addresses_of(cloud, server):
    networks = cloud.client().server(server["id"])["addresses"]
    return {one["addr"] for addresses in networks.values() for one in addresses}
