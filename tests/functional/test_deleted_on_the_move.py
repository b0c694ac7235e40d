"""A server that is deleted leaves nothing on the hosts it came from: at once where they live, else when they are back."""

import pytest

from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle
from tests.functional.operation_set_ups import a_resized_server, a_server_of_a_dead_host, an_active_server


@pytest.fixture
def cloud(make_cloud):
    return make_cloud(hosts=("host-1", "host-2"))


def has_disks(cloud, name, server_id):
    return cloud.hypervisor(name).shelf.content(server_id) is not None


def name_of_host(cloud, server_id):
    return next(name for name in cloud.hosts if server_id in cloud.hypervisor(name).guests)


def is_deleted_when_it_has_moved(cloud, user, server_id, meanwhile=lambda: None):
    def delete():
        meanwhile()
        assert user.delete(f"/servers/{server_id}").status_code == 204

    cloud.boundary.call_at("live-migration", "bind_ports", "done", delete)
    user.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})
    user.wait_gone(server_id)
    settle(cloud)


def test_a_delete_during_a_live_migration_removes_the_disks_on_the_source(cloud, user):
    server_id = an_active_server(user)
    source = name_of_host(cloud, server_id)

    is_deleted_when_it_has_moved(cloud, user, server_id)

    assert not has_disks(cloud, source, server_id)
    assert leftovers(cloud) == []


def test_a_source_that_is_down_removes_the_disks_when_it_is_back(cloud, user):
    server_id = an_active_server(user)
    source = name_of_host(cloud, server_id)

    def dies():
        cloud.stop_host(source)
        force_down(user, cloud.hypervisor(source).name)

    is_deleted_when_it_has_moved(cloud, user, server_id, dies)

    assert has_disks(cloud, source, server_id)
    cloud.start_host(source)
    wait(lambda: not has_disks(cloud, source, server_id), "the source has looked through its disks")


def test_a_dead_host_removes_what_it_has_of_a_server_that_was_evacuated_and_deleted(cloud, user):
    before = set(cloud.hosts)
    server_id = a_server_of_a_dead_host(user)
    [dead] = before - set(cloud.hosts)
    user.act(server_id, "evacuate", {})
    settle(cloud)
    assert user.delete(f"/servers/{server_id}").status_code == 204
    user.wait_gone(server_id)

    cloud.start_host(dead)

    wait(lambda: not has_disks(cloud, dead, server_id), "the host has looked through its disks")
    assert server_id not in cloud.hypervisor(dead).guests


def test_a_delete_while_a_resize_is_reverted_removes_the_new_guest(cloud, user):
    """The new host is silent when the new guest is to go, so the revert is given up there."""
    server_id = a_resized_server(user)
    new = name_of_host(cloud, server_id)
    cloud.hypervisor(new).hold("destroy")
    user.act(server_id, "revertResize")
    wait(lambda: ("destroy", server_id) in cloud.hypervisor(new).calls, "the new guest is being destroyed")

    assert user.delete(f"/servers/{server_id}").status_code == 204
    cloud.hypervisor(new).release("destroy")

    user.wait_gone(server_id)
    settle(cloud)
    assert leftovers(cloud) == []


def force_down(user, host):
    services = user.get("/os-services?binary=nova-compute").json()["services"]
    [service] = [one for one in services if one["host"] == host]
    assert user.put(f"/os-services/{service['id']}", {"forced_down": True}).status_code == 200
