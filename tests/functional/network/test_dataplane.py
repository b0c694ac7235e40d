"""Real bridges, DHCP, NAT and filters, in network namespaces that stand for hosts and guests."""

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from nova import conf as configuration
from nova.concurrency import wait_for
from nova.db import networks
from nova.network.host import firewall
from nova.network.host.agent import HostNetworks
from nova.network.host.dataplane import LinuxDataplane
from nova.network.host.spaces import router_name
from nova.structs.network import NetworkRequest
from tests.functional.network.machines import connect, get_address
from tests.functional.network.world import HOST_OUTSIDE, OUTSIDE, SECRET, make_world


@pytest.fixture
def world(make_network_host, tmp_path):
    world = make_world(make_network_host, tmp_path)
    yield world
    world.close()


@pytest.fixture
def network(world):
    """A network whose router leads out."""
    network = world.cloud.project().network(cidr="10.20.0.0/24")
    world.router = world.join(network)
    return network


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
    world.serve_metadata()

    guest = world.boot(network)

    assert guest.ask("http://169.254.169.254/") == guest.port["device_id"]


def test_a_guest_that_knows_only_its_gateway_reaches_the_metadata_service_through_it(world, network):
    world.serve_metadata()
    guest = world.boot(network)

    guest.run("ip", "route", "del", "169.254.169.254")

    assert guest.ask("http://169.254.169.254/") == guest.port["device_id"]


def test_a_guest_reaches_a_metadata_service_on_another_address_of_the_host(world, network):
    world.cloud.conf.set_override("metadata_host", HOST_OUTSIDE)
    world.host.serve_metadata(HOST_OUTSIDE, 18775, SECRET)

    guest = world.boot(network)

    assert guest.ask("http://169.254.169.254/latest/meta-data/") == guest.port["device_id"]


def test_a_guest_reaches_the_outside_under_the_hosts_address(world, network):
    world.outside.serve_who_asks(OUTSIDE, 8080)

    guest = world.boot(network)

    assert guest.ask(f"http://{OUTSIDE}:8080/") == HOST_OUTSIDE


def test_a_network_without_router_has_metadata_and_no_way_out(world):
    world.serve_metadata()
    world.outside.serve_who_asks(OUTSIDE, 8080)
    lonely = world.cloud.project().network(cidr="10.22.0.0/24")

    guest = world.boot(lonely)

    assert guest.lease["ip"] == guest.address
    assert guest.ask("http://169.254.169.254/") == guest.port["device_id"]
    assert not guest.reaches(guest.lease["router"])
    assert guest.ask(f"http://{OUTSIDE}:8080/") is None


def test_a_router_joins_networks_and_others_stay_apart(world, network, open_group):
    demo = world.cloud.project()
    joined, apart = demo.network(cidr="10.21.0.0/24", name="joined"), demo.network(cidr="10.22.0.0/24", name="apart")
    subnet = {"subnet_id": joined["subnets"][0]}
    demo.ask("PUT", f"routers/{world.router['id']}/add_router_interface", subnet)
    world.join(apart)
    groups = {"security_groups": [open_group["id"]]}

    guest, neighbour, stranger = (world.boot(one, **groups) for one in (network, joined, apart))

    assert guest.reaches(neighbour.address)
    assert not guest.reaches(stranger.address)


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
    subnet = {"subnet_id": other["subnets"][0]}
    world.cloud.project().ask("PUT", f"routers/{world.router['id']}/add_router_interface", subnet)
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
    world.serve_metadata()

    guest = world.boot(network, security_groups=[silent["id"]])

    assert guest.lease["ip"] == guest.address
    assert guest.ask(f"http://{OUTSIDE}:8080/") is None
    assert guest.ask("http://169.254.169.254/") == guest.port["device_id"]


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
    world.outside.serve_who_asks(OUTSIDE, 8080)
    guest = world.boot(network, security_groups=[open_group["id"]])
    guest.serve_who_asks("0.0.0.0", 80)

    address = float_to(world, guest)

    assert world.outside.ask(f"http://{address}/") == OUTSIDE
    assert guest.ask(f"http://{OUTSIDE}:8080/") == address


def test_guests_meet_by_their_floating_addresses(world, network, open_group):
    first, second = (world.boot(network, security_groups=[open_group["id"]]) for _ in range(2))
    first.serve_who_asks("0.0.0.0", 80)
    address, other = float_to(world, first), float_to(world, second)

    assert second.ask(f"http://{address}/") == other


def float_to(world, guest):
    """The floating address that leads to a guest."""
    wanted = {"floating_network_id": world.public["id"], "port_id": guest.port["id"]}
    floating = world.cloud.project().create("floatingips", **wanted)
    world.converge()
    return floating["floating_ip_address"]


def test_floating_addresses_are_on_the_public_interface_where_there_is_one(world, open_group):
    world.cloud.conf.set_override("public_interface", "out0")
    demo = world.cloud.project()
    pools = [{"start": "198.51.100.10", "end": "198.51.100.20"}]
    world.public = world.cloud.admin.network(
        cidr="198.51.100.0/24",
        name="public",
        subnet={"gateway_ip": OUTSIDE, "allocation_pools": pools, "enable_dhcp": False},
        **{"router:external": True},
    )
    network = demo.network(cidr="10.20.0.0/24")
    router = world.join(network)
    world.outside.serve_who_asks(OUTSIDE, 8080)
    guest = world.boot(network, security_groups=[open_group["id"]])
    guest.serve_who_asks("0.0.0.0", 80)
    own = router["external_gateway_info"]["external_fixed_ips"][0]["ip_address"]
    without = guest.ask(f"http://{OUTSIDE}:8080/")
    wanted = {"floating_network_id": world.public["id"], "port_id": guest.port["id"]}
    floating = demo.create("floatingips", **wanted)
    world.converge()

    answer = world.outside.ask(f"http://{floating['floating_ip_address']}/")
    demo.delete("floatingips", floating["id"])
    world.converge()

    assert without == own
    assert answer == OUTSIDE
    assert world.outside.ask(f"http://{floating['floating_ip_address']}/") is None
    assert HOST_OUTSIDE in world.host.run("ip", "addr", "show", "dev", "out0")


def test_a_subnet_without_gateway_has_metadata_and_no_way_out(world):
    world.serve_metadata()
    world.outside.serve_who_asks(OUTSIDE, 8080)
    lonely = world.cloud.project().network(cidr="10.22.0.0/24", subnet={"gateway_ip": None})

    guest = world.boot(lonely)

    assert guest.lease["ip"] == guest.address
    assert "router" not in guest.lease
    assert guest.ask("http://169.254.169.254/") == guest.port["device_id"]
    assert guest.ask(f"http://{OUTSIDE}:8080/") is None


def test_guests_give_themselves_ipv6_addresses_and_rules_hold_for_them(world, network):
    demo = world.cloud.project()
    modes = {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}
    subnet = demo.create("subnets", network_id=network["id"], ip_version=6, cidr="fd00:20::/64", **modes)
    demo.ask("PUT", f"routers/{world.router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    closed = demo.create("security-groups", name="closed")
    first, second = world.boot(network), world.boot(network)
    third = world.boot(network, security_groups=[closed["id"]])

    for guest in (first, second, third):
        guest.address = guest.port["fixed_ips"][1]["ip_address"]
        assert wait_for(lambda guest=guest: guest.owns(guest.address), timeout_s=90)

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
    world.host.run("kill", "-9", (directory / "run/pid").read_text().strip())

    guest = world.boot(network)

    assert guest.lease["ip"] == guest.address


def test_a_dhcp_server_of_an_earlier_release_is_replaced_and_its_leases_are_kept(world, network):
    """It wrote its leases and its pid beside the files that it reads."""
    guest = world.boot(network)
    directory = world.dataplane._dhcp._root / world.bridge(network)
    run = directory / "run"
    command = (run / "pid").read_text().strip()
    words = Path(f"/proc/{command}/cmdline").read_text().rstrip("\0").split("\0")
    world.host.run("kill", command)
    assert wait_for(lambda: not Path(f"/proc/{command}").exists(), timeout_s=20)
    (run / "leases").replace(directory / "leases")
    run.rmdir()
    world.in_space(world.space(network), *(word.replace("/run/", "/") for word in words))
    former = (directory / "pid").read_text().strip()
    (directory / "dnsmasq.command").write_text("as the earlier release wrote it")

    world.converge()

    assert wait_for(lambda: not Path(f"/proc/{former}").exists(), timeout_s=20)
    assert guest.address in (run / "leases").read_text()
    assert get_address(guest)["ip"] == guest.address


def test_converging_twice_changes_nothing(world, network):
    world.boot(network)
    world.converge()
    before = world.host.run("nft", "list", "ruleset"), world.host.run("ip", "-o", "addr", "show", "scope", "global")
    directory = world.dataplane._dhcp._root / world.bridge(network)
    pid = (directory / "run/pid").read_text()

    world.converge()

    assert before == (
        world.host.run("nft", "list", "ruleset"),
        world.host.run("ip", "-o", "addr", "show", "scope", "global"),
    )
    assert (directory / "run/pid").read_text() == pid


def test_a_deleted_network_leaves_nothing_behind(world, network):
    guest = world.boot(network)
    world.cloud.admin.delete("ports", guest.port["id"])
    bridge = world.bridge(network)
    subnet = {"subnet_id": network["subnets"][0]}
    world.cloud.admin.ask("PUT", f"routers/{world.router['id']}/remove_router_interface", subnet)
    world.cloud.admin.delete("networks", network["id"])
    world.cloud.admin.delete("routers", world.router["id"])

    world.converge()

    [public] = world.cloud.conductor.networking("network", {})
    assert bridge not in world.host.run("ip", "link")
    assert not (world.dataplane._dhcp._root / bridge).exists()
    assert spaces(world) == [world.space({"id": public.id})]


def spaces(world):
    """The namespaces of this world's host."""
    return sorted(path.name for path in Path("/run/netns").glob(f"nova-{world.dataplane._realm}-*"))


def test_teardown_removes_everything_and_nothing_else(world, network):
    world.host.run("ip", "link", "add", "br-of-others", "type", "bridge")
    world.boot(network)

    with world.host.inside():
        world.dataplane.remove()

    assert world.host.run("nft", "list", "ruleset") == ""
    assert "br-of-others" in world.host.run("ip", "link")
    assert world.host.run("ip", "-o", "link", "show", "type", "bridge").count("\n") == 1
    assert spaces(world) == []


@pytest.fixture
def far_world(make_network_host, tmp_path):
    """A network host and a compute host of its own, joined by a cable."""
    world = make_world(make_network_host, tmp_path, host="network-1", flat_interface="fabric0", my_ip="10.99.0.1")
    cloud = world.cloud
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
    server_id = str(uuid.uuid4())
    vifs = world.cloud.client.allocate("demo", server_id, "compute-1", "nova", "far", request, (str(uuid.uuid4()),))
    world.converge()
    with world.compute.inside():
        world.agent.prepare(vifs)
    guest = world.machine()
    device = firewall.device_of(port["id"])
    connect(world.compute, device, guest, "eth0", mac=port["mac_address"])
    world.compute.run("ip", "link", "set", device, "mtu", str(vifs[0].mtu))
    world.compute.run("ip", "link", "set", device, "master", str(vifs[0].details["bridge_name"]))
    guest.port, guest.address, guest.server_id = port, port["fixed_ips"][0]["ip_address"], server_id
    guest.lease = get_address(guest)
    return guest


@pytest.mark.parametrize("kind", ["flat", "vxlan"])
def test_a_guest_on_another_host_is_on_the_same_network(far_world, kind):
    world = far_world
    network = world.cloud.admin.network(
        cidr="10.20.0.0/24", shared=True, **{"provider:network_type": kind, "project_id": "demo"}
    )
    world.join(network)
    world.serve_metadata()
    world.outside.serve_who_asks(OUTSIDE, 8080)

    guest = boot_far(world, network)

    assert guest.lease["ip"] == guest.address
    assert guest.ask("http://169.254.169.254/") == guest.server_id
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


@pytest.mark.parametrize("kind", ["flat", "vxlan"])
def test_a_network_leaves_a_compute_host_with_its_last_port(far_world, kind):
    world = far_world
    network = world.cloud.admin.network(
        cidr="10.20.0.0/24", shared=True, **{"provider:network_type": kind, "project_id": "demo"}
    )
    first, second = boot_far(world, network), boot_far(world, network)

    def leave(guest):
        world.cloud.admin.delete("ports", guest.port["id"])
        with world.compute.inside():
            world.agent.apply_security_groups()
            # Its device goes when the guest does, which may be later.
            kept = world.bridge(network) in world.compute.run("ip", "link")
            world.compute.run("ip", "link", "del", firewall.device_of(guest.port["id"]))
            world.agent.apply_security_groups()
        return kept

    assert leave(first)
    assert second.reaches(network_server(world, network))
    assert leave(second)
    assert world.compute.run("ip", "-o", "link", "show", "type", "bridge") == ""
    assert world.compute.run("ip", "-o", "link", "show", "type", "vxlan") == ""
    assert "fabric0" in world.compute.run("ip", "link")


def network_server(world, network):
    """The address of a network's DHCP server."""
    owner = "network:dhcp"
    [port] = world.cloud.admin.get(f"ports?network_id={network['id']}&device_owner={owner}")["ports"]
    return port["fixed_ips"][0]["ip_address"]


def test_what_an_earlier_release_left_becomes_what_it_should_be(world, network, open_group):
    """Addresses on bridges, one table that translated for all, records without ports of their own."""
    host, bridge = world.host, world.bridge(network)
    own = ["network:dhcp", "network:router_gateway"]
    records = world.cloud.conductor.networking("port", {"device_owner": own})
    with world.cloud.database.transaction() as connection:
        networks.delete(connection, "port", [port.id for port in records])
    host.run("ip", "link", "add", bridge, "type", "bridge")
    host.run("ip", "link", "set", bridge, "alias", world.dataplane.owner, "up")
    host.run("ip", "addr", "add", "10.20.0.1/24", "dev", bridge)
    host.run("sysctl", "-w", f"net.ipv4.conf.{bridge}.route_localnet=1")
    table = f"inet nova-nat-{world.dataplane._realm}"
    host.run("nft", f"add table {table}; add chain {table} leaving {{ type nat hook postrouting priority 100; }}")
    host.run("nft", f"add rule {table} leaving ip saddr 10.20.0.0/24 masquerade")
    world.serve_metadata()
    world.outside.serve_who_asks(OUTSIDE, 8080)

    guest = world.boot(network)

    assert "inet" not in host.run("ip", "addr", "show", "dev", bridge)
    assert "10.20.0.0" not in host.run("nft", "list", "ruleset")
    assert host.run("sysctl", "-n", f"net.ipv4.conf.{bridge}.route_localnet").strip() == "0"
    assert guest.lease["ip"] == guest.address
    assert guest.ask(f"http://{OUTSIDE}:8080/") == HOST_OUTSIDE
    assert guest.ask("http://169.254.169.254/") == guest.port["device_id"]


@pytest.mark.parametrize("harm", ["namespace", "cable", "address", "route", "rules", "router"])
def test_what_somebody_deletes_comes_back(world, network, harm):
    world.outside.serve_who_asks(OUTSIDE, 8080)
    guest = world.boot(network)
    space, router = world.space(network), router_name(world.dataplane._realm, world.router["id"])
    match harm:
        case "namespace":
            subprocess.run(["ip", "netns", "del", space], check=True)
        case "cable":
            world.host.run("ip", "link", "del", f"nvd{network['id'].replace('-', '')[:12]}")
        case "address":
            world.in_space(space, "ip", "addr", "flush", "scope", "global")
        case "route":
            world.in_space(router, "ip", "route", "del", "default")
        case "rules":
            world.in_space(router, "nft", "flush", "ruleset")
        case "router":
            subprocess.run(["ip", "netns", "del", router], check=True)

    # As after the time in which all is looked at anyhow.
    world.dataplane._looked_at = -float("inf")
    newcomer = world.boot(network)

    assert newcomer.lease["ip"] == newcomer.address
    assert guest.ask(f"http://{OUTSIDE}:8080/") == HOST_OUTSIDE


def test_the_host_reaches_a_floating_address(world, network, open_group):
    guest = world.boot(network, security_groups=[open_group["id"]])

    assert world.host.reaches(float_to(world, guest))


def test_ipv6_guests_learn_of_their_router_and_are_routed(world, network, open_group):
    demo = world.cloud.project()
    slaac = {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}
    other = demo.network(cidr="10.21.0.0/24", name="other")
    guests = []
    for number, one in enumerate((network, other)):
        wanted = {"network_id": one["id"], "ip_version": 6, "cidr": f"fd00:{number}::/64"}
        subnet = demo.create("subnets", **wanted, **slaac)
        demo.ask("PUT", f"routers/{world.router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
        rule = {"security_group_id": open_group["id"], "direction": "ingress", "ethertype": "IPv6"}
        demo.create("security-group-rules", **rule)
        guests.append(world.boot(one, security_groups=[open_group["id"]]))

    first, second = guests
    address = second.port["fixed_ips"][1]["ip_address"]
    assert wait_for(lambda: second.owns(address), timeout_s=90)
    assert wait_for(lambda: "default via fe80" in first.run("ip", "-6", "route"), timeout_s=90)
    assert wait_for(lambda: first.reaches(address), timeout_s=90)


def test_an_allowed_pair_counts_as_a_member_of_its_group(world, network):
    demo = world.cloud.project()
    friends, closed = demo.create("security-groups", name="friends"), demo.create("security-groups", name="closed")
    rule = {"security_group_id": closed["id"], "direction": "ingress", "remote_group_id": friends["id"]}
    demo.create("security-group-rules", **rule)
    server = world.boot(network, security_groups=[closed["id"]])
    pair = [{"ip_address": "10.20.0.200"}]
    guest = world.boot(network, security_groups=[friends["id"]], allowed_address_pairs=pair)

    guest.take_address("10.20.0.200/24")

    assert guest.reaches(server.address)


def test_multicast_reaches_those_whose_rules_let_it_in(world, network, open_group):
    sender = world.boot(network)
    listener = world.boot(network, security_groups=[open_group["id"]])
    closed = world.cloud.project().create("security-groups", name="closed")
    deaf = world.boot(network, security_groups=[closed["id"]])
    heard = {}
    for guest in (listener, deaf):
        heard[guest] = guest.directory / "heard"
        guest.start(sys.executable, "-c", HEAR, guest.address, str(heard[guest]))
    assert wait_for(lambda: all(path.exists() for path in heard.values()), timeout_s=90)

    def sent():
        sender.run(sys.executable, "-c", SEND, sender.address)
        return heard[listener].read_text() == "x"

    assert wait_for(sent, timeout_s=90)
    assert heard[deaf].read_text() == ""


HEAR = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 7000))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.2.2.2") + socket.inet_aton(sys.argv[1]))
open(sys.argv[2], "w").close()
received = s.recv(9).decode()
open(sys.argv[2], "w").write(received)
"""
SEND = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
s.sendto(b"x", ("239.2.2.2", 7000))
"""
