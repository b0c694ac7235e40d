"""Behind its point of no return an operation does what can be done without the service that is away, and the rest later."""

import pytest

from nova import errors, metrics
from nova.conductor.reconcilers import allocations
from nova.db import host_identity, hosts, operations
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle
from tests.functional.operation_set_ups import (
    a_resized_server,
    a_server_with_a_volume,
    a_shelved_server,
    detaches_a_volume,
)

SETTINGS = """
[DEFAULT]
shelved_offload_time = 0
[cinder]
timeout = 0.2
[neutron]
timeout = 0.2
[placement]
timeout = 0.2
[conductor]
poll_interval_s = 0.1
step_pauses_s = 0.01
left_pauses_s = 0.1, 0.3
"""
HOSTS = ("host-1", "host-2")
NETWORK, VOLUME, PLACEMENT = "http://network", "http://volume", "http://placement"


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud(SETTINGS, HOSTS)
    yield cloud
    comes_back(cloud)
    settle(cloud)
    assert leftovers(cloud) == []


def goes_away(cloud, address, operation, step, moment="committed"):
    """A service goes away when a step of an operation is done, and stays away."""

    def break_off():
        cloud.adapters[address].fault = "refuses"

    cloud.boundary.call_at(operation, step, moment, break_off)


def comes_back(cloud):
    for adapter in cloud.adapters.values():
        adapter.fault = None


def left(cloud):
    return cloud.db.read(operations.count_left)


def has_something_left(cloud):
    wait(lambda: left(cloud) == 1, "an operation has something left")


def host_of(user, server_id):
    return user.server(server_id)["OS-EXT-SRV-ATTR:host"]


def attachments(cloud, server_id):
    return [one for one in cloud.cinder.attachments.values() if one["instance"] == server_id]


def volume_status(user, server_id):
    volumes = user.get(f"/servers/{server_id}/os-volume_attachments").json()["volumeAttachments"]
    return [user.cloud.cinder.volumes[one["volumeId"]]["status"] for one in volumes]


def hosts_of_ports(user, server_id):
    ports = user.get("/v2.0/ports", url=NETWORK).json()["ports"]
    return {one["binding:host_id"] for one in ports if one["device_id"] == server_id}


def disks_on(cloud, host, server_id):
    """What the server's disk holds on a host, called as its record does; None: it has none there."""
    [hypervisor] = [one for name in cloud.hosts if (one := cloud.hypervisor(name)).name == host]
    return hypervisor.shelf.content(server_id)


def migrates_without_its_network(user):
    """A live migration while the Networking service stays away from the moment on in which the guest has moved."""
    server_id = a_server_with_a_volume(user)
    source = host_of(user, server_id)
    goes_away(user.cloud, NETWORK, "live-migration", "migrate_guest")
    body = {"host": None, "block_migration": "auto"}
    assert user.act(server_id, "os-migrateLive", body).status_code == 202
    has_something_left(user.cloud)
    return server_id, source


def test_a_host_keeps_its_name_while_what_is_left_is_to_be_done_there(cloud, user):
    _, source = migrates_without_its_network(user)
    [service] = [
        one for one in user.get("/os-services?binary=nova-compute").json()["services"] if one["host"] == source
    ]
    user.put(f"/os-services/{service['id']}", {"forced_down": True})

    with pytest.raises(errors.Conflict, match="nova-manage operation show"):
        cloud.db.write(lambda c: host_identity.rename(c, source, "another", None))

    assert source in {one["host"] for one in user.get("/os-services?binary=nova-compute").json()["services"]}
    user.put(f"/os-services/{service['id']}", {"forced_down": False})


def test_a_live_migration_takes_its_traces_off_the_source_while_its_ports_cannot_be_bound(cloud, user):
    server_id, source = migrates_without_its_network(user)

    assert user.server(server_id)["status"] == "ACTIVE"
    assert host_of(user, server_id) != source
    assert volume_status(user, server_id) == ["in-use"]
    assert len(attachments(cloud, server_id)) == 1
    assert disks_on(cloud, source, server_id) is None


def test_its_ports_are_bound_when_the_networking_service_is_back(cloud, user):
    server_id, source = migrates_without_its_network(user)
    tries = len(events(user, server_id, "bind_ports"))
    wait(lambda: len(events(user, server_id, "bind_ports")) > tries + 2, "it was tried in other rounds")

    comes_back(cloud)
    settle(cloud)

    assert hosts_of_ports(user, server_id) == {host_of(user, server_id)} != {source}
    assert events(user, server_id, "bind_ports")[0]["result"] == "Success"
    assert user.get(f"/os-migrations?instance_uuid={server_id}").json()["migrations"][0]["status"] == "completed"


def events(user, server_id, step):
    """The tries of a step of a server's newest action, the last first."""
    [action, *_] = user.get(f"/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    path = f"/servers/{server_id}/os-instance-actions/{action['request_id']}"
    return [one for one in user.get(path).json()["instanceAction"]["events"] if one["event"] == step]


def test_operators_are_told_what_is_left(cloud, user, caplog):
    server_id, _ = migrates_without_its_network(user)

    assert f"live-migration of server {server_id} has left bind_ports, tried again in" in caplog.text
    wait(lambda: metrics.LEFT._value.get() == 1, "the metric counts it")
    [action, *_] = user.get(f"/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    assert action["message"].startswith("The Networking service is not available")


def test_the_server_is_used_meanwhile_and_does_not_move_before_the_rest_is_done(cloud, user):
    server_id, _ = migrates_without_its_network(user)

    wait(lambda: user.act(server_id, "os-stop").status_code == 202, "it is not being tried at this moment")
    user.wait(server_id, "SHUTOFF")
    answer = user.act(server_id, "resize", {"flavorRef": "m1.small"})

    assert answer.status_code == 409
    comes_back(cloud)
    settle(cloud)
    assert user.server(server_id)["status"] == "SHUTOFF"
    assert user.act(server_id, "resize", {"flavorRef": "m1.small"}).status_code == 202
    user.wait(server_id, "VERIFY_RESIZE")


def test_a_delete_needs_nothing_of_what_was_left(cloud, user):
    server_id, _ = migrates_without_its_network(user)

    comes_back(cloud)
    assert user.delete(f"/servers/{server_id}").status_code == 204

    user.wait_gone(server_id)
    settle(cloud)
    assert attachments(cloud, server_id) == []


def test_a_reset_ends_what_is_left(cloud, user):
    server_id, _ = migrates_without_its_network(user)

    user.act(server_id, "os-resetState", {"state": "active"})
    wait(lambda: left(cloud) == 0, "nothing is tried any more")

    assert user.server(server_id)["status"] == "ACTIVE"


def test_another_conductor_does_what_is_left(cloud, user):
    server_id, _ = migrates_without_its_network(user)

    cloud.stop_conductor()
    cloud.add_conductor()
    comes_back(cloud)
    settle(cloud)

    assert hosts_of_ports(user, server_id) == {host_of(user, server_id)}


def test_a_live_migration_whose_volumes_cannot_be_told_of_finishes_them_later(cloud, user):
    server_id = a_server_with_a_volume(user)
    source = host_of(user, server_id)
    goes_away(cloud, VOLUME, "live-migration", "migrate_guest")

    user.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})
    has_something_left(cloud)

    assert user.server(server_id)["status"] == "ACTIVE"
    assert hosts_of_ports(user, server_id) == {host_of(user, server_id)} != {source}
    comes_back(cloud)
    settle(cloud)
    assert volume_status(user, server_id) == ["in-use"]
    assert len(attachments(cloud, server_id)) == 1


def test_a_resized_server_is_there_to_be_confirmed_when_its_volumes_are_told_of(cloud, user):
    server_id = a_server_with_a_volume(user)
    goes_away(cloud, VOLUME, "resize", "take_over")

    user.act(server_id, "resize", {"flavorRef": "m1.small"})
    has_something_left(cloud)

    assert user.server(server_id)["status"] == "VERIFY_RESIZE"
    assert user.act(server_id, "confirmResize").status_code == 409
    comes_back(cloud)
    settle(cloud)
    assert volume_status(user, server_id) == ["in-use"]
    assert user.act(server_id, "confirmResize").status_code == 204
    user.wait(server_id, "ACTIVE")


@pytest.mark.parametrize("address", [NETWORK, VOLUME, PLACEMENT])
def test_a_resize_is_reverted_to_the_end_when_the_service_is_back(cloud, user, address):
    server_id = a_resized_server(user)
    goes_away(cloud, address, "revertResize", "destroy_new_guest")

    user.act(server_id, "revertResize")
    has_something_left(cloud)
    comes_back(cloud)
    settle(cloud)

    assert user.server(server_id)["status"] == "ACTIVE"
    assert user.server(server_id)["flavor"]["original_name"] == "m1.tiny"
    assert server_id in cloud.guests()


def test_what_a_revert_has_to_hand_back_is_not_given_away_meanwhile(make_cloud):
    cloud = make_cloud(SETTINGS.replace("left_pauses_s = 0.1, 0.3", "left_pauses_s = 3600"), HOSTS)
    user = cloud.client("admin", "project")
    server_id = a_resized_server(user)
    goes_away(cloud, PLACEMENT, "revertResize", "destroy_new_guest")
    user.act(server_id, "revertResize")
    has_something_left(cloud)
    comes_back(cloud)

    allocations.reconcile(cloud.conductors[0].core)
    # What needs the server begins a round at once.
    assert user.act(server_id, "reboot", {"type": "HARD"}).status_code == 409
    settle(cloud)

    assert user.server(server_id)["status"] == "ACTIVE"
    providers = {node.host: node.uuid for node in cloud.db.read(hosts.nodes)}
    assert list(cloud.allocations(server_id)) == [providers[host_of(user, server_id)]]


def test_a_confirmed_resize_is_cleaned_up_when_its_old_host_is_back(cloud, user):
    server_id = a_resized_server(user)
    old = next(name for name in cloud.hosts if cloud.hypervisor(name).aside)
    full_name = cloud.hypervisor(old).name

    def dies():
        cloud.stop_host(old)
        forced_down(user, full_name, True)

    cloud.boundary.call_at("confirmResize", "forget_old_guest", "ordered", dies)
    assert user.act(server_id, "confirmResize").status_code == 204
    has_something_left(cloud)

    assert user.server(server_id)["status"] == "ACTIVE"
    cloud.start_host(old)
    forced_down(user, full_name, False)
    settle(cloud)
    assert cloud.hypervisor(old).aside == {}


def test_a_host_that_is_back_wakes_what_is_left_there_and_nothing_else(make_cloud):
    cloud = make_cloud(SETTINGS.replace("left_pauses_s = 0.1, 0.3", "left_pauses_s = 3600"), HOSTS)
    user = cloud.client("admin", "project")
    other, server_id = a_server_with_a_volume(user), a_resized_server(user)
    goes_away(cloud, NETWORK, "shelve", "check_image")
    user.act(other, "shelve")
    has_something_left(cloud)
    comes_back(cloud)
    old = next(name for name in cloud.hosts if cloud.hypervisor(name).aside)
    full_name = cloud.hypervisor(old).name

    def dies():
        cloud.stop_host(old)
        forced_down(user, full_name, True)

    cloud.boundary.call_at("confirmResize", "forget_old_guest", "ordered", dies)
    user.act(server_id, "confirmResize")
    wait(lambda: left(cloud) == 2, "both have something left")

    woken = cloud.db.read(lambda c: operations.waiting_for(c, full_name))

    assert woken == [cloud.db.read(lambda c: operations.left(c, server_id)).uuid]
    cloud.start_host(old)
    forced_down(user, full_name, False)
    wait(lambda: cloud.hypervisor(old).aside == {}, "what was left there is done")


def forced_down(user, host, is_down):
    services = user.get("/os-services?binary=nova-compute").json()["services"]
    [service] = [one for one in services if one["host"] == host]
    assert user.put(f"/os-services/{service['id']}", {"forced_down": is_down}).status_code == 200


@pytest.mark.parametrize("address", [NETWORK, VOLUME, PLACEMENT])
def test_a_server_is_offloaded_to_the_end_when_the_service_is_back(cloud, user, address):
    server_id = a_server_with_a_volume(user)
    goes_away(cloud, address, "shelve", "check_image")

    user.act(server_id, "shelve")
    has_something_left(cloud)

    if address != PLACEMENT:
        assert cloud.allocations(server_id) == {}
    if address == NETWORK:
        assert [one["status"] for one in attachments(cloud, server_id)] == ["reserved"]
    comes_back(cloud)
    settle(cloud)
    assert user.server(server_id)["status"] == "SHELVED_OFFLOADED"
    assert user.act(server_id, "unshelve").status_code == 202
    user.wait(server_id, "ACTIVE")


def test_an_unshelved_server_runs_and_its_image_goes_while_the_block_storage_service_is_away(cloud, user):
    server_id = a_shelved_server(user)
    goes_away(cloud, VOLUME, "unshelve", "open_volumes")

    user.act(server_id, "unshelve")
    has_something_left(cloud)

    assert user.server(server_id)["status"] == "ACTIVE"
    assert [one for one in cloud.glance.images.values() if one["name"].endswith("-shelved")] == []
    comes_back(cloud)
    settle(cloud)
    assert volume_status(user, server_id) == ["in-use"]


def test_a_delete_that_cannot_reach_a_service_takes_away_the_rest_and_ends_by_itself(cloud, user):
    server_id = a_server_with_a_volume(user)
    goes_away(cloud, NETWORK, "delete", "destroy_guest")

    user.delete(f"/servers/{server_id}")
    has_something_left(cloud)

    assert user.server(server_id)["status"] == "ERROR"
    assert attachments(cloud, server_id) == []
    assert cloud.allocations(server_id) == {}
    comes_back(cloud)
    user.wait_gone(server_id)


def test_a_detached_volume_is_given_back_later_even_if_the_server_is_deleted_first(cloud, user):
    server_id = a_server_with_a_volume(user)
    goes_away(cloud, VOLUME, "detach_volume", "mark_detaching")

    assert detaches_a_volume(user, server_id).status_code == 202
    has_something_left(cloud)

    assert volume_status(user, server_id) == []
    comes_back(cloud)
    assert user.delete(f"/servers/{server_id}").status_code == 204
    user.wait_gone(server_id)
    settle(cloud)
    assert attachments(cloud, server_id) == []
