"""A host that falls silent may have its guests still: what they write to is nobody else's before that is known."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import update

from nova import errors
from nova.clock import utcnow
from nova.conductor.workflows.attach_volume import ATTACH_VOLUME
from nova.db.models.operations import Operation
from nova.db.purging import purge_servers
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle
from tests.functional.operation_set_ups import (
    a_resized_server,
    a_server_of_a_dead_host,
    a_server_that_boots_from_a_volume,
    a_server_with_a_snapshot,
    a_server_with_a_volume,
    a_shelved_server,
    an_active_server,
    attaches_a_volume,
    attaches_an_interface,
    merges_a_snapshot,
    snapshots_a_volume,
    swaps_a_volume,
)
from tests.functional.silence import (
    HOSTS,
    SETTINGS,
    answers_again,
    answers_are_lost,
    falls_silent,
    falls_silent_with,
    force_down,
    guests_of,
    is_forced_down,
    is_whole,
    name_of_host,
    statuses,
    tries,
    waits_for,
)

decisions = pytest.mark.parametrize("decide", [answers_again, is_forced_down])


@pytest.fixture
def cloud(make_cloud):
    return make_cloud(SETTINGS, HOSTS)


# Builds and moves


def begins_from_a_volume(user):
    root = {"boot_index": 0, "source_type": "volume", "destination_type": "volume"}
    devices = [root | {"uuid": user.cloud.cinder.add(bootable="true")}]
    wanted = user.wanted(networks="auto", block_device_mapping_v2=devices)
    del wanted["imageRef"]
    return user.post("/servers", {"server": wanted}).json()["server"]["id"]


def builds_from_a_volume(user):
    """A build whose first host has started the guest, and is silent now."""
    cloud = user.cloud
    answers_are_lost(cloud, "create", "spawn")
    server_id = begins_from_a_volume(user)
    wait(lambda: guests_of(cloud, server_id), "the guest runs")
    [name] = guests_of(cloud, server_id)
    falls_silent_with(cloud, name, lambda: True)
    return server_id, name, "destroy"


def resizes(user):
    cloud = user.cloud
    server_id = a_server_with_a_volume(user)
    source = name_of_host(cloud, server_id)
    answers_are_lost(cloud, "resize", "start_guest")
    assert user.act(server_id, "resize", {"flavorRef": "m1.small"}).status_code == 202
    wait(lambda: set(guests_of(cloud, server_id)) - {source}, "the guest is there")
    [name] = set(guests_of(cloud, server_id)) - {source}
    falls_silent_with(cloud, name, lambda: ("set_power", server_id) in cloud.hypervisor(name).calls)
    return server_id, name, "remove_new_guest"


def unshelves(user):
    cloud = user.cloud
    server_id = a_shelved_server(user)
    answers_are_lost(cloud, "unshelve", "start_guest")
    assert user.act(server_id, "unshelve").status_code == 202
    wait(lambda: guests_of(cloud, server_id), "the guest runs")
    [name] = guests_of(cloud, server_id)
    falls_silent_with(cloud, name, lambda: True)
    return server_id, name, "remove_guest"


def evacuates(user):
    cloud = user.cloud
    server_id = a_server_of_a_dead_host(user)
    cloud.made_anew.add(server_id)
    [source] = guests_of(cloud, server_id)
    answers_are_lost(cloud, "evacuate", "spawn")
    assert user.act(server_id, "evacuate", {}).status_code == 200
    wait(lambda: set(guests_of(cloud, server_id)) - {source}, "the guest runs")
    [name] = set(guests_of(cloud, server_id)) - {source}
    # What the dead host had is of no account here.
    cloud.hypervisor(source).guests.pop(server_id)
    falls_silent_with(cloud, name, lambda: True)
    return server_id, name, "destroy"


# An evacuated server stays off, as 2.95 says.
PLACINGS = {builds_from_a_volume: "ACTIVE", resizes: "VERIFY_RESIZE", unshelves: "ACTIVE", evacuates: "SHUTOFF"}


@decisions
@pytest.mark.parametrize("begin", PLACINGS)
def test_no_other_host_gets_the_volume_of_a_guest_that_may_run(cloud, user, begin, decide):
    server_id, name, undo = begin(user)

    waits_for(cloud, user, server_id, undo)

    assert guests_of(cloud, server_id) == [name]
    assert "available" not in statuses(cloud)
    decide(cloud, user, name)
    user.wait(server_id, PLACINGS[begin])
    settle(cloud)
    assert name_of_host(cloud, server_id) != name
    if PLACINGS[begin] == "VERIFY_RESIZE":
        user.act(server_id, "confirmResize")
        user.wait(server_id, "ACTIVE")
    is_whole(cloud, user, name)


@pytest.mark.parametrize("begin", PLACINGS)
def test_a_server_that_waits_is_deleted_and_its_volume_stays_its_own(cloud, user, begin):
    server_id, name, undo = begin(user)
    waits_for(cloud, user, server_id, undo)

    assert user.delete(f"/servers/{server_id}").status_code == 204
    user.wait_gone(server_id)

    assert "available" not in statuses(cloud)
    answers_again(cloud, user, name)
    settle(cloud)
    assert statuses(cloud) == ["available"]
    is_whole(cloud, user, name)


def test_a_server_without_volumes_does_not_wait_for_a_silent_host(cloud, user):
    answers_are_lost(cloud, "create", "spawn")
    server_id = user.post("/servers", {"server": user.wanted(networks="auto")}).json()["server"]["id"]
    wait(lambda: guests_of(cloud, server_id), "the guest runs")
    [name] = guests_of(cloud, server_id)

    falls_silent(cloud, name)
    cloud.calm()

    user.wait(server_id, "ACTIVE")
    settle(cloud)
    assert name_of_host(cloud, server_id) != name
    is_whole(cloud, user, name)


def test_a_host_that_was_not_sent_the_guest_is_not_waited_for(cloud, user):
    """It falls silent between the choice and the order."""
    chosen = []

    def dies():
        [server] = user.get("/servers/detail").json()["servers"]
        [name] = [name for name in HOSTS if cloud.hypervisor(name).name == server["OS-EXT-SRV-ATTR:host"]]
        chosen.append(name)
        falls_silent(cloud, name)

    cloud.boundary.call_at("create", "open_volumes", "committed", dies)
    server_id = a_server_that_boots_from_a_volume(user)

    assert chosen != []
    assert name_of_host(cloud, server_id) != chosen[0]


@decisions
def test_the_old_guest_does_not_start_while_the_new_one_may_run(cloud, user, decide):
    server_id = a_resized_server(user)
    name = name_of_host(cloud, server_id)
    held = set(cloud.cinder.attachments)
    # The order is on its way when nobody hears of the host any more.
    cloud.boundary.call_at("revertResize", "destroy_new_guest", "ordered", lambda: falls_silent(cloud, name))

    assert user.act(server_id, "revertResize").status_code == 202
    server = user.wait(server_id, "ERROR")

    assert "Its guest may run" in server["fault"]["message"]
    assert set(cloud.cinder.attachments) == held
    decide(cloud, user, name)
    settle(cloud)
    assert user.server(server_id)["status"] == "ACTIVE"
    assert name_of_host(cloud, server_id) != name
    is_whole(cloud, user, name)


def test_a_server_is_not_reverted_from_a_host_that_is_silent_already(cloud, user):
    server_id = a_resized_server(user)
    name = name_of_host(cloud, server_id)
    held = set(cloud.cinder.attachments)
    falls_silent(cloud, name)

    assert user.act(server_id, "revertResize").status_code == 202
    settle(cloud)

    assert user.server(server_id)["status"] == "VERIFY_RESIZE"
    assert set(cloud.cinder.attachments) == held
    is_forced_down(cloud, user, name)
    assert user.act(server_id, "revertResize").status_code == 202
    user.wait(server_id, "ACTIVE")
    is_whole(cloud, user, name)


# Deletes


def purges(cloud):
    """How many deleted servers' records go, of all that may."""
    return purge_servers(cloud.db, utcnow() + timedelta(days=1))


@decisions
def test_a_deleted_server_keeps_its_volume_until_its_guest_is_known_to_be_gone(cloud, user, decide):
    server_id = a_server_with_a_volume(user)
    name = name_of_host(cloud, server_id)
    falls_silent(cloud, name)

    assert user.delete(f"/servers/{server_id}").status_code == 204
    user.wait_gone(server_id)

    assert statuses(cloud) == ["in-use"]
    [service] = [
        one for one in user.get("/os-quota-sets/project/detail").json()["quota_set"].items() if one[0] == "instances"
    ]
    assert service[1]["in_use"] == 0
    decide(cloud, user, name)
    wait(lambda: statuses(cloud) == ["available"], "the volume is given back")
    is_whole(cloud, user, name)
    assert guests_of(cloud, server_id) == []


@pytest.mark.parametrize("begin", [an_active_server, a_server_with_a_volume])
def test_records_are_not_purged_while_a_silent_host_has_the_guest(cloud, user, begin):
    """It destroys the guest when it is back, by the record, and gives its volumes back: one that nobody knows would run for ever."""
    server_id = begin(user)
    name = name_of_host(cloud, server_id)
    falls_silent(cloud, name)
    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)
    volumes = len(statuses(cloud))

    assert purges(cloud) == 0

    answers_again(cloud, user, name)
    wait(lambda: guests_of(cloud, server_id) == [], "the guest is destroyed")
    wait(lambda: purges(cloud) == 1, "the host counts as up")
    assert statuses(cloud) == ["available"] * volumes


def test_records_are_not_purged_while_a_silent_host_has_what_moved_away(cloud, user):
    server_id = a_server_of_a_dead_host(user)
    [source] = guests_of(cloud, server_id)
    assert user.act(server_id, "evacuate", {}).status_code == 200
    user.wait(server_id, "SHUTOFF")
    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)

    assert purges(cloud) == 0

    answers_again(cloud, user, source)
    force_down(cloud, user, source, is_down=False)
    wait(lambda: guests_of(cloud, server_id) == [], "the guest is destroyed")
    wait(lambda: purges(cloud) == 1, "the host counts as up")


# What is done to a guest


def attaches(user):
    server_id = an_active_server(user)
    answers_are_lost(user.cloud, "attach_volume", "plug_in")
    assert attaches_a_volume(user, server_id).status_code == 202
    return server_id, "attach_volume", "unplug"


def swaps(user):
    server_id = a_server_with_a_volume(user)
    answers_are_lost(user.cloud, "swap_volume", "swap")
    assert swaps_a_volume(user, server_id).status_code == 202
    return server_id, "swap_volume", "swap_back"


@pytest.mark.parametrize("begin", [attaches, swaps])
def test_a_volume_that_a_silent_hosts_guest_may_hold_is_not_free(cloud, user, begin):
    server_id, call, undo = begin(user)
    name = name_of_host(cloud, server_id)
    falls_silent_with(cloud, name, lambda: (call, server_id) in cloud.hypervisor(name).calls)

    waits_for(cloud, user, server_id, undo)

    assert "available" not in statuses(cloud)
    answers_again(cloud, user, name)
    settle(cloud)
    assert statuses(cloud).count("available") == 1
    assert user.server(server_id)["status"] == "ACTIVE"
    is_whole(cloud, user, name)


@pytest.mark.parametrize("begin", [attaches, swaps])
def test_a_delete_leaves_what_the_guest_may_hold_to_the_host(cloud, user, begin):
    server_id, call, undo = begin(user)
    name = name_of_host(cloud, server_id)
    falls_silent_with(cloud, name, lambda: (call, server_id) in cloud.hypervisor(name).calls)
    waits_for(cloud, user, server_id, undo)

    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)

    assert "available" not in statuses(cloud)
    answers_again(cloud, user, name)
    settle(cloud)
    assert set(statuses(cloud)) == {"available"}
    is_whole(cloud, user, name)


def test_a_snapshot_is_undone_when_the_host_is_back(cloud, user):
    server_id = a_server_with_a_volume(user)
    name = name_of_host(cloud, server_id)
    answers_are_lost(cloud, "volume_snapshot_create", "switch_to_new_file")
    assert snapshots_a_volume(user, server_id).status_code == 200
    falls_silent_with(cloud, name, lambda: ("snapshot_volume", server_id) in cloud.hypervisor(name).calls)

    waits_for(cloud, user, server_id, "switch_back")

    [snapshot] = cloud.cinder.snapshots.values()
    assert snapshot["status"] == "creating"
    answers_again(cloud, user, name)
    settle(cloud)
    assert ("merge_volume_snapshot", server_id) in cloud.hypervisor(name).calls
    assert snapshot["status"] == "error"


def test_a_merge_that_is_done_while_nobody_hears_is_recorded_when_the_host_is_back(cloud, user):
    server_id = a_server_with_a_snapshot(user)
    name = name_of_host(cloud, server_id)
    answers_are_lost(cloud, "volume_snapshot_delete", "merge")
    assert merges_a_snapshot(user, server_id).status_code == 204
    falls_silent_with(cloud, name, lambda: ("merge_volume_snapshot", server_id) in cloud.hypervisor(name).calls)

    waits_for(cloud, user, server_id, "ask_for_file")

    assert user.act(server_id, "reboot", {"type": "HARD"}).status_code == 409
    answers_again(cloud, user, name)
    settle(cloud)
    assert [one["status"] for one in cloud.cinder.snapshots.values()] == ["error_deleting"]
    # The file the guest writes to is the one that the record names.
    is_whole(cloud, user, name)


def test_a_merge_that_ends_behind_its_deadline_is_recorded(cloud, user, monkeypatch):
    monkeypatch.setattr("nova.conductor.workflows.volume_snapshots._ASKS_FOR_S", 0.2)
    server_id = a_server_with_a_snapshot(user)
    host = cloud.hypervisor(name_of_host(cloud, server_id))
    host.hold("merge_volume_snapshot")
    assert merges_a_snapshot(user, server_id).status_code == 204
    wait(lambda: ("merge_volume_snapshot", server_id) in host.calls, "the host is merging")

    expire_operation(cloud, server_id)

    wait(lambda: len(tries(user, server_id, "ask_for_file")) > 8, "the host is asked again and again")
    host.release("merge_volume_snapshot")
    settle(cloud)
    assert [one["status"] for one in cloud.cinder.snapshots.values()] == ["error_deleting"]
    assert leftovers(cloud) == []


def test_a_merge_whose_guest_is_lost_does_not_wait_for_it(cloud, user):
    server_id = a_server_with_a_snapshot(user)
    host = cloud.hypervisor(name_of_host(cloud, server_id))
    host.fail("merge_volume_snapshot", errors.GuestNotFound(guest=server_id), times=1000)

    assert merges_a_snapshot(user, server_id).status_code == 204
    settle(cloud)

    assert [one["status"] for one in cloud.cinder.snapshots.values()] == ["error_deleting"]
    assert user.act(server_id, "reboot", {"type": "HARD"}).status_code == 202
    settle(cloud)


def expire_operation(cloud, server_id):
    """The deadline of what a server's operation waits for is over."""
    table = Operation.__table__
    running = update(table).where(table.c.active_key == server_id)
    past = utcnow() - timedelta(seconds=1)
    cloud.db.write(lambda c: c.execute(running.values(deadline_at=past, wake_at=past)))


def test_a_port_that_a_silent_hosts_guest_may_have_is_not_given_away(cloud, user):
    server_id = an_active_server(user)
    name = name_of_host(cloud, server_id)
    answers_are_lost(cloud, "attach_interface", "plug")
    asking = threading.Thread(target=attaches_an_interface, args=(user, server_id))
    asking.start()
    falls_silent_with(cloud, name, lambda: ("attach_vif", server_id) in cloud.hypervisor(name).calls)

    waits_for(cloud, user, server_id, "unplug")

    assert len(ports(user, server_id)) == 2
    answers_again(cloud, user, name)
    settle(cloud)
    asking.join()
    assert len(ports(user, server_id)) == 1
    is_whole(cloud, user, name)


def ports(user, server_id):
    ports = user.get("/v2.0/ports", url="http://network").json()["ports"]
    return [one for one in ports if one["device_id"] == server_id]


# Hosts that answer, and refuse


def builds_half(user):
    cloud = user.cloud
    for name in HOSTS:
        cloud.hypervisor(name).fail("boot")
        cloud.hypervisor(name).fail("destroy", times=1000)
    return begins_from_a_volume(user), "destroy", {"in-use"}


def swaps_half(user):
    server_id = a_server_with_a_volume(user)
    user.cloud.hypervisor(name_of_host(user.cloud, server_id)).fail("swap_volume", times=1000)
    assert swaps_a_volume(user, server_id).status_code == 202
    return server_id, "swap_back", {"in-use", "available"}


@pytest.mark.parametrize("begin", [swaps_half, builds_half])
def test_what_a_host_refuses_to_undo_is_given_to_nobody_else(cloud, user, begin):
    server_id, undo, finally_ = begin(user)
    tries_of_a_step = ATTACH_VOLUME.step("plug_in").retries + 1

    wait(lambda: len(tries(user, server_id, undo)) > 2 * tries_of_a_step, f"{undo} is tried again and again")

    assert "available" not in statuses(cloud)
    for name in HOSTS:
        cloud.hypervisor(name).mend()
    settle(cloud)
    assert set(statuses(cloud)) == finally_
    assert user.server(server_id)["status"] == "ACTIVE"
