"""What a user of a new cloud does, from the first list to the last delete, in both modes."""

import re

import pytest


def test_a_new_cloud_has_a_server_that_is_active(cloud):
    servers = cloud.openstack("server", "list")

    assert [(server["Name"], server["Status"], server["Image"]) for server in servers] == [("first", "ACTIVE", "tiny")]
    assert servers[0]["Networks"]["private"]


def test_all_parts_of_the_cloud_are_well(cloud):
    status = cloud.tool("status")

    assert " down" not in status
    assert "does not" not in status
    assert "unhealthy" not in status


def test_operators_see_every_daemon_that_serves_the_others(cloud):
    services = cloud.openstack("compute", "service", "list")

    assert {service["Binary"] for service in services} == {
        "nova-cert",
        "nova-compute",
        "nova-conductor",
        "nova-consoleauth",
        "nova-scheduler",
    }
    assert {service["State"] for service in services} == {"up"}


def test_setting_it_up_again_changes_nothing(cloud):
    servers, networks = cloud.openstack("server", "list"), cloud.openstack("network", "list")
    processes = cloud.tool("status")

    cloud.up()

    assert cloud.openstack("server", "list") == servers
    assert cloud.openstack("network", "list") == networks
    assert cloud.tool("status") == processes


def test_the_guest_boots_and_reads_who_it_is_from_the_metadata_service(cloud):
    first = cloud.openstack("server", "show", "first")

    log = cloud.wait_for_console(first["id"], "first login:")

    assert "Linux version" in log
    assert "tiny: metadata: read from http://169.254.169.254" in log
    assert "tiny: hostname: first" in log
    assert f"tiny: uuid: {first['id']}" in log
    assert re.search(r"tiny: EC2 instance id: i-[0-9a-f]{8}", log)
    assert "tiny: ssh key: ssh-ed25519 " in log
    address = first["addresses"]["private"][0]
    assert f"tiny: network: eth0 {address}/24" in log


def test_the_console_log_is_what_the_cli_prints(cloud):
    seen = cloud.wait_for_console(cloud.openstack("server", "show", "first")["id"], "first login:").split()

    log = cloud.run("console", "log", "show", "first").split()

    # A guest on a busy machine may have had something to say since.
    assert log[: len(seen) - 1] == seen[:-1]
    assert "login:" in log


def test_a_server_is_created_stopped_started_rebooted_and_deleted(cloud):
    create = ("server", "create", "--image", "tiny", "--flavor", "m1.tiny", "--network", "private", "--key-name", "k1")
    second = cloud.openstack(*create, "--wait", "second")
    assert second["status"] == "ACTIVE"
    assert "second login:" in cloud.wait_for_console(second["id"], "second login:")

    cloud.run("server", "stop", "second")
    assert wait_for_status(cloud, second, "SHUTOFF") == "SHUTOFF"

    cloud.run("server", "start", "second")
    assert wait_for_status(cloud, second, "ACTIVE") == "ACTIVE"
    log = cloud.wait_for_console(second["id"], "tiny: boot 2 of this disk")
    assert "tiny: boot 2 of this disk" in log
    cloud.wait_for_console(second["id"], "second login:")

    cloud.run("server", "reboot", "--wait", "second")
    assert "tiny: boot 3 of this disk" in cloud.wait_for_console(second["id"], "tiny: boot 3 of this disk")

    cloud.run("server", "reboot", "--hard", "--wait", "second")
    assert "second login:" in cloud.wait_for_console(second["id"], "second login:")

    cloud.run("server", "delete", "--wait", "second")
    assert [server["Name"] for server in cloud.openstack("server", "list")] == ["first"]
    assert cloud.leftovers() == {}


def test_what_happened_to_a_server_can_be_read(cloud):
    events = cloud.openstack("server", "event", "list", "first")

    assert [event["Action"] for event in events] == ["create"]


def test_user_data_runs_in_the_guest(cloud):
    import base64

    script = base64.b64encode(b"#!/bin/sh\necho hello from user data\n").decode()

    with cloud.server("scripted", user_data=script) as server:
        log = cloud.wait_for_console(server.id, "hello from user data")

    assert "tiny: user data: hello from user data" in log


def test_a_guest_without_a_network_reads_its_config_drive(cloud):
    with cloud.server("driven", networks="none", config_drive=True) as server:
        log = cloud.wait_for_console(server.id, "driven login:")

    assert "tiny: network: no interface" in log
    assert "tiny: metadata: read from the config drive" in log
    assert f"tiny: uuid: {server.id}" in log


@pytest.mark.mode("distributed")
def test_servers_on_different_hosts_share_a_network(cloud):
    with (
        cloud.server("left", availability_zone="nova:host-1") as left,
        cloud.server("right", availability_zone="nova:host-2") as right,
    ):
        logs = [cloud.wait_for_console(server.id, f"{server.name} login:") for server in (left, right)]
        hosts = [cloud.sdk().compute.get_server(server).compute_host for server in (left, right)]

    assert hosts == ["host-1", "host-2"]
    assert all("tiny: metadata: read from http://169.254.169.254" in log for log in logs)


@pytest.mark.mode("embedded", "distributed", "neutron")
@pytest.mark.last
def test_taking_it_down_leaves_nothing_behind(cloud):
    from tests.e2e import leftovers

    cloud.down()

    assert leftovers.processes(cloud) == []
    assert leftovers.links(cloud) == []
    assert leftovers.namespaces(cloud) == []
    assert leftovers.firewall_tables(cloud) == []
    assert cloud.tool("down").startswith("No cloud is there")


def wait_for_status(cloud, server, status):
    def current():
        shown = cloud.sdk().compute.get_server(server["id"]).status
        return shown in (status, "ERROR") and shown

    return cloud.wait_for(current)
