"""Apache Libcloud walks a server's life: with its OpenStack driver, and with its driver of EC2, which names no microversion.

The tests of a driver share one server and run in order; each leaves it running.
"""

import json

import pytest
from libcloud.compute.base import NodeSize
from libcloud.compute.providers import get_driver
from libcloud.compute.types import NodeState, Provider, StorageVolumeState

from tests.e2e.running_cloud import run, unused_name

pytestmark = pytest.mark.mode("embedded")


@pytest.fixture(scope="module")
def driver(cloud):
    environment, session = cloud.environment(), cloud.sdk().session
    return get_driver(Provider.OPENSTACK)(
        environment["OS_USERNAME"],
        environment["OS_PASSWORD"],
        api_version="2.2",
        ex_force_auth_version="3.x_password",
        ex_force_auth_url=environment["OS_AUTH_URL"].removesuffix("/v3"),
        ex_tenant_name=environment["OS_PROJECT_NAME"],
        ex_force_service_region="RegionOne",
        # It looks for a service volumev3 and for one that is called neutron.
        ex_force_volume_url=session.get_endpoint(service_type="block-storage"),
        ex_force_network_url=session.get_endpoint(service_type="network"),
    )


@pytest.fixture(scope="module")
def around(driver):
    """A key pair, a security group with a rule, and a server group, all of one name."""
    name = unused_name("libcloud")
    pair = driver.create_key_pair(name)
    wall = driver.ex_create_security_group(name, "of a walk")
    driver.ex_create_security_group_rule(wall, "tcp", 22, 22, cidr="0.0.0.0/0")
    group = driver.ex_add_server_group(name, "affinity")
    yield name, wall, group
    driver.ex_del_server_group(group)
    driver.ex_delete_security_group(wall)
    driver.delete_key_pair(pair)


@pytest.fixture(scope="module")
def network(driver):
    return next(each for each in driver.ex_list_networks() if each.name == "private")


@pytest.fixture(scope="module")
def node(cloud, driver, around, network):
    name, wall, group = around
    made = driver.create_node(
        name=name,
        image=next(each for each in driver.list_images() if each.name == "tiny"),
        size=size(driver, "m1.tiny"),
        networks=[network],
        ex_keyname=name,
        ex_security_groups=[wall],
        ex_metadata={"purpose": "walk"},
        ex_userdata="#!/bin/sh\necho walked by libcloud\n",
        ex_config_drive=True,
        ex_os_scheduler_hints={"group": group.id},
    )
    driver.wait_until_running([made], wait_period=0.5, timeout=120, ssh_interface="private_ips")
    yield made
    assert driver.destroy_node(made)
    assert cloud.wait_for(lambda: made.id not in [each.id for each in driver.list_nodes()])
    assert cloud.wait_for(lambda: cloud.leftovers() == {}), cloud.leftovers()


def size(driver, name):
    return next(each for each in driver.list_sizes() if each.name == name)


def test_a_node_is_as_it_was_asked_for_and_changes(cloud, driver, node, around):
    name, wall, _ = around
    assert "walked by libcloud" in cloud.wait_for_console(node.id, " login:")
    assert driver.ex_get_console_output(node, 3)["output"].endswith(" login: ")
    assert driver.ex_get_metadata(node) == {"purpose": "walk"}
    assert [each.id for each in driver.ex_get_node_security_groups(node)] == [wall.id]

    driver.ex_set_metadata(node, {"colour": "blue"})
    driver.ex_set_server_name(node, f"{name}-renamed")

    shown = driver.ex_get_node_details(node.id)
    assert (shown.name, shown.extra["key_name"]) == (f"{name}-renamed", name)
    # It sends all of it at once.
    assert shown.extra["metadata"] == {"colour": "blue"}
    assert node.id in [each.id for each in driver.list_nodes()]


def test_volumes_ports_and_addresses_come_and_go(cloud, driver, node, network):
    volume = driver.create_volume(1, unused_name("libcloud"))
    assert cloud.wait_for(lambda: driver.ex_get_volume(volume.id).state == StorageVolumeState.AVAILABLE)
    driver.attach_volume(node, volume)
    assert cloud.wait_for(lambda: driver.ex_get_volume(volume.id).state == StorageVolumeState.INUSE)
    driver.detach_volume(driver.ex_get_volume(volume.id))
    assert cloud.wait_for(lambda: driver.ex_get_volume(volume.id).state == StorageVolumeState.AVAILABLE)
    assert driver.destroy_volume(volume)

    port = driver.ex_create_port(network, name=unused_name("libcloud"))
    driver.ex_attach_port_interface(node, port)
    assert port.id in [each.id for each in driver.ex_get_node_ports(node)]
    driver.ex_detach_port_interface(node, port)
    assert cloud.wait_for(lambda: port.id not in [each.id for each in driver.ex_get_node_ports(node)])
    driver.ex_delete_port(driver.ex_get_port(port.id))

    address = driver.ex_create_floating_ip("public")
    driver.ex_attach_floating_ip_to_node(node, address)
    # It is told to the Networking service alone, which tells the server.
    assert cloud.wait_for(lambda: address.ip_address in driver.ex_get_node_details(node.id).private_ips)
    driver.ex_detach_floating_ip_from_node(node, address)
    driver.ex_delete_floating_ip(address)


def test_a_node_goes_and_comes_back(cloud, driver, node):
    for there, state, back in (("pause", "paused", "unpause"), ("suspend", "suspended", "resume")):
        getattr(driver, f"ex_{there}_node")(node)
        rests(cloud, driver, node, state)
        getattr(driver, f"ex_{back}_node")(node)
        assert rests(cloud, driver, node, "active").state == NodeState.RUNNING


def test_a_node_is_stopped_resized_and_started(cloud, driver, node):
    driver.ex_stop_node(node)
    rests(cloud, driver, node, "stopped")
    for decide, flavor in ((driver.ex_revert_resize, "m1.tiny"), (driver.ex_confirm_resize, "m1.small")):
        driver.ex_resize(node, size(driver, "m1.small"))
        rests(cloud, driver, node, "resized")
        decide(node)
        assert rests(cloud, driver, node, "stopped").extra["flavorId"] == size(driver, flavor).id
    driver.ex_start_node(node)
    rests(cloud, driver, node, "active")
    driver.ex_hard_reboot_node(node)
    rests(cloud, driver, node, "active")


def rests(cloud, driver, node, state):
    """The node, once it is that (or has failed) and nothing is under way."""

    def now():
        shown = driver.ex_get_node_details(node.id)
        ends = (state, "error")
        return shown if shown.extra["task_state"] is None and shown.extra["vm_state"] in ends else None

    shown = cloud.wait_for(now)
    assert shown is not None and shown.extra["vm_state"] == state, f"{shown} is not {state}"
    return shown


@pytest.fixture(scope="module")
def ec2(cloud):
    environment = cloud.environment()
    keys = json.loads(run(["openstack", "ec2", "credentials", "create", "--format", "json"], environment, 120))
    url = cloud.sdk().session.get_endpoint(service_type="ec2")
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    driver = get_driver(Provider.EC2)(keys["access"], keys["secret"], secure=False, host=host, port=int(port))
    # It knows Amazon's regions alone, and asks for the zones of the one it is in.
    driver.region_name = "RegionOne"
    yield driver
    run(["openstack", "ec2", "credentials", "delete", keys["access"]], environment, 120)


def test_the_driver_of_ec2_starts_a_node_and_ends_it(cloud, ec2):
    name = unused_name("libcloud")
    pair = ec2.create_key_pair(name)
    group = ec2.ex_create_security_group(name, "of a walk")["group_id"]
    ec2.ex_authorize_security_group(name, 22, 22, "0.0.0.0/0")
    # The catalog of instance types is Amazon's; this cloud has flavors of its own.
    tiny = NodeSize("m1.tiny", "m1.tiny", ram=128, disk=1, bandwidth=None, price=0, driver=ec2)
    image = next(each for each in ec2.list_images() if each.name == "tiny")
    subnet = next(each for each in ec2.ex_list_subnets() if each.extra["cidr_block"].startswith("10.78."))

    node = ec2.create_node(
        name=name,
        image=image,
        size=tiny,
        ex_keyname=name,
        ex_subnet=subnet,
        ex_security_group_ids=[group],
        ex_metadata={"purpose": "walk"},
    )
    try:
        [(node, addresses)] = ec2.wait_until_running([node], wait_period=0.5, timeout=120, ssh_interface="private_ips")

        assert addresses[0].startswith("10.78.")
        assert ec2.get_key_pair(name).fingerprint == pair.fingerprint
        assert [zone.name for zone in ec2.list_locations()] == ["nova"]
        assert ec2.ex_describe_tags(node) == {"Name": name, "purpose": "walk"}
        assert {each["group_id"] for each in node.extra["groups"]} == {group}
    finally:
        assert ec2.destroy_node(node)
        assert cloud.wait_for(lambda: cloud.leftovers() == {}), cloud.leftovers()
        cloud.wait_for(lambda: ec2.list_nodes(ex_node_ids=[node.id])[0].state == NodeState.TERMINATED)
        ec2.ex_delete_security_group_by_id(group)
        ec2.delete_key_pair(pair)
