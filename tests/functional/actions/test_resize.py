"""Resize and cold migration: to another host or size, confirmed or reverted; nothing counted twice or forgotten."""

from datetime import datetime

import pytest
from sqlalchemy import select

from nova.db import instances
from nova.structs.instance import PowerState
from tests.functional.actions.history import history
from tests.functional.cloud import wait

pytestmark = pytest.mark.usefixtures("in_order")

SMALL, TINY = {"VCPU": 2, "MEMORY_MB": 2048, "DISK_GB": 2}, {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}


@pytest.fixture
def hosts(cloud):
    return {name: cloud.add_host(name) for name in ("host-1", "host-2")}


def usage(cloud, resource):
    return cloud.conductor_calls.quota("project").in_use[resource]


def where(admin, server_id):
    return admin.server(server_id)["OS-EXT-SRV-ATTR:host"]


def held_on(cloud, host):
    """What everybody together holds on a host."""
    provider = next(one.uuid for one in cloud.placement.providers() if one.name == host)
    return sorted(str(held.resources if hasattr(held, "resources") else held) for held in
                  cloud.placement.provider_allocations(provider).values())  # fmt: skip


def resized(user, flavor="m1.small", **options):
    server_id = user.create_server(**options)["id"]
    assert user.act(server_id, "resize", {"flavorRef": flavor}).status_code == 202
    return user.wait(server_id, "VERIFY_RESIZE")["id"]


def test_a_confirmed_resize_has_moved_the_server_and_all_it_counts_for(cloud, user, admin, hosts):
    server_id = user.create_server()["id"]
    source = where(admin, server_id)

    user.act(server_id, "resize", {"flavorRef": "m1.small"})
    verified = user.wait(server_id, "VERIFY_RESIZE")

    destination = where(admin, server_id)
    assert destination != source
    assert verified["flavor"]["original_name"] == "m1.small"
    assert list(cloud.allocations(server_id).values()) == [SMALL]
    assert held_on(cloud, source) == [str(TINY)]
    assert usage(cloud, "cores") == 2

    assert user.act(server_id, "confirmResize").status_code == 204
    user.wait(server_id, "ACTIVE")

    assert held_on(cloud, source) == []
    assert [name for name in hosts if hosts[name].guests] == [destination.partition("-")[2]]
    assert history(cloud, server_id)[:2] == [("confirmResize", "succeeded"), ("resize", "succeeded")]


def test_a_reverted_resize_never_was(cloud, user, admin, hosts):
    server_id = user.create_server()["id"]
    source = where(admin, server_id)
    user.act(server_id, "resize", {"flavorRef": "m1.small"})
    user.wait(server_id, "VERIFY_RESIZE")

    assert user.act(server_id, "revertResize").status_code == 202
    back = user.wait(server_id, "ACTIVE")

    assert where(admin, server_id) == source
    assert back["flavor"]["original_name"] == "m1.tiny"
    assert list(cloud.allocations(server_id).values()) == [TINY]
    assert usage(cloud, "cores") == 1
    assert back["OS-EXT-STS:power_state"] == PowerState.RUNNING


def test_a_server_may_grow_where_it_is(make_cloud):
    cloud = make_cloud("[DEFAULT]\nallow_resize_to_same_host = true\n")
    cloud.add_host()
    user = cloud.client()

    server_id = resized(user)
    user.act(server_id, "revertResize")
    user.wait(server_id, "ACTIVE")
    user.act(server_id, "resize", {"flavorRef": "m1.small"})
    user.wait(server_id, "VERIFY_RESIZE")
    user.act(server_id, "confirmResize")

    assert user.wait(server_id, "ACTIVE")["flavor"]["original_name"] == "m1.small"
    assert list(cloud.allocations(server_id).values()) == [SMALL]


def test_a_stopped_server_stays_off_through_its_resize(cloud, user, hosts):
    server_id = user.create_server()["id"]
    user.act(server_id, "os-stop")
    user.wait(server_id, "SHUTOFF")

    user.act(server_id, "resize", {"flavorRef": "m1.small"})
    user.wait(server_id, "VERIFY_RESIZE")
    user.act(server_id, "confirmResize")
    user.wait(server_id, "SHUTOFF")

    assert cloud.guests()[server_id].power_state == PowerState.SHUTDOWN


def test_a_refusing_host_is_left_for_another(cloud, user, admin, hosts):
    server_id = user.create_server()["id"]
    third = cloud.add_host("host-3")
    others = [host for host in (*hosts.values(), third) if server_id not in host.guests]
    others[0].fail("take_over", times=5)

    user.act(server_id, "resize", {"flavorRef": "m1.small"})
    user.wait(server_id, "VERIFY_RESIZE")

    assert where(admin, server_id) == others[1].name


def test_a_resize_no_host_can_take_leaves_the_server_running_as_it_was(cloud, user, hosts):
    server_id = user.create_server()["id"]
    for host in hosts.values():
        host.fail("take_over", times=5)

    user.act(server_id, "resize", {"flavorRef": "m1.small"})
    after = user.wait(server_id, "ACTIVE")

    assert after["flavor"]["original_name"] == "m1.tiny"
    assert cloud.guests()[server_id].power_state == PowerState.RUNNING
    assert usage(cloud, "cores") == 1
    assert history(cloud, server_id)[0] == ("resize", "failed")


@pytest.mark.parametrize("flavor, status", [("m1.tiny", 400), ("none", 400), ("m1.huge", 403)])
def test_a_flavor_that_cannot_be_had_is_refused_at_once(cloud, user, admin, hosts, flavor, status):
    admin.post("/flavors", {"flavor": {"name": "m1.huge", "ram": 4096, "vcpus": 500, "disk": 5, "id": "m1.huge"}})
    server_id = user.create_server()["id"]

    assert user.act(server_id, "resize", {"flavorRef": flavor}).status_code == status
    assert user.server(server_id)["status"] == "ACTIVE"


def test_a_resized_server_can_be_deleted_and_leaves_nothing(cloud, user, hosts):
    server_id = resized(user)

    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)

    assert not any(host.guests or host.aside for host in hosts.values())
    assert usage(cloud, "cores") == 0


def test_a_resize_is_confirmed_by_itself_after_its_window(make_cloud):
    cloud = make_cloud("[DEFAULT]\nresize_confirm_window = 1\nservice_down_time = 4\n")
    cloud.add_host("host-1")
    cloud.add_host("host-2")
    user = cloud.client()
    server_id = user.create_server()["id"]

    user.act(server_id, "resize", {"flavorRef": "m1.small"})
    user.wait(server_id, "ACTIVE")

    assert history(cloud, server_id)[0] == ("confirmResize", "succeeded")


def test_a_cold_migration_goes_to_the_host_an_administrator_names(cloud, user, admin, hosts):
    server_id = user.create_server()["id"]
    source = where(admin, server_id)
    destination = next(host.name for host in hosts.values() if host.name != source)

    assert user.act(server_id, "migrate").status_code == 403
    assert admin.act(server_id, "migrate", {"host": source}).status_code == 400
    assert admin.act(server_id, "migrate", {"host": destination}).status_code == 202
    user.wait(server_id, "VERIFY_RESIZE")

    assert where(admin, server_id) == destination
    assert user.act(server_id, "confirmResize").status_code == 204
    user.wait(server_id, "ACTIVE")


def test_a_server_keeps_its_addresses_on_its_way(cloud, user, admin, hosts):
    network = admin.post("/v2.0/networks", {"network": {"name": "n", "shared": True}}, url="http://network").json()
    subnet = {"network_id": network["network"]["id"], "cidr": "10.0.0.0/24", "ip_version": 4}
    admin.post("/v2.0/subnets", {"subnet": subnet}, url="http://network")
    server = user.create_server(networks="auto")

    user.act(server["id"], "resize", {"flavorRef": "m1.small"})
    moved = user.wait(server["id"], "VERIFY_RESIZE")

    ports = admin.get("/v2.0/ports", url="http://network").json()["ports"]
    assert moved["addresses"] == server["addresses"]
    assert [one["binding:host_id"] for one in ports if one["device_id"] == server["id"]] == [where(admin, server["id"])]


@pytest.mark.parametrize("since", [datetime(2020, 1, 1), None])
def test_a_resize_that_an_older_conductor_did_waits_for_its_window(make_cloud, since):
    cloud = make_cloud("[DEFAULT]\nresize_confirm_window = 3600\nservice_down_time = 4\n")
    cloud.add_host("host-1")
    cloud.add_host("host-2")
    user = cloud.client()
    server_id = user.create_server()["id"]
    user.act(server_id, "resize", {"flavorRef": "m1.small"})
    user.wait(server_id, "VERIFY_RESIZE")

    table = instances.Table.__table__
    of_server = table.c.uuid == server_id
    cloud.db.write(lambda c: c.execute(table.update().where(of_server).values(state_since=since)))

    resized_at = cloud.db.read(lambda c: instances.get(c, server_id)).properties.resized_from.resized_at
    state_since = select(table.c.state_since).where(of_server)
    wait(lambda: cloud.db.read(lambda c: c.scalar(state_since)) == resized_at, "the record's time is written down")
    assert user.server(server_id)["status"] == "VERIFY_RESIZE"


def test_an_ephemeral_disk_is_not_lost_by_a_resize(cloud, admin, user):
    cloud.add_host("host-1")
    for name, ephemeral in (("with", 2), ("smaller", 1)):
        flavor = {"name": name, "id": name, "ram": 512, "vcpus": 1, "disk": 1, "OS-FLV-EXT-DATA:ephemeral": ephemeral}
        assert admin.post("/flavors", {"flavor": flavor}).status_code == 200
    server_id = user.create_server(flavor="with")["id"]

    answers = [user.act(server_id, "resize", {"flavorRef": flavor}) for flavor in ("m1.tiny", "smaller")]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert "ephemeral" in answers[0].text
    assert user.server(server_id)["status"] == "ACTIVE"
