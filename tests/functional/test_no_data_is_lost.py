"""What a guest wrote last is where the record says, once, whatever becomes of hosts and moves."""

import copy

import pytest

from nova import errors
from nova.db import instance_actions, operations
from nova.structs.instance import PowerState
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle

SETTINGS = """
[conductor]
lease_s = 0.6
poll_interval_s = 0.1
step_pauses_s = 0.01
"""


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud(SETTINGS)
    for name in ("host-1", "host-2"):
        cloud.add_host(name)
    return cloud


@pytest.fixture
def admin(cloud):
    return cloud.client("admin", "admin")


@pytest.fixture
def server_id(cloud, user):
    server_id = user.create_server()["id"]
    cloud.write(server_id, "first")
    return server_id


def host_of(cloud, server_id):
    return next(name for name in cloud.hosts if server_id in cloud.hypervisor(name).guests)


def force_down(cloud, admin, name, is_down=True):
    host = cloud.hypervisor(name).name
    [service] = [one for one in admin.get("/os-services").json()["services"] if one["host"] == host]
    assert admin.put(f"/os-services/{service['id']}", {"forced_down": is_down}).status_code == 200


def evacuate(cloud, admin, server_id, expect="SHUTOFF"):
    """The server's host dies, and the server lives on elsewhere; the dead host's name."""
    dead = host_of(cloud, server_id)
    cloud.stop_host(dead)
    cloud.hypervisor(dead).crash()
    force_down(cloud, admin, dead)
    assert admin.act(server_id, "evacuate", {}).status_code == 200
    admin.wait(server_id, expect)
    return dead


def come_back(cloud, admin, name):
    force_down(cloud, admin, name, False)
    cloud.start_host(name)


def start_and_write(cloud, user, server_id, content):
    assert user.act(server_id, "os-start").status_code == 202
    user.wait(server_id, "ACTIVE")
    cloud.write(server_id, content)


def share_storage(cloud, *names):
    for name in names[1:]:
        cloud.hypervisor(name).shelf = cloud.hypervisor(names[0]).shelf


def move_back(user, admin, server_id, how):
    if how == "live":
        assert admin.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"}).status_code == 202
    else:
        assert admin.act(server_id, "migrate").status_code == 202
        user.wait(server_id, "VERIFY_RESIZE")
        assert user.act(server_id, "confirmResize").status_code == 204
    user.wait(server_id, "ACTIVE")


@pytest.mark.parametrize("how", ["live", "cold"])
@pytest.mark.parametrize("is_cleaned", [True, False], ids=["cleaned", "not-cleaned"])
def test_a_server_that_comes_home_has_what_it_wrote_while_away(cloud, user, admin, server_id, how, is_cleaned):
    dead = evacuate(cloud, admin, server_id)
    left = copy.deepcopy(cloud.hypervisor(dead).shelf.directories)
    start_and_write(cloud, user, server_id, "second")
    come_back(cloud, admin, dead)
    wait(lambda: server_id not in cloud.hypervisor(dead).shelf.directories, "the left-over is gone")
    if not is_cleaned:
        # As if the host had not been able to, when the server comes.
        cloud.hypervisor(dead).shelf.directories.update(left)

    move_back(user, admin, server_id, how)

    assert host_of(cloud, server_id) == dead
    assert cloud.hypervisor(dead).shelf.content(server_id) == "second"
    cloud.hosts[dead].agent._reap()
    assert leftovers(cloud) == []


def test_old_disks_stay_while_nobody_has_the_new_ones(cloud, user, admin, server_id):
    dead = evacuate(cloud, admin, server_id)
    other = host_of(cloud, server_id)
    cloud.stop_host(other)
    force_down(cloud, admin, other)

    come_back(cloud, admin, dead)
    cloud.hosts[dead].agent._reap()

    assert cloud.hypervisor(dead).shelf.content(server_id) == "first"


def test_a_guest_stays_that_may_be_the_only_one(cloud, user, admin, server_id):
    dead = evacuate(cloud, admin, server_id)
    other = cloud.hypervisor(host_of(cloud, server_id))
    other.guests.clear()

    come_back(cloud, admin, dead)
    cloud.hosts[dead].agent._reap()

    assert server_id in cloud.hypervisor(dead).guests


def test_on_shared_storage_an_evacuated_server_keeps_its_disk(cloud, user, admin, server_id):
    source = host_of(cloud, server_id)
    share_storage(cloud, source, next(name for name in cloud.hosts if name != source))

    dead = evacuate(cloud, admin, server_id)
    come_back(cloud, admin, dead)

    assert dead == source
    wait(lambda: cloud.hypervisor(dead).guests == {}, "the old guest is gone")
    assert leftovers(cloud) == []


def test_an_evacuation_that_fails_on_shared_storage_leaves_the_only_disk(cloud, user, admin, server_id):
    source = host_of(cloud, server_id)
    other = next(name for name in cloud.hosts if name != source)
    share_storage(cloud, source, other)
    cloud.hypervisor(other).fail("boot")
    cloud.stop_host(source)
    force_down(cloud, admin, source)
    admin.act(server_id, "evacuate", {})
    settle(cloud)
    assert cloud.hypervisor(source).shelf.content(server_id) == "first"

    assert admin.act(server_id, "evacuate", {}).status_code == 200
    admin.wait(server_id, "SHUTOFF")

    assert host_of(cloud, server_id) == other
    assert leftovers(cloud) == []


def breaks_a_move(cloud, admin, server_id, source, other):
    """A migration puts the disk aside, its source dies, and the destination cannot take it over."""

    def dies():
        cloud.stop_host(source)
        cloud.hypervisor(source).crash()
        force_down(cloud, admin, source)

    cloud.hypervisor(other).fail("take_over")
    cloud.boundary.call_at("migrate", "set_aside", "committed", dies)
    assert admin.act(server_id, "migrate").status_code == 202
    settle(cloud)
    assert cloud.hypervisor(source).shelf.content(f"{server_id}.aside") == "first"


@pytest.mark.parametrize("fails_first", [False, True], ids=["at-once", "after-one-that-failed"])
def test_on_shared_storage_an_evacuation_finds_the_disk_that_a_broken_move_has_put_aside(
    cloud, user, admin, server_id, fails_first
):
    source = host_of(cloud, server_id)
    other = next(name for name in cloud.hosts if name != source)
    share_storage(cloud, source, other)
    breaks_a_move(cloud, admin, server_id, source, other)
    if fails_first:
        cloud.hypervisor(other).fail("boot")
        admin.act(server_id, "evacuate", {})
        settle(cloud)
        assert cloud.hypervisor(other).shelf.content(f"{server_id}.aside") == "first"

    assert admin.act(server_id, "evacuate", {}).status_code == 200
    admin.wait(server_id, "SHUTOFF")
    assert cloud.hypervisor(other).shelf.content(server_id) == "first"
    start_and_write(cloud, user, server_id, "second")
    come_back(cloud, admin, source)
    cloud.reap()

    assert list(cloud.guests()) == [server_id]
    assert host_of(cloud, server_id) == other
    assert cloud.hypervisor(other).shelf.names() == [server_id]
    assert cloud.hypervisor(other).shelf.content(server_id) == "second"


def test_a_server_whose_move_broke_is_in_error_until_its_guest_is_made_again(cloud, user, admin, server_id):
    source = host_of(cloud, server_id)
    other = next(name for name in cloud.hosts if name != source)
    breaks_a_move(cloud, admin, server_id, source, other)
    assert user.server(server_id)["status"] == "ACTIVE"

    come_back(cloud, admin, source)
    server = user.wait(server_id, "ERROR")

    assert "has no guest" in server["fault"]["message"]
    assert user.act(server_id, "reboot", {"type": "HARD"}).status_code == 202
    user.wait(server_id, "ACTIVE")
    assert cloud.hypervisor(source).shelf.content(server_id) == "first"


def test_a_guest_that_is_there_again_is_not_missed(cloud, user, server_id):
    """Its host told of it before the guest was made."""
    name = host_of(cloud, server_id)

    cloud.conductor_calls.report_missing_guests(cloud.hypervisor(name).name, [server_id])

    assert user.server(server_id)["status"] == "ACTIVE"


@pytest.mark.parametrize("is_at_work", [True, False])
def test_a_server_that_nobody_says_to_run_is_not_missed(cloud, user, server_id, is_at_work):
    """It is stopped, and starts on its disks; or what is being done to it will tell."""
    hypervisor = cloud.hypervisor(host_of(cloud, server_id))
    hypervisor.hold("set_power")
    user.act(server_id, "os-stop")
    if not is_at_work:
        hypervisor.release("set_power")
        user.wait(server_id, "SHUTOFF")
    guest = hypervisor.guests.pop(server_id)

    cloud.conductor_calls.report_missing_guests(hypervisor.name, [server_id])

    assert user.server(server_id)["status"] == ("ACTIVE" if is_at_work else "SHUTOFF")
    hypervisor.guests[server_id] = guest
    if is_at_work:
        hypervisor.release("set_power")
    user.wait(server_id, "SHUTOFF")


def test_a_spawn_that_is_undone_on_shared_storage_leaves_the_only_disk(cloud, user, admin, server_id):
    """The guest was made, and the operation broke off behind it."""
    source = host_of(cloud, server_id)
    other = next(name for name in cloud.hosts if name != source)
    share_storage(cloud, source, other)
    cloud.stop_host(source)
    force_down(cloud, admin, source)
    # Lost with its answer: what is asked for is undone though it was done.
    driver = cloud.hypervisor(other)
    real, driver.called = driver.called, lambda method, uuid: (_ for _ in ()).throw(errors.GuestFailed(reason="late")) if method == "set_power" else real(method, uuid)  # fmt: skip

    admin.act(server_id, "evacuate", {})
    settle(cloud, 60)
    driver.called = real

    assert driver.shelf.content(server_id) == "first"


def test_a_guest_that_arrived_lives_on_though_its_source_died(cloud, user, admin, server_id):
    source = host_of(cloud, server_id)
    other = next(name for name in cloud.hosts if name != source)
    cloud.hypervisor(source).hold("switch-over")
    admin.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})
    wait(lambda: server_id in cloud.hypervisor(other).guests, "the guest has arrived")

    force_down(cloud, admin, source)
    user.wait(server_id, "ACTIVE")
    cloud.hypervisor(source).release("switch-over")
    force_down(cloud, admin, source, False)
    for name in cloud.hosts:
        cloud.hosts[name].agent._reap()

    assert admin.server(server_id)["OS-EXT-SRV-ATTR:host"] == cloud.hypervisor(other).name
    assert cloud.hypervisor(other).guests[server_id].power_state is PowerState.RUNNING
    assert leftovers(cloud) == []


def test_a_guest_that_had_not_left_its_dying_source_stays_its(cloud, user, admin, server_id):
    source = host_of(cloud, server_id)
    other = next(name for name in cloud.hosts if name != source)
    cloud.hypervisor(source).hold("migrate")
    admin.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})
    wait(lambda: ("migrate", server_id) in cloud.hypervisor(source).calls, "it is under way")

    force_down(cloud, admin, source)
    settle(cloud)

    assert admin.server(server_id)["OS-EXT-SRV-ATTR:host"] == cloud.hypervisor(source).name
    assert cloud.hypervisor(other).shelf.names() == []
    cloud.hypervisor(source).fail("switch-over")
    cloud.hypervisor(source).release("migrate")


@pytest.mark.parametrize("what", ["reset", "delete"])
def test_a_migration_that_is_to_make_way_goes_forward_when_its_guest_has_arrived(cloud, admin, server_id, what):
    source = host_of(cloud, server_id)
    other = next(name for name in cloud.hosts if name != source)
    cloud.hypervisor(source).hold("switch-over")
    admin.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})
    wait(lambda: server_id in cloud.hypervisor(other).guests, "the guest has arrived")

    if what == "reset":
        admin.act(server_id, "os-resetState", {"state": "active"})
    else:
        admin.delete(f"/servers/{server_id}")
    there = cloud.hypervisor(other).name
    wait(lambda: admin.server(server_id)["OS-EXT-SRV-ATTR:host"] == there, "the record says so")
    cloud.hypervisor(source).release("switch-over")
    settle(cloud)

    if what == "reset":
        assert admin.server(server_id)["OS-EXT-SRV-ATTR:host"] == there
        assert list(cloud.guests()) == [server_id]
    else:
        assert list(cloud.guests()) == []


def test_a_migration_is_not_undone_between_the_arrival_and_what_follows_it(cloud, admin, server_id):
    source = host_of(cloud, server_id)
    other = next(name for name in cloud.hosts if name != source)
    cloud.boundary.call_at(
        "live-migration",
        "migrate_guest",
        "committed",
        lambda: admin.act(server_id, "os-resetState", {"state": "active"}),
    )

    admin.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})
    settle(cloud)

    assert admin.server(server_id)["OS-EXT-SRV-ATTR:host"] == cloud.hypervisor(other).name
    assert list(cloud.guests()) == [server_id]


def test_a_copy_on_the_destination_ends_when_the_source_says_that_the_guest_stays(cloud, user, admin, server_id):
    source = host_of(cloud, server_id)
    other = next(name for name in cloud.hosts if name != source)
    cloud.hypervisor(source).hold("migrate")
    cloud.hypervisor(source).fail("migrate", errors.GuestStays(reason="libvirtd died at the switch-over"))
    admin.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})
    wait(lambda: ("migrate", server_id) in cloud.hypervisor(source).calls, "it is under way")
    cloud.hypervisor(other).guests[server_id] = cloud.hypervisor(source).guests[server_id]

    cloud.hypervisor(source).release("migrate")
    settle(cloud)

    assert admin.server(server_id)["OS-EXT-SRV-ATTR:host"] == cloud.hypervisor(source).name
    assert cloud.hypervisor(other).guests == {}
    assert leftovers(cloud) == []


def test_a_migration_waits_while_neither_host_tells_where_the_guest_is(cloud, user, admin, server_id):
    source = host_of(cloud, server_id)
    other = next(name for name in cloud.hosts if name != source)
    cloud.hypervisor(source).hold("switch-over")
    admin.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})
    wait(lambda: server_id in cloud.hypervisor(other).guests, "the guest has arrived")
    force_down(cloud, admin, other)
    force_down(cloud, admin, source)
    active = cloud.db.read(lambda c: operations.active(c, server_id))
    wait(
        lambda: cloud.db.read(lambda c: instance_actions.failures(c, active.uuid, "migrate_guest")) > 2,
        "it is asked again",
    )
    force_down(cloud, admin, other, False)
    user.wait(server_id, "ACTIVE")
    cloud.hypervisor(source).release("switch-over")

    assert admin.server(server_id)["OS-EXT-SRV-ATTR:host"] == cloud.hypervisor(other).name


def test_a_migration_of_which_nobody_tells_can_be_given_up(cloud, user, admin, server_id):
    source = host_of(cloud, server_id)
    other = next(name for name in cloud.hosts if name != source)
    cloud.hypervisor(source).hold("migrate")
    cloud.hypervisor(source).fail("switch-over")
    admin.act(server_id, "os-migrateLive", {"host": None, "block_migration": "auto"})
    wait(lambda: ("migrate", server_id) in cloud.hypervisor(source).calls, "it is under way")
    force_down(cloud, admin, other)
    force_down(cloud, admin, source)
    active = cloud.db.read(lambda c: operations.active(c, server_id))
    wait(
        lambda: cloud.db.read(lambda c: instance_actions.failures(c, active.uuid, "migrate_guest")) > 2,
        "it is asked again",
    )
    [migration] = admin.get(f"/servers/{server_id}/migrations").json()["migrations"]

    assert admin.delete(f"/servers/{server_id}/migrations/{migration['id']}").status_code == 202
    settle(cloud)

    assert admin.server(server_id)["OS-EXT-SRV-ATTR:host"] == cloud.hypervisor(source).name
    assert admin.server(server_id)["OS-EXT-STS:task_state"] is None
    cloud.hypervisor(source).release("migrate")


@pytest.mark.parametrize("how", ["reboot", "start"])
def test_a_server_whose_disk_is_gone_is_in_error_and_says_so(cloud, user, admin, server_id, how):
    hypervisor = cloud.hypervisor(host_of(cloud, server_id))
    if how == "start":
        user.act(server_id, "os-stop")
        user.wait(server_id, "SHUTOFF")
        hypervisor.guests.clear()
    hypervisor.shelf.directories[server_id].content = None
    member = cloud.client()

    if how == "start":
        user.act(server_id, "os-start")
    else:
        user.act(server_id, "reboot", {"type": "HARD"})
    user.wait(server_id, "ERROR")

    fault = member.server(server_id)["fault"]
    assert "disk is missing" in fault["message"]
    assert "details" not in fault
    assert f"{server_id}/disk" in admin.server(server_id)["fault"]["details"]
    assert hypervisor.shelf.content(server_id) is None


def test_a_disk_of_another_placement_is_not_booted(cloud, user, admin, server_id):
    hypervisor = cloud.hypervisor(host_of(cloud, server_id))
    mark = hypervisor.shelf.directories[server_id].mark
    hypervisor.shelf.directories[server_id].mark = type(mark)(
        server=server_id, made_by=type(mark.made_by)(generation=7, host="elsewhere")
    )

    user.act(server_id, "reboot", {"type": "HARD"})
    user.wait(server_id, "ERROR")

    assert hypervisor.shelf.content(server_id) == "first"


def test_disks_of_an_older_release_are_the_servers_that_lives_there(cloud, user, server_id):
    name = host_of(cloud, server_id)
    cloud.hypervisor(name).shelf.directories[server_id].mark = None
    cloud.stop_host(name)

    cloud.start_host(name)
    wait(lambda: cloud.hypervisor(name).shelf.directories[server_id].mark, "they are marked")
    user.act(server_id, "reboot", {"type": "HARD"})
    user.wait(server_id, "ACTIVE")

    assert leftovers(cloud) == []


def test_disks_an_older_release_brought_are_marked_while_their_guest_runs(cloud, user, server_id):
    """It left the mark of the host that had them before, on storage that both see."""
    name = host_of(cloud, server_id)
    directory = cloud.hypervisor(name).shelf.directories[server_id]
    ours = directory.mark
    directory.mark = type(ours)(server=server_id, made_by=type(ours.made_by)(generation=0, host="elsewhere"))

    cloud.hosts[name].agent._reap()

    assert directory.mark == ours


def test_disks_of_servers_nobody_knows_stay(cloud, user, server_id):
    name = host_of(cloud, server_id)
    shelf = cloud.hypervisor(name).shelf
    stranger = "6f70656e-0000-4000-8000-000000000001"
    shelf.directories[stranger] = copy.deepcopy(shelf.directories[server_id])

    cloud.hosts[name].agent._reap()

    assert shelf.content(stranger) == "first"
    assert cloud.guests()[server_id].power_state is PowerState.RUNNING
