"""The scheduler as a part of a whole cloud: what users ask for, what they get, and what they are told."""

import pytest

from nova.structs.context import Context


@pytest.fixture
def start(make_cloud):
    """A cloud with some hosts, as its administrator sees it."""

    def start_with(hosts, settings=""):
        cloud = make_cloud(settings)
        for name in hosts:
            cloud.add_host(name)
        return cloud, cloud.client("admin", "admin")

    return start_with


def hints(admin, **hints):
    """Boot a server with scheduler hints."""
    answer = admin.post("/servers", {"server": admin.wanted(), "os:scheduler_hints": hints})
    assert answer.status_code == 202, answer.text
    return admin.wait(answer.json()["server"]["id"], "ACTIVE")


def host_of(server):
    return server["OS-EXT-SRV-ATTR:host"]


def test_user_reads_in_the_fault_what_was_missing(start):
    cloud, admin = start(["host-1", "host-2"])
    flavor = {"name": "huge", "ram": 512, "vcpus": 1, "disk": 1 << 20, "id": "huge"}
    admin.post("/flavors", {"flavor": flavor})

    server = cloud.client().create_server(flavor="huge", wait_for="ERROR")

    assert server["fault"]["message"] == (f"No valid host was found. 2 hosts: 2 lack DISK_GB (needs {1 << 20}).")
    assert cloud.allocations(server["id"]) == {}


def test_disabled_host_takes_no_server(start):
    cloud, admin = start(["host-1", "host-2"])
    first = admin.create_server()
    service = cloud.conductor_calls.services(Context(is_admin=True), host=host_of(first), binary="nova-compute")[0]

    cloud.conductor_calls.update_service(Context(is_admin=True), service.uuid, is_disabled=True)
    others = {host_of(admin.create_server()) for _ in range(2)}

    assert others.isdisjoint({host_of(first)})


def test_hints_put_servers_together_and_apart(start):
    _, admin = start(["host-1", "host-2", "host-3"])
    first = admin.create_server()

    beside = hints(admin, same_host=[first["id"]])
    away = hints(admin, different_host=[first["id"]])

    assert host_of(beside) == host_of(first)
    assert host_of(away) != host_of(first)


def test_administrator_names_the_host(start):
    cloud, admin = start(["host-1", "host-2", "host-3"])
    names = [one.host for one in cloud.conductor_calls.services(Context(is_admin=True), binary="nova-compute")]

    servers = [admin.create_server(host=name) for name in names]

    assert [host_of(server) for server in servers] == names


def test_full_hosts_are_counted_when_the_configuration_says_so(start):
    _, admin = start(
        ["host-1", "host-2"],
        "[filter_scheduler]\nenabled_filters = ComputeFilter, NumInstancesFilter\nmax_instances_per_host = 1\n",
    )

    hosts = {host_of(admin.create_server()) for _ in range(2)}
    refused = admin.create_server(wait_for="ERROR")

    assert len(hosts) == 2
    assert refused["fault"]["message"] == "No valid host was found. 2 hosts: 2 have no place for another server."
