"""Real bridges, DHCP, NAT and filters, in network namespaces that stand for hosts and guests."""

import uuid

import pytest

from nova import conf as configuration
from nova.concurrency import wait_for
from nova.network.host import firewall
from nova.network.host.agent import HostNetworks
from nova.network.host.dataplane import LinuxDataplane
from nova.structs.network import NetworkRequest
from tests.functional.network.machines import Machine, connect, get_address

OUTSIDE, HOST_OUTSIDE = "198.51.100.2", "198.51.100.1"


class World:
    """A network host with a way to the outside, and guests on it."""

    def __init__(self, cloud, directory):
        self.cloud = cloud
        self.directory = directory
        self.machines = []
        self.host = self.machine()
        self.outside = self.machine()
        connect(self.host, "out0", self.outside, "eth0")
        self.host.run("ip", "addr", "add", f"{HOST_OUTSIDE}/24", "dev", "out0")
        self.outside.run("ip", "addr", "add", f"{OUTSIDE}/24", "dev", "eth0")
        self.host.run("ip", "route", "add", "default", "via", OUTSIDE)
        self.dataplane = LinuxDataplane(cloud.conf, cloud.conductor)

    def machine(self):
        self.machines.append(Machine(self.directory))
        return self.machines[-1]

    def converge(self):
        with self.host.inside():
            self.dataplane.converge()

    def bridge(self, network):
        [record] = self.cloud.conductor.networking("network", {"id": [network["id"]]})
        return record.bridge

    def port(self, network, **values):
        """A port of a server on this host."""
        project = values.pop("project", self.cloud.project())
        port = project.create("ports", network_id=network["id"], device_id=str(uuid.uuid4()), **values)
        binding = {"binding:host_id": self.cloud.conf.host, "device_owner": "compute:nova"}
        return self.cloud.admin.update("ports", port["id"], **binding)

    def plug(self, network, port):
        """A guest whose device is the port's."""
        guest = self.machine()
        device = firewall.device_of(port["id"])
        connect(self.host, device, guest, "eth0", mac=port["mac_address"])
        self.host.run("ip", "link", "set", device, "master", self.bridge(network))
        guest.port = port
        guest.address = port["fixed_ips"][0]["ip_address"]
        return guest

    def boot(self, network, **values):
        """A guest that has asked for its address."""
        port = self.port(network, **values)
        self.converge()
        guest = self.plug(network, port)
        guest.lease = get_address(guest)
        return guest

    def close(self):
        with self.host.inside():
            self.dataplane.remove()
        for machine in self.machines:
            machine.close()


@pytest.fixture
def world(make_network_host, tmp_path):
    cloud = make_network_host(networks_path=str(tmp_path / "networks"), metadata_port=18775, host="host-1")
    world = World(cloud, tmp_path)
    yield world
    world.close()


@pytest.fixture
def network(world):
    return world.cloud.project().network(cidr="10.20.0.0/24")


@pytest.fixture
def open_group(world):
    """A security group that lets everything in."""
    group = world.cloud.project().create("security-groups", name="open")
    world.cloud.project().create("security-group-rules", security_group_id=group["id"], direction="ingress")
    return group


def test_a_guest_gets_its_address_names_and_routes_by_dhcp(world, network):
    guest = world.boot(network, dns_name="web", fixed_ips=[{"ip_address": "10.20.0.40"}])

    assert guest.lease["ip"] == "10.20.0.40"
    assert guest.lease["router"] == "10.20.0.1"
    assert guest.lease["hostname"] == "web"
    assert guest.lease["mtu"] == "1500"
    assert guest.reaches("10.20.0.1")


def test_a_stranger_gets_no_address(world, network):
    port = world.port(network)
    world.converge()
    guest = world.plug(network, {**port, "mac_address": "fa:16:3e:ff:ff:ff", "id": str(uuid.uuid4())})

    assert get_address(guest) is None


def test_a_guest_reaches_the_metadata_service_as_itself(world, network):
    world.host.serve_who_asks("127.0.0.1", 18775)

    guest = world.boot(network)

    assert guest.ask("http://169.254.169.254/") == guest.address


def test_a_guest_reaches_a_metadata_service_on_another_address_of_the_host(world, network):
    world.cloud.conf.set_override("metadata_host", HOST_OUTSIDE)
    world.host.serve_who_asks(HOST_OUTSIDE, 18775)

    guest = world.boot(network)

    assert guest.ask("http://169.254.169.254/latest/meta-data/") == guest.address


def test_a_guest_reaches_the_outside_under_the_hosts_address(world, network):
    world.outside.serve_who_asks(OUTSIDE, 8080)

    guest = world.boot(network)

    assert guest.ask(f"http://{OUTSIDE}:8080/") == HOST_OUTSIDE


def test_guests_of_one_group_talk_and_others_do_not_get_in(world, network):
    demo = world.cloud.project()
    private = demo.create("security-groups", name="private")
    first, second = world.boot(network), world.boot(network)
    third = world.boot(network, security_groups=[private["id"]])

    assert first.reaches(second.address)
    assert not first.reaches(third.address)
    assert third.address != first.address


def test_a_rule_opens_one_port_to_everyone_at_once(world, network):
    demo = world.cloud.project()
    web = demo.create("security-groups", name="web")
    server, client = world.boot(network, security_groups=[web["id"]]), world.boot(network)
    server.serve_who_asks("0.0.0.0", 80)
    server.serve_who_asks("0.0.0.0", 81)
    before = client.ask(f"http://{server.address}/")

    demo.create(
        *("security-group-rules",),
        security_group_id=web["id"],
        direction="ingress",
        protocol="tcp",
        port_range_min=80,
        port_range_max=80,
        remote_ip_prefix="10.20.0.0/24",
    )
    world.converge()

    assert before is None
    assert client.ask(f"http://{server.address}/") == client.address
    assert client.ask(f"http://{server.address}:81/") is None


def test_a_closed_group_stops_the_host_and_other_networks_too(world, network):
    closed = world.cloud.project().create("security-groups", name="closed")
    other = world.cloud.project().network(cidr="10.21.0.0/24", name="other")
    guest = world.boot(network, security_groups=[closed["id"]])
    neighbour = world.boot(other)

    assert not neighbour.reaches(guest.address)
    assert not world.host.reaches(guest.address)
    assert guest.reaches(neighbour.lease["router"])


def test_what_a_guest_may_send_is_limited_by_its_rules(world, network):
    demo = world.cloud.project()
    silent = demo.create("security-groups", name="silent")
    for rule in silent["security_group_rules"]:
        demo.delete("security-group-rules", rule["id"])
    world.outside.serve_who_asks(OUTSIDE, 8080)
    world.host.serve_who_asks("127.0.0.1", 18775)

    guest = world.boot(network, security_groups=[silent["id"]])

    assert guest.lease["ip"] == guest.address
    assert guest.ask(f"http://{OUTSIDE}:8080/") is None
    assert guest.ask("http://169.254.169.254/") == guest.address


@pytest.mark.parametrize("pretend", ["address", "mac"])
def test_a_guest_cannot_pretend_to_be_another(world, network, open_group, pretend):
    victim = world.boot(network, security_groups=[open_group["id"]])
    guest = world.boot(network, security_groups=[open_group["id"]])
    reached = guest.reaches(victim.address)

    if pretend == "address":
        guest.take_address("10.20.0.200/24")
    else:
        guest.run("ip", "link", "set", "eth0", "address", "fa:16:3e:aa:aa:aa")

    assert reached
    assert not guest.reaches(victim.address)


def test_an_allowed_pair_may_be_used(world, network, open_group):
    victim = world.boot(network, security_groups=[open_group["id"]])
    pair = [{"ip_address": "10.20.0.200"}]
    guest = world.boot(network, security_groups=[open_group["id"]], allowed_address_pairs=pair)

    guest.take_address("10.20.0.200/24")

    assert guest.reaches(victim.address)


def test_port_security_off_lets_everything_through(world, network):
    guest, open_port = world.boot(network), world.boot(network, port_security_enabled=False)

    open_port.run("ip", "addr", "add", "10.20.0.200/24", "dev", "eth0")

    assert guest.reaches("10.20.0.200")


def test_the_hosts_other_services_are_not_offered_at_the_gateway(world, network):
    world.host.serve_who_asks("0.0.0.0", 5672)

    guest = world.boot(network)

    assert guest.ask("http://10.20.0.1:5672/") is None


def test_a_new_owner_of_an_address_gets_it_while_the_old_lease_runs(world, network):
    first = world.boot(network)
    world.cloud.admin.delete("ports", first.port["id"])
    first.run("ip", "link", "del", "eth0")

    second = world.boot(network)

    assert second.address == first.address
    assert second.lease["ip"] == first.address


def test_a_floating_address_leads_to_its_guest_and_marks_its_traffic(world, network, open_group):
    admin = world.cloud.admin
    public = admin.network(cidr="203.0.113.0/24", name="public", **{"router:external": True})
    world.outside.run("ip", "route", "add", "203.0.113.0/24", "via", HOST_OUTSIDE)
    world.outside.serve_who_asks(OUTSIDE, 8080)
    guest = world.boot(network, security_groups=[open_group["id"]])
    guest.serve_who_asks("0.0.0.0", 80)

    floating = world.cloud.project().create("floatingips", floating_network_id=public["id"], port_id=guest.port["id"])
    world.converge()

    address = floating["floating_ip_address"]
    assert world.outside.ask(f"http://{address}/") == OUTSIDE
    assert guest.ask(f"http://{OUTSIDE}:8080/") == address


def test_floating_addresses_are_the_public_interfaces_where_there_is_one(world, network, open_group):
    world.cloud.conf.set_override("public_interface", "out0")
    public = world.cloud.admin.network(cidr="198.51.100.0/24", name="public", **{"router:external": True})
    pools = [{"start": "198.51.100.10", "end": "198.51.100.20"}]
    world.cloud.admin.update("subnets", public["subnets"][0], allocation_pools=pools)
    guest = world.boot(network, security_groups=[open_group["id"]])
    guest.serve_who_asks("0.0.0.0", 80)
    wanted = {"floating_network_id": public["id"], "port_id": guest.port["id"]}
    floating = world.cloud.project().create("floatingips", **wanted)
    world.converge()

    answer = world.outside.ask(f"http://{floating['floating_ip_address']}/")
    world.cloud.project().delete("floatingips", floating["id"])
    world.converge()

    assert answer == OUTSIDE
    assert world.outside.ask(f"http://{floating['floating_ip_address']}/") is None
    assert HOST_OUTSIDE in world.host.run("ip", "addr", "show", "dev", "out0")


def test_a_subnet_without_gateway_has_metadata_and_no_way_out(world):
    world.host.serve_who_asks("127.0.0.1", 18775)
    world.outside.serve_who_asks(OUTSIDE, 8080)
    lonely = world.cloud.project().network(cidr="10.22.0.0/24", subnet={"gateway_ip": None})

    guest = world.boot(lonely)

    assert guest.lease["ip"] == guest.address
    assert "router" not in guest.lease
    assert guest.ask("http://169.254.169.254/") == guest.address
    assert guest.ask(f"http://{OUTSIDE}:8080/") is None


def test_guests_give_themselves_ipv6_addresses_and_rules_hold_for_them(world, network):
    demo = world.cloud.project()
    modes = {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}
    demo.create("subnets", network_id=network["id"], ip_version=6, cidr="fd00:20::/64", **modes)
    closed = demo.create("security-groups", name="closed")
    first, second = world.boot(network), world.boot(network)
    third = world.boot(network, security_groups=[closed["id"]])

    for guest in (first, second, third):
        guest.address = guest.port["fixed_ips"][1]["ip_address"]
        assert wait_for(lambda guest=guest: guest.owns(guest.address), timeout_s=20)

    assert first.reaches("fd00:20::1")
    assert first.reaches(second.address)
    assert not first.reaches(third.address)


def test_guests_keep_their_network_when_the_daemon_is_killed_and_comes_back(world, network):
    guest = world.boot(network)
    world.dataplane = LinuxDataplane(world.cloud.conf, world.cloud.conductor)

    newcomer = world.boot(network)

    assert newcomer.lease["ip"] == newcomer.address
    assert guest.reaches(newcomer.address)
    assert get_address(guest)["ip"] == guest.address


def test_a_dead_dhcp_server_is_replaced(world, network):
    world.boot(network)
    directory = world.dataplane._dhcp._root / world.bridge(network)
    world.host.run("kill", "-9", (directory / "pid").read_text().strip())

    guest = world.boot(network)

    assert guest.lease["ip"] == guest.address


def test_converging_twice_changes_nothing(world, network):
    world.boot(network)
    world.converge()
    before = world.host.run("nft", "list", "ruleset"), world.host.run("ip", "-o", "addr", "show", "scope", "global")
    directory = world.dataplane._dhcp._root / world.bridge(network)
    pid = (directory / "pid").read_text()

    world.converge()

    assert before == (
        world.host.run("nft", "list", "ruleset"),
        world.host.run("ip", "-o", "addr", "show", "scope", "global"),
    )
    assert (directory / "pid").read_text() == pid


def test_a_deleted_network_leaves_nothing_behind(world, network):
    guest = world.boot(network)
    world.cloud.admin.delete("ports", guest.port["id"])
    bridge = world.bridge(network)
    world.cloud.admin.delete("networks", network["id"])

    world.converge()

    assert bridge not in world.host.run("ip", "link")
    assert not (world.dataplane._dhcp._root / bridge).exists()


def test_teardown_removes_everything_and_nothing_else(world, network):
    world.host.run("ip", "link", "add", "br-of-others", "type", "bridge")
    world.boot(network)

    with world.host.inside():
        world.dataplane.remove()

    assert world.host.run("nft", "list", "ruleset") == ""
    assert "br-of-others" in world.host.run("ip", "link")
    assert world.host.run("ip", "-o", "link", "show", "type", "bridge").count("\n") == 1


@pytest.fixture
def far_world(make_network_host, tmp_path):
    """A network host and a compute host of its own, joined by a cable."""
    cloud = make_network_host(
        networks_path=str(tmp_path / "networks"),
        metadata_port=18775,
        metadata_host="127.0.0.1",
        host="network-1",
        flat_interface="fabric0",
        my_ip="10.99.0.1",
    )
    world = World(cloud, tmp_path)
    world.compute = world.machine()
    connect(world.host, "fabric0", world.compute, "fabric0")
    connect(world.host, "manage0", world.compute, "manage0")
    world.host.run("ip", "addr", "add", "10.99.0.1/24", "dev", "manage0")
    world.compute.run("ip", "addr", "add", "10.99.0.2/24", "dev", "manage0")
    compute_conf = configuration.load([], files=[])
    compute_conf.set_override("flat_interface", "fabric0")
    compute_conf.set_override("my_ip", "10.99.0.2")
    world.agent = HostNetworks(compute_conf, cloud.admin.adapter, "compute-1")
    yield world
    world.close()


def boot_far(world, network, **values):
    """A guest on the compute host, made the way nova-compute makes one."""
    demo = world.cloud.project()
    port = demo.create("ports", network_id=network["id"], **values)
    request = (NetworkRequest(port_id=port["id"]),)
    vifs = world.cloud.client.allocate("demo", str(uuid.uuid4()), "compute-1", "nova", "far", request)
    world.converge()
    with world.compute.inside():
        world.agent.prepare(vifs)
    guest = world.machine()
    device = firewall.device_of(port["id"])
    connect(world.compute, device, guest, "eth0", mac=port["mac_address"])
    world.compute.run("ip", "link", "set", device, "mtu", str(vifs[0].mtu))
    world.compute.run("ip", "link", "set", device, "master", str(vifs[0].details["bridge_name"]))
    guest.port, guest.address = port, port["fixed_ips"][0]["ip_address"]
    guest.lease = get_address(guest)
    return guest


@pytest.mark.parametrize("kind", ["flat", "vxlan"])
def test_a_guest_on_another_host_is_on_the_same_network(far_world, kind):
    world = far_world
    network = world.cloud.admin.network(
        cidr="10.20.0.0/24", shared=True, **{"provider:network_type": kind, "project_id": "demo"}
    )
    world.host.serve_who_asks("127.0.0.1", 18775)
    world.outside.serve_who_asks(OUTSIDE, 8080)

    guest = boot_far(world, network)

    assert guest.lease["ip"] == guest.address
    assert guest.ask("http://169.254.169.254/") == guest.address
    assert guest.ask(f"http://{OUTSIDE}:8080/") == HOST_OUTSIDE


def test_security_groups_hold_on_the_compute_host(far_world):
    world = far_world
    demo = world.cloud.project()
    network = demo.network(cidr="10.20.0.0/24")
    closed = demo.create("security-groups", name="closed")
    first, second = boot_far(world, network), boot_far(world, network)
    third = boot_far(world, network, security_groups=[closed["id"]])
    member_reached, stranger_reached = first.reaches(second.address), first.reaches(third.address)

    demo.create("security-group-rules", security_group_id=closed["id"], direction="ingress", protocol="icmp")
    with world.compute.inside():
        world.agent.apply_security_groups()

    assert member_reached
    assert not stranger_reached
    assert first.reaches(third.address)


def test_a_guest_stays_guarded_while_its_port_is_another_hosts_already(far_world):
    world = far_world
    demo = world.cloud.project()
    network = demo.network(cidr="10.20.0.0/24")
    closed = demo.create("security-groups", name="closed")
    first = boot_far(world, network)
    moving = boot_far(world, network, security_groups=[closed["id"]])

    world.cloud.admin.update("ports", moving.port["id"], **{"binding:host_id": "compute-2"})
    with world.compute.inside():
        world.agent.apply_security_groups()

    assert not first.reaches(moving.address)
