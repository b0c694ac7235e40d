"""openstacksdk walks a server's life, at whatever microversion it settles on for each call.

The tests share one server and run in order; each leaves it ACTIVE.
"""

import base64

import pytest

from tests.e2e.running_cloud import unused_name

pytestmark = pytest.mark.mode("embedded")


@pytest.fixture(scope="module")
def compute(cloud):
    return cloud.sdk().compute


@pytest.fixture(scope="module")
def server(cloud, compute):
    client = cloud.sdk()
    group = compute.create_server_group(name=unused_name("group"), policy="affinity")
    made = client.create_server(
        unused_name("walk"),
        image="tiny",
        flavor="m1.tiny",
        network="private",
        key_name="k1",
        userdata="#!/bin/sh\necho walked by the SDK\n",
        config_drive=True,
        meta={"purpose": "walk"},
        group=group.id,
        wait=True,
        timeout=120,
    )
    assert made.id in compute.get_server_group(group).member_ids
    yield made
    assert client.delete_server(made.id, wait=True, timeout=120)
    compute.delete_server_group(group)
    assert cloud.leftovers() == {}


def test_a_server_has_what_it_was_created_with(cloud, compute, server):
    shown = compute.get_server(server)

    assert (shown.status, shown.metadata, shown.key_name) == ("ACTIVE", {"purpose": "walk"}, "k1")
    assert shown.has_config_drive
    assert shown.flavor.original_name == "m1.tiny"
    assert base64.b64decode(shown.user_data).startswith(b"#!/bin/sh")
    assert "tiny: user data: walked by the SDK" in cloud.wait_for_console(server.id, " login:")
    assert [one.id for one in compute.servers(name=shown.name)] == [server.id]
    assert server.id in {one.id for one in compute.servers(limit=1, status="ACTIVE")}
    assert compute.find_server(shown.name).id == server.id


def test_what_is_said_of_a_server_changes(compute, server):
    compute.update_server(server, name=unused_name("renamed"), description="a walk")
    compute.set_server_metadata(server, colour="blue", size="m")
    compute.delete_server_metadata(compute.get_server(server), ["purpose"])
    for tag in ("a", "b"):
        compute.add_tag_to_server(server, tag)
    compute.remove_tag_from_server(server, "a")

    shown = compute.get_server(server)
    assert (shown.name.startswith("renamed-"), shown.description) == (True, "a walk")
    assert (shown.metadata, shown.tags) == ({"colour": "blue", "size": "m"}, ["b"])
    compute.remove_tags_from_server(server)

    compute.lock_server(server, locked_reason="walking")
    assert (compute.get_server(server).is_locked, compute.get_server(server).locked_reason) == (True, "walking")
    compute.unlock_server(server)


@pytest.mark.parametrize(
    "there, status, back",
    [
        ("stop_server", "SHUTOFF", "start_server"),
        ("pause_server", "PAUSED", "unpause_server"),
        ("suspend_server", "SUSPENDED", "resume_server"),
        ("shelve_server", "SHELVED_OFFLOADED", "unshelve_server"),
        ("rescue_server", "RESCUE", "unrescue_server"),
    ],
)
def test_a_server_goes_and_comes_back(cloud, compute, server, there, status, back):
    getattr(compute, there)(server)
    rests(cloud, server, status)

    getattr(compute, back)(server)
    rests(cloud, server, "ACTIVE")


def test_a_server_is_rebooted_rebuilt_and_resized(cloud, compute, server):
    compute.reboot_server(server, "HARD")
    rests(cloud, server, "ACTIVE")

    compute.rebuild_server(server, compute.get_server(server).image.id, name=unused_name("rebuilt"))
    assert rests(cloud, server, "ACTIVE").name.startswith("rebuilt-")
    assert "tiny: boot 1 of this disk" in cloud.wait_for_console(server.id, " login:")

    for decide, flavor in ((compute.revert_server_resize, "m1.tiny"), (compute.confirm_server_resize, "m1.small")):
        compute.resize_server(server, compute.find_flavor("m1.small"))
        rests(cloud, server, "VERIFY_RESIZE")
        decide(server)
        assert rests(cloud, server, "ACTIVE").flavor.original_name == flavor
    assert {one.status for one in compute.migrations(instance_id=server.id)} >= {"confirmed", "reverted"}


def test_an_image_of_a_server_is_made_and_deleted(cloud, compute, server):
    image = cloud.sdk().create_image_snapshot(unused_name("snapshot"), server, wait=True, timeout=120)

    assert image.status == "active"
    rests(cloud, server, "ACTIVE")
    cloud.sdk().image.delete_image(image)


def test_interfaces_addresses_and_groups_come_and_go(cloud, compute, server):
    client = cloud.sdk()
    # A guest that boots lets no device go.
    cloud.wait_for_console(server.id, " login:")
    before = {one.port_id for one in compute.server_interfaces(server)}
    added = compute.create_server_interface(server, net_id=client.network.find_network("private").id)
    assert {one.port_id for one in compute.server_interfaces(server)} == before | {added.port_id}
    compute.delete_server_interface(added.port_id, server)
    assert cloud.wait_for(lambda: {one.port_id for one in compute.server_interfaces(server)} == before)

    group = client.network.create_security_group(name=unused_name("extra"))
    compute.add_security_group_to_server(server, group)
    assert group.name in {one["name"] for one in compute.get_server(server).security_groups}
    compute.remove_security_group_from_server(server, group)
    client.network.delete_security_group(group)

    address = client.network.create_ip(floating_network_id=cloud.external_network().id)
    client.add_ips_to_server(compute.get_server(server), ips=[address.floating_ip_address], wait=True, timeout=60)
    # Which of them is public openstacksdk finds out by trying port 22, which this guest does not serve.
    addresses = [one for ones in compute.get_server(server).addresses.values() for one in ones]
    floating = [one["addr"] for one in addresses if one["OS-EXT-IPS:type"] == "floating"]
    assert floating == [address.floating_ip_address]
    client.network.delete_ip(address)


def test_consoles_diagnostics_and_history_can_be_read(compute, server):
    assert "token" in compute.create_server_remote_console(server, protocol="vnc", type="novnc").url
    assert compute.get_server_console_output(server, length=5)["output"].count("\n") <= 5
    assert compute.get_server_diagnostics(server).state == "running"
    create = list(compute.server_actions(server))[-1]
    assert create.action == "create"
    events = compute.get_server_action(create.request_id, server).events
    assert {event.result for event in events} == {"Success"}


def test_what_surrounds_servers_can_be_read_and_changed(cloud, compute, server):
    host = compute.get_server(server).compute_host
    flavor = compute.create_flavor(name=unused_name("flavor"), ram=64, vcpus=1, disk=1)
    compute.create_flavor_extra_specs(flavor, {"hw:watchdog_action": "reset"})
    assert compute.fetch_flavor_extra_specs(flavor).extra_specs == {"hw:watchdog_action": "reset"}
    compute.delete_flavor(flavor)

    [hypervisor] = compute.hypervisors(details=True)
    assert (hypervisor.state, hypervisor.service_details["host"]) == ("up", host)
    assert [(one.host, one.state) for one in compute.services(binary="nova-compute")] == [(host, "up")]
    assert "nova" in {one.name for one in compute.availability_zones(details=True)}

    aggregate = compute.create_aggregate(name=unused_name("rack"))
    compute.add_host_to_aggregate(aggregate, host)
    compute.set_aggregate_metadata(aggregate, {"ssd": "true"})
    assert (compute.get_aggregate(aggregate).hosts, compute.get_aggregate(aggregate).metadata) == (
        [host],
        {"ssd": "true"},
    )
    compute.remove_host_from_aggregate(aggregate, host)
    compute.delete_aggregate(aggregate)

    project = cloud.sdk().current_project_id
    limits = compute.get_limits().absolute
    assert limits.instances_used == compute.get_quota_set(project, usage=True).usage["instances"]
    assert compute.get_usage(project).server_usages
    assert compute.find_keypair("k1").fingerprint in {one.fingerprint for one in compute.keypairs()}


def rests(cloud, server, status):
    """The server, once it is that (or ERROR) and nothing is under way."""

    def now():
        shown = cloud.sdk().compute.get_server(server.id)
        return shown if shown.task_state is None and shown.status in (status, "ERROR") else None

    shown = cloud.wait_for(now)
    assert shown is not None and shown.status == status, f"{shown} is not {status}"
    return shown
