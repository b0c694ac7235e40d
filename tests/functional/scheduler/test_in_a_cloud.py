"""The scheduler as a part of a whole cloud: what users ask for, what they get, and what they are told."""

from collections import Counter

import msgspec
import pytest

from nova.scheduler.host_selector import HostSelector
from nova.scheduler.host_view import Hosts
from nova.structs.context import Context
from tests.functional.cloud import wait


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


def test_host_that_was_just_disabled_takes_no_server_also_when_the_news_are_late(start, monkeypatch):
    cloud, admin = start(["host-1", "host-2"])
    first = admin.create_server()
    context = Context(is_admin=True)
    service = cloud.conductor_calls.services(context, host=host_of(first), binary="nova-compute")[0]
    monkeypatch.setattr(Hosts, "changed", lambda self, version: None)

    for _ in range(3):
        cloud.conductor_calls.update_service(context, service.uuid, is_disabled=True)
        assert host_of(admin.create_server()) != host_of(first)
        cloud.conductor_calls.update_service(context, service.uuid, is_disabled=False)


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


def a_group(admin, policy, **rules):
    wanted = {"name": "g", "policy": policy} | ({"rules": rules} if rules else {})
    answer = admin.post("/os-server-groups", {"server_group": wanted})
    assert answer.status_code == 200, answer.text
    return answer.json()["server_group"]


def boot_many(admin, count, group=None, status="ACTIVE"):
    """The hosts of servers asked for in one request."""
    body = {"server": admin.wanted(min_count=count, max_count=count)}
    if group:
        body["os:scheduler_hints"] = {"group": group["id"]}
    answer = admin.post("/servers", body)
    assert answer.status_code == 202, answer.text
    first = admin.server(answer.json()["server"]["id"])
    listed = admin.get(f"/servers?reservation_id={first['OS-EXT-SRV-ATTR:reservation_id']}").json()["servers"]
    assert len(listed) == count
    return [admin.wait(server["id"], "ACTIVE", "ERROR") for server in listed]


NAMES = [f"host-{number}" for number in range(6)]


def test_servers_of_one_request_spread(start):
    _, admin = start(NAMES[:4])

    hosts = Counter(map(host_of, boot_many(admin, 8)))

    assert sorted(hosts.values()) == [2, 2, 2, 2]


@pytest.mark.parametrize("policy", ["anti-affinity", "soft-anti-affinity"])
def test_members_of_one_request_stand_apart(start, policy):
    _, admin = start(NAMES)

    hosts = Counter(map(host_of, boot_many(admin, 6, a_group(admin, policy))))

    assert set(hosts.values()) == {1}


@pytest.mark.parametrize("policy", ["affinity", "soft-affinity"])
def test_members_of_one_request_stand_together(start, policy):
    _, admin = start(NAMES, "[filter_scheduler]\nsoft_affinity_weight_multiplier = 10\n")

    hosts = Counter(map(host_of, boot_many(admin, 4, a_group(admin, policy))))

    assert list(hosts.values()) == [4]


@pytest.mark.parametrize("most", [2, "2"])
def test_a_host_takes_as_many_members_as_the_rule_says(start, most):
    _, admin = start(NAMES[:2])
    group = a_group(admin, "anti-affinity", max_server_per_host=most)

    servers = boot_many(admin, 5, group)

    assert group["rules"] == {"max_server_per_host": 2}
    assert sorted(Counter(map(host_of, servers)).values()) == [1, 2, 2]
    refused = next(server for server in servers if server["status"] == "ERROR")
    assert refused["fault"]["message"] == ("No valid host was found. 2 hosts: 2 hold 2 members of the server group.")


def test_servers_that_leave_a_dead_host_together_spread(start):
    cloud, admin = start([*NAMES, "other"])
    services = {one.host: one for one in cloud.conductor_calls.services(Context(is_admin=True), binary="nova-compute")}
    dead = next(name for name in services if name.endswith("-other"))
    servers = [admin.create_server(host=dead) for _ in range(6)]
    cloud.stop_host("other")
    cloud.conductor_calls.update_service(Context(is_admin=True), services[dead].uuid, is_forced_down=True)

    for server in servers:
        assert admin.post(f"/servers/{server['id']}/action", {"evacuate": {}}).status_code == 200

    def homes():
        return Counter(host_of(admin.server(server["id"])) for server in servers)

    wait(lambda: dead not in homes(), f"all have left {dead}: {homes()}")
    assert set(homes().values()) == {1}


def test_a_rule_that_the_commit_refuses_is_named_when_the_attempts_are_used_up(start, monkeypatch):
    # The race itself cannot be made to happen each time: this scheduler never hears of other members.
    cloud, admin = start(NAMES[:3], "[scheduler]\nmax_attempts = 2\n")
    group = a_group(admin, "anti-affinity")
    for server in boot_many(admin, 3, group):
        assert server["status"] == "ACTIVE"
    select = HostSelector.select

    def select_without_group(self, request, *others):
        return select(self, msgspec.structs.replace(request, group=None), *others)

    monkeypatch.setattr(HostSelector, "select", select_without_group)

    (refused,) = boot_many(admin, 1, group)

    message = refused["fault"]["message"]
    assert message.startswith("No valid host was found. 2 hosts were tried and could not take the server.")
    assert "another member of the server group got there first" in message
    assert cloud.allocations(refused["id"]) == {}


def test_a_group_that_was_deleted_is_not_shown_with_its_members_and_binds_none(start):
    _, admin = start(NAMES[:2])
    group = a_group(admin, "affinity")
    members = boot_many(admin, 2, group)
    assert [admin.server(member["id"])["server_groups"] for member in members] == [[group["id"]]] * 2

    assert admin.delete(f"/os-server-groups/{group['id']}").status_code == 204

    assert [admin.server(member["id"])["server_groups"] for member in members] == [[], []]
    source = host_of(members[0])
    admin.act(members[0]["id"], "os-migrateLive", {"host": None, "block_migration": "auto"})
    assert host_of(admin.wait(members[0]["id"], "ACTIVE")) != source
