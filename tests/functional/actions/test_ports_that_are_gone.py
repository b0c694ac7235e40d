"""A port that is deleted behind the Compute service's back: its interface goes from the guest and from the record."""

import pytest

from tests.functional.actions.history import history
from tests.functional.cloud import wait
from tests.functional.invariants import settle

pytestmark = pytest.mark.usefixtures("in_order")


@pytest.fixture
def host(cloud):
    return cloud.add_host()


@pytest.fixture
def user(cloud):
    return cloud.client("admin", "project")


@pytest.fixture
def server_id(cloud, user, host):
    cloud.add_network()
    return user.create_server(networks="auto")["id"]


def ports_of(user, server_id):
    return [one["port_id"] for one in user.get(f"/servers/{server_id}/os-interface").json()["interfaceAttachments"]]


def delete_port(user, port_id):
    assert user.delete(f"/v2.0/ports/{port_id}", url="http://network").status_code == 204


def tell(user, server_id, name, tag=None):
    event = {"name": name, "server_uuid": server_id} | ({"tag": tag} if tag else {})
    return user.post("/os-server-external-events", {"events": [event]}).json()["events"][0]["code"]


def is_without(host, user, server_id):
    return wait(
        lambda: host.guests[server_id].vifs == {} and ports_of(user, server_id) == [],
        f"the interface is gone: {host.guests[server_id].vifs} {ports_of(user, server_id)}",
    )


@pytest.mark.parametrize("status", ["ACTIVE", "PAUSED", "SUSPENDED"])
def test_the_interface_goes_with_its_port(cloud, user, host, server_id, status):
    action = {"PAUSED": "pause", "SUSPENDED": "suspend"}.get(status)
    if action:
        user.act(server_id, action)
        user.wait(server_id, status)
    [port_id] = ports_of(user, server_id)

    delete_port(user, port_id)
    assert tell(user, server_id, "network-vif-deleted", port_id) == 200

    assert is_without(host, user, server_id)
    settle(cloud)
    assert user.server(server_id)["addresses"] == {}
    assert user.server(server_id)["status"] == status
    # However often it is told.
    assert [name for name, _ in history(cloud, server_id)].count("detach_interface") == 1


def test_it_is_told_by_another_service_before_the_port_is_gone(cloud, user, host, server_id):
    [port_id] = ports_of(user, server_id)

    assert tell(user, server_id, "network-vif-deleted", port_id) == 200

    assert is_without(host, user, server_id)
    settle(cloud)


def test_a_server_that_is_busy_loses_it_when_it_is_not(cloud, user, host, server_id):
    [port_id] = ports_of(user, server_id)

    with cloud.boundary.held():
        assert user.act(server_id, "pause").status_code == 202
        assert tell(user, server_id, "network-vif-deleted", port_id) == 200
        assert list(host.guests[server_id].vifs) == [port_id]

    assert is_without(host, user, server_id)
    settle(cloud)
    assert user.server(server_id)["status"] == "PAUSED"


def test_a_port_that_is_not_the_servers_changes_nothing(cloud, user, host, server_id):
    other = user.create_server(networks="auto")["id"]
    [port_id], [others] = ports_of(user, server_id), ports_of(user, other)

    assert tell(user, server_id, "network-vif-deleted", others) == 200
    assert tell(user, server_id, "network-changed") == 200
    settle(cloud)

    assert (ports_of(user, server_id), ports_of(user, other)) == ([port_id], [others])
    assert list(host.guests[server_id].vifs) == [port_id]
    assert [name for name, _ in history(cloud, server_id)] == ["create"]


def test_an_interface_that_its_user_detaches_is_detached_once(cloud, user, host, server_id):
    [port_id] = ports_of(user, server_id)

    assert user.delete(f"/servers/{server_id}/os-interface/{port_id}").status_code == 202
    assert is_without(host, user, server_id)
    settle(cloud)
    assert tell(user, server_id, "network-vif-deleted", port_id) == 200
    settle(cloud)

    assert [name for name, _ in history(cloud, server_id)] == ["detach_interface", "create"]


def test_a_port_that_goes_with_its_server_is_nothing_to_be_detached(cloud, user, host, server_id):
    [port_id] = ports_of(user, server_id)

    def tell_of_deletion():
        assert tell(user, server_id, "network-vif-deleted", port_id) == 200

    cloud.boundary.call_at("delete", "remove_ports", "done", tell_of_deletion)

    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)

    assert history(cloud, server_id) == [("delete", "succeeded"), ("create", "succeeded")]
