"""A shelve that broke off behind its point of no return has left the server's disk in an image alone."""

import pytest

from nova.db import instances, operations
from nova.structs.instance import PowerState, VmState
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle
from tests.functional.operation_set_ups import an_active_server

SETTINGS = """
[DEFAULT]
shelved_offload_time = 0
[neutron]
timeout = 0.2
[conductor]
poll_interval_s = 0.1
step_pauses_s = 0.01
left_pauses_s = 0.1, 0.3
"""
HOSTS = ("host-1", "host-2")
NETWORK = "http://network"


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud(SETTINGS, HOSTS)
    yield cloud
    comes_back(cloud)
    settle(cloud)
    assert leftovers(cloud) == []


@pytest.fixture
def server_id(cloud, user):
    """In ERROR on its host, which has its disk no more."""
    server_id = an_active_server(user)
    cloud.write(server_id, "first")
    stays_away(cloud, "shelve", "check_image")
    assert user.act(server_id, "shelve").status_code == 202
    wait(lambda: cloud.db.read(operations.count_left) == 1, "the shelve is left")
    assert user.server(server_id)["status"] == "ERROR"
    assert cloud.guests() == {}
    return server_id


def stays_away(cloud, operation, step):
    """The Networking service goes away when a step of an operation is done."""

    def break_off():
        cloud.adapters[NETWORK].fault = "refuses"

    cloud.boundary.call_at(operation, step, "committed", break_off)


def comes_back(cloud):
    cloud.adapters[NETWORK].fault = None


def is_given_up(cloud, user, server_id, status="error"):
    """Nothing is tried any more: an operator ends what is left."""
    user.act(server_id, "os-resetState", {"state": status})
    settle(cloud)
    comes_back(cloud)


def host_of(cloud, user, server_id):
    full = user.server(server_id)["OS-EXT-SRV-ATTR:host"]
    return next(name for name in ("host-1", "host-2") if cloud.hypervisor(name).name == full)


def dies(cloud, user, name):
    full = cloud.hypervisor(name).name
    cloud.stop_host(name)
    [service] = [one for one in user.get("/os-services").json()["services"] if one["host"] == full]
    assert user.put(f"/os-services/{service['id']}", {"forced_down": True}).status_code == 200


def evacuate(cloud, user, server_id):
    source = host_of(cloud, user, server_id)
    dies(cloud, user, source)
    wait(lambda: user.act(server_id, "evacuate", {}).status_code == 200, "the rest is not being tried at this moment")
    comes_back(cloud)


def content(cloud, user, server_id):
    return cloud.hypervisor(host_of(cloud, user, server_id)).shelf.content(server_id)


def shelved_images(cloud):
    return [one for one in cloud.glance.images.values() if one["name"].endswith("-shelved")]


def is_named(cloud, server_id):
    """Whether the server's record names the image it was shelved to."""
    return "shelved_image_id" in cloud.db.read(lambda c: instances.get(c, server_id)).system_metadata


def comes_back_by_its_image(cloud, user, server_id):
    assert user.act(server_id, "shelveOffload").status_code == 202
    user.wait(server_id, "SHELVED_OFFLOADED")
    assert user.act(server_id, "unshelve").status_code == 202
    user.wait(server_id, "ACTIVE")
    assert content(cloud, user, server_id) == "first"


def test_an_evacuation_makes_the_disk_of_the_shelved_image(cloud, user, server_id):
    evacuate(cloud, user, server_id)
    user.wait(server_id, "SHUTOFF")

    assert content(cloud, user, server_id) == "first"
    settle(cloud)
    assert (is_named(cloud, server_id), shelved_images(cloud)) == (False, [])


def test_an_evacuation_that_fails_keeps_the_shelved_image(cloud, user, server_id):
    other = next(name for name in cloud.hosts if name != host_of(cloud, user, server_id))
    cloud.hypervisor(other).fail("boot")
    evacuate(cloud, user, server_id)
    user.wait(server_id, "ERROR")
    settle(cloud)
    assert len(shelved_images(cloud)) == 1

    assert user.act(server_id, "evacuate", {}).status_code == 200
    user.wait(server_id, "SHUTOFF")

    assert content(cloud, user, server_id) == "first"


def test_an_evacuation_is_not_held_up_by_a_shelved_image_that_stays(cloud, user, server_id):
    cloud.boundary.call_at("evacuate", "spawn", "committed", lambda: images_stay(cloud))
    evacuate(cloud, user, server_id)
    user.wait(server_id, "SHUTOFF")

    settle(cloud)
    cloud.adapters["http://image"].fault = None
    assert content(cloud, user, server_id) == "first"


def images_stay(cloud):
    cloud.adapters["http://image"].fault = "refuses"


@pytest.mark.parametrize("how", ["start", "reboot"])
def test_a_guest_without_its_disk_does_not_start_and_comes_back_by_its_image(cloud, user, server_id, how):
    is_given_up(cloud, user, server_id)
    if how == "start":
        cloud.db.write(lambda c: instances.change(c, server_id, vm_state=VmState.STOPPED))
        assert user.act(server_id, "os-start").status_code == 202
    else:
        assert user.act(server_id, "reboot", {"type": "HARD"}).status_code == 202
    settle(cloud)

    assert "disk is missing" in user.wait(server_id, "ERROR")["fault"]["message"]
    assert cloud.guests() == {}
    comes_back_by_its_image(cloud, user, server_id)


def test_another_shelve_that_has_no_disk_to_copy_keeps_the_image_there_is(cloud, user, server_id):
    is_given_up(cloud, user, server_id, "active")
    assert user.act(server_id, "shelve").status_code == 202
    settle(cloud)
    assert len(shelved_images(cloud)) == 1

    user.act(server_id, "os-resetState", {"state": "error"})

    comes_back_by_its_image(cloud, user, server_id)


@pytest.fixture
def server_with_disk(cloud, user):
    """In ERROR: its host has refused to remove its guest, which is off."""
    server_id = an_active_server(user)
    cloud.write(server_id, "first")
    hypervisor = cloud.hypervisor(host_of(cloud, user, server_id))
    hypervisor.fail("destroy", times=10)
    assert user.act(server_id, "shelve").status_code == 202
    settle(cloud)
    hypervisor.mend()
    assert user.server(server_id)["status"] == "ERROR"
    assert cloud.guests()[server_id].power_state is PowerState.SHUTDOWN
    return server_id


def test_a_server_that_runs_again_is_not_offloaded_with_what_it_wrote_since(cloud, user, server_with_disk):
    assert user.act(server_with_disk, "reboot", {"type": "HARD"}).status_code == 202
    user.wait(server_with_disk, "ACTIVE")
    cloud.write(server_with_disk, "second")
    user.act(server_with_disk, "os-resetState", {"state": "error"})

    answer = user.act(server_with_disk, "shelveOffload")

    assert answer.status_code == 409
    assert content(cloud, user, server_with_disk) == "second"
    # It is an image like any other.
    assert user.delete(f"/servers/{server_with_disk}").status_code == 204
    user.wait_gone(server_with_disk)
    assert len(shelved_images(cloud)) == 1


def test_a_guest_that_runs_unheard_of_is_not_offloaded(cloud, user, server_with_disk):
    cloud.guests()[server_with_disk].power_state = PowerState.RUNNING

    # Refused at once where its host has told of it.
    assert user.act(server_with_disk, "shelveOffload").status_code in (202, 409)
    settle(cloud)

    assert content(cloud, user, server_with_disk) == "first"
    assert user.server(server_with_disk)["status"] == "ERROR"


def test_the_record_names_no_image_when_the_host_tells_that_the_guest_runs(cloud, user, server_with_disk):
    hypervisor = cloud.hypervisor(host_of(cloud, user, server_with_disk))
    cloud.conductor_calls.report_power_states(hypervisor.name, {server_with_disk: int(PowerState.RUNNING)})
    assert is_named(cloud, server_with_disk), "it was told, and it is not so"
    hypervisor.guests[server_with_disk].power_state = PowerState.RUNNING

    cloud.conductor_calls.report_power_states(hypervisor.name, {server_with_disk: int(PowerState.RUNNING)})

    assert not is_named(cloud, server_with_disk)


def test_a_server_that_is_offloaded_in_the_end_comes_back_by_its_image(cloud, user, server_with_disk):
    comes_back_by_its_image(cloud, user, server_with_disk)


def test_a_disk_on_shared_storage_is_taken_before_the_shelved_image(cloud, user, server_with_disk):
    source = host_of(cloud, user, server_with_disk)
    [other] = [name for name in cloud.hosts if name != source]
    shelf = cloud.hypervisor(other).shelf = cloud.hypervisor(source).shelf
    shelf.directories[server_with_disk].content = cloud.written[server_with_disk] = "newer"

    evacuate(cloud, user, server_with_disk)
    user.wait(server_with_disk, "SHUTOFF")

    assert content(cloud, user, server_with_disk) == "newer"
    settle(cloud)
    assert shelved_images(cloud) == []


def test_a_server_that_was_never_shelved_is_not_offloaded(cloud, user):
    server_id = an_active_server(user)
    user.act(server_id, "os-resetState", {"state": "error"})

    assert user.act(server_id, "shelveOffload").status_code == 409

    assert content(cloud, user, server_id) == cloud.written[server_id]


def test_a_rebuilt_server_leaves_its_user_the_image(cloud, user, server_id):
    is_given_up(cloud, user, server_id)
    cloud.made_anew.add(server_id)
    image = next(iter(cloud.glance.images))

    assert user.act(server_id, "rebuild", {"imageRef": image}).status_code == 202
    user.wait(server_id, "ACTIVE")

    assert user.delete(f"/servers/{server_id}").status_code == 204
    user.wait_gone(server_id)
    assert len(shelved_images(cloud)) == 1
