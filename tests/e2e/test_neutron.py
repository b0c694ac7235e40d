"""A cloud with a real Neutron and OVN: what a user does with networks, and that nothing of it stays."""

import base64
import contextlib
import re
import subprocess

import pytest

from tests.e2e.running_cloud import CommandFailed, unused_name

pytestmark = pytest.mark.mode("neutron")


@pytest.fixture(scope="module")
def group(cloud):
    """A security group that lets nothing in."""
    network = cloud.sdk().network
    group = network.create_security_group(name=unused_name("group"))
    yield group
    network.delete_security_group(group)


@pytest.fixture(scope="module")
def walker(cloud, group):
    """A server on host-1, in the group."""
    groups = [{"name": group.id}]
    with cloud.server("walker", availability_zone="nova:host-1", security_groups=groups) as server:
        cloud.wait_for_console(server.id, "walker login:")
        yield server


@pytest.fixture(scope="module")
def address(cloud, walker):
    """The server's floating IP."""
    network = cloud.sdk().network
    [port] = network.ports(device_id=walker.id)
    floating = network.create_ip(floating_network_id=cloud.external_network().id, port_id=port.id)
    yield floating.floating_ip_address
    network.delete_ip(floating)


@pytest.fixture(scope="module")
def pings(cloud, group):
    """The group lets pings in."""
    network = cloud.sdk().network
    network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", protocol="icmp", ether_type="IPv4"
    )


def answers(address, seconds=1):
    done = subprocess.run(["busybox", "ping", "-c", "1", "-W", str(seconds), address], capture_output=True, check=False)
    return done.returncode == 0


def fixed_address(cloud, server):
    [port] = cloud.sdk().network.ports(device_id=server.id)
    return port.fixed_ips[0]["ip_address"]


def bindings(cloud, server):
    """The hosts that the server's port is bound to, each with the state of the binding."""
    [port] = cloud.sdk().network.ports(device_id=server.id)
    answer = cloud.sdk().network.get(f"/ports/{port.id}/bindings").json()
    return [(each["host"], each["status"]) for each in answer["bindings"]]


def test_all_parts_are_well(cloud):
    """A daemon that has just begun has not looked at everything yet."""

    def is_well():
        with contextlib.suppress(CommandFailed):
            return not any(word in cloud.tool("status") for word in (" down", "does not", "unhealthy"))

    assert cloud.wait_for(is_well), cloud.tool("status")


def test_a_guest_reads_who_it_is_through_neutrons_agent(cloud, walker):
    log = cloud.wait_for_console(walker.id, "walker login:")

    assert "tiny: metadata: read from http://169.254.169.254" in log
    assert f"tiny: uuid: {walker.id}" in log
    assert f"tiny: network: eth0 {fixed_address(cloud, walker)}/24" in log


def test_what_no_rule_lets_in_stays_outside(address):
    assert not answers(address, seconds=3)


@pytest.mark.usefixtures("pings")
def test_a_floating_ip_leads_to_the_server(cloud, address):
    assert cloud.wait_for(lambda: answers(address))


@pytest.mark.usefixtures("pings")
def test_guests_of_two_hosts_reach_each_other(cloud, walker):
    target = fixed_address(cloud, walker)
    script = f"#!/bin/sh\nuntil ping -c 1 -W 1 {target} >/dev/null; do :; done\necho {target} answers\n"
    wanted = {"user_data": base64.b64encode(script.encode()).decode(), "availability_zone": "nova:host-2"}

    with cloud.server("caller", **wanted) as caller:
        log = cloud.wait_for_console(caller.id, "caller login:")

    assert f"tiny: user data: {target} answers" in log


def test_an_interface_comes_and_goes(cloud, walker):
    compute, network = cloud.sdk().compute, cloud.sdk().network

    attached = compute.create_server_interface(walker, net_id=network.find_network("private").id)
    address = attached.fixed_ips[0]["ip_address"]
    assert f"eth1 {address}/24" in cloud.wait_for_console(walker.id, f"eth1 {address}/24")

    compute.delete_server_interface(attached.port_id, server=walker)
    assert cloud.wait_for(lambda: len(list(network.ports(device_id=walker.id))) == 1)
    assert cloud.wait_for(lambda: network.find_port(attached.port_id) is None)


@pytest.mark.usefixtures("pings")
def test_a_live_migration_takes_the_addresses_along(cloud, walker, address):
    compute = cloud.sdk().compute
    assert cloud.wait_for(lambda: answers(address))

    compute.live_migrate_server(walker, host="host-2", block_migration="auto")

    assert cloud.wait_for(lambda: settled(cloud, walker) == ("ACTIVE", "host-2")), settled(cloud, walker)
    assert cloud.wait_for(lambda: answers(address))
    assert bindings(cloud, walker) == [("host-2", "ACTIVE")]


@pytest.mark.usefixtures("pings")
def test_a_resize_to_another_host_takes_the_addresses_along(cloud, walker, address):
    compute = cloud.sdk().compute

    compute.resize_server(walker, compute.find_flavor("m1.small").id)
    assert cloud.wait_for(lambda: settled(cloud, walker) == ("VERIFY_RESIZE", "host-1")), settled(cloud, walker)
    assert cloud.wait_for(lambda: answers(address))
    compute.confirm_server_resize(walker)

    assert cloud.wait_for(lambda: settled(cloud, walker) == ("ACTIVE", "host-1")), settled(cloud, walker)
    assert bindings(cloud, walker) == [("host-1", "ACTIVE")]


def settled(cloud, server):
    """The server's status and host; None while something is under way."""
    shown = cloud.sdk().compute.get_server(server)
    return None if shown.task_state else (shown.status, shown.compute_host)


def test_nothing_is_left_of_servers_that_are_deleted(cloud):
    compute, network = cloud.sdk().compute, cloud.sdk().network
    for server in list(compute.servers(all_projects=True)):
        compute.delete_server(server)
        compute.wait_for_delete(server, interval=0.5, wait=120)

    assert cloud.wait_for(lambda: cloud.leftovers() == {}), cloud.leftovers()
    kept = {port.id for port in network.ports()}
    assert not any((port.device_owner or "").startswith("compute:") for port in network.ports())
    assert cloud.wait_for(lambda: plugged(cloud) <= kept)
    assert logical_ports(cloud) <= kept


def plugged(cloud):
    """Ids of the ports on the hosts' bridges."""
    command = ("ovs-vsctl", "--columns=external_ids", "list", "Interface")
    shown = "".join(cloud.in_host(host, *command) for host in cloud.hosts())
    return set(re.findall(r'iface-id="?([0-9a-f-]{36})', shown))


def logical_ports(cloud):
    """Ids of the ports that OVN has for servers and services."""
    host = cloud.environment()["OS_AUTH_URL"].split("/")[2].split(":")[0]
    database = f"--db=tcp:{host}:{6641 + cloud.port_offset}"
    command = ["ovn-nbctl", database, "--bare", "--columns=name", "list", "Logical_Switch_Port"]
    shown = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return set(re.findall(r"^[0-9a-f]{8}-[0-9a-f-]{27}$", shown, re.MULTILINE))
