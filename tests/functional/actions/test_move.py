"""Live migration, evacuation and shelving: a server goes, and is the same where it comes to."""

import types

import pytest
from osc_lib.utils import wait_for_status

from nova.structs.context import Context
from nova.structs.instance import PowerState
from tests.functional.actions.history import history
from tests.functional.cloud import wait

pytestmark = pytest.mark.usefixtures("in_order")


@pytest.fixture
def hosts(cloud):
    return {name: cloud.add_host(name) for name in ("host-1", "host-2")}


@pytest.fixture
def server_id(cloud, user, hosts):
    return user.create_server()["id"]


def where(admin, server_id):
    return admin.server(server_id)["OS-EXT-SRV-ATTR:host"]


def source_of(hosts, server_id):
    return next(name for name, host in hosts.items() if server_id in host.guests)


def migrate_live(client, server_id, host=None, **options):
    return client.act(server_id, "os-migrateLive", {"host": host, "block_migration": "auto", **options})


def under_way(admin, server_id):
    return admin.get(f"/servers/{server_id}/migrations").json()["migrations"]


def test_a_running_server_goes_to_another_host_and_keeps_running(cloud, admin, user, hosts, server_id):
    source = source_of(hosts, server_id)

    assert migrate_live(admin, server_id).status_code == 202
    user.wait(server_id, "ACTIVE")

    other = next(name for name in hosts if name != source)
    assert where(admin, server_id) == hosts[other].name
    assert list(hosts[other].guests) == [server_id]
    assert hosts[source].guests == {}
    assert history(cloud, server_id)[0] == ("live-migration", "succeeded")


def test_a_live_migration_is_watched_and_brought_to_its_end(cloud, admin, user, hosts, server_id):
    host = hosts[source_of(hosts, server_id)]
    host.hold("migration")
    migrate_live(admin, server_id)
    wait(lambda: [one["memory_processed_bytes"] for one in under_way(admin, server_id)] == [256 << 20], "half is done")

    [migration] = under_way(admin, server_id)
    forced = admin.post(f"/servers/{server_id}/migrations/{migration['id']}/action", {"force_complete": None})
    user.wait(server_id, "ACTIVE")

    assert migration["status"] == "running"
    assert migration["source_compute"] == host.name
    assert forced.status_code == 202
    assert under_way(admin, server_id) == []
    assert where(admin, server_id) != host.name


def test_a_live_migration_that_is_given_up_leaves_the_server_where_it_was(cloud, admin, user, hosts, server_id):
    host = hosts[source_of(hosts, server_id)]
    host.hold("migration")
    migrate_live(admin, server_id)
    wait(lambda: any(one["memory_processed_bytes"] for one in under_way(admin, server_id)), "it runs")
    [migration] = under_way(admin, server_id)

    assert admin.delete(f"/servers/{server_id}/migrations/{migration['id']}").status_code == 202
    user.wait(server_id, "ACTIVE")

    assert where(admin, server_id) == host.name
    assert list(host.guests) == [server_id]
    found = cloud.conductor_calls.server_migration(Context(), server_id, str(migration["id"]))
    assert found.status == "cancelled"


def test_a_destination_that_cannot_be_prepared_is_left_alone(cloud, admin, user, hosts, server_id):
    source = source_of(hosts, server_id)
    other = hosts[next(name for name in hosts if name != source)]
    other.fail("prepare_destination")

    migrate_live(admin, server_id)
    user.wait(server_id, "ACTIVE")

    assert where(admin, server_id) == hosts[source].name
    assert other.guests == {}


@pytest.mark.parametrize("version, options", [("2.24", {"disk_over_commit": False, "block_migration": False}), ("2.30", {"force": True})])  # fmt: skip
def test_old_versions_name_their_host(cloud, hosts, server_id, version, options):
    admin = cloud.client("admin", "admin", version=version)
    source = source_of(hosts, server_id)
    other = hosts[next(name for name in hosts if name != source)].name

    answer = admin.act(server_id, "os-migrateLive", {"host": other, "block_migration": True, **options})

    assert answer.status_code == 202
    cloud.client().wait(server_id, "ACTIVE")


def test_only_a_dead_hosts_servers_are_evacuated(cloud, admin, hosts, server_id):
    assert admin.act(server_id, "evacuate", {}).status_code == 400


def test_a_dead_hosts_server_lives_on_elsewhere_and_stays_off(cloud, admin, user, hosts, server_id):
    source = source_of(hosts, server_id)
    force_down(cloud, admin, hosts[source].name, True)

    answer = admin.act(server_id, "evacuate", {})
    user.wait(server_id, "SHUTOFF")

    other = next(name for name in hosts if name != source)
    assert answer.status_code == 200
    assert where(admin, server_id) == hosts[other].name
    hosts[source].lose()


def test_before_2_95_an_evacuated_server_runs(cloud, user, hosts, server_id):
    admin = cloud.client("admin", "admin", version="2.13")
    source = source_of(hosts, server_id)
    force_down(cloud, cloud.client("admin", "admin"), hosts[source].name, True)

    answer = admin.act(server_id, "evacuate", {"onSharedStorage": False, "adminPass": "word"})
    user.wait(server_id, "ACTIVE")

    assert answer.json() == {"adminPass": "word"}
    hosts[source].lose()


def waited_for(client, server_id, *good):
    """What openstack's --wait says of an action, by its own way of asking."""
    return wait_for_status(
        lambda uuid: types.SimpleNamespace(status=client.server(uuid)["status"]),
        server_id,
        success_status=good,
        sleep_time=0.01,
    )


@pytest.mark.filterwarnings("ignore:This function is deprecated:DeprecationWarning")
@pytest.mark.parametrize("is_off", [False, True])
def test_a_client_that_waits_for_an_evacuation_is_told_when_it_fails(cloud, admin, user, hosts, server_id, is_off):
    if is_off:
        user.act(server_id, "os-stop")
        user.wait(server_id, "SHUTOFF")
    old = cloud.client("admin", "admin", version="2.94")
    source, other = source_of(hosts, server_id), next(name for name in hosts if name != source_of(hosts, server_id))
    cloud.stop_host(source)
    force_down(cloud, admin, hosts[source].name, True)
    hosts[other].fail("create")

    assert old.act(server_id, "evacuate", {}).status_code == 200
    assert not waited_for(old, server_id, "active", "shutoff" if is_off else "active")
    user.wait(server_id, "ERROR")
    assert [one["status"] for one in migrations_of(admin, server_id)] == ["failed"]

    assert old.act(server_id, "evacuate", {}).status_code == 200
    user.wait(server_id, "SHUTOFF" if is_off else "ACTIVE")
    assert where(admin, server_id) == hosts[other].name


@pytest.mark.filterwarnings("ignore:This function is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "action, argument, migration",
    [
        ("migrate", None, "finished"),
        ("os-migrateLive", {"host": None, "block_migration": "auto"}, "completed"),
    ],
)
def test_a_client_that_waits_for_a_move_is_told_when_it_is_over(
    cloud, admin, hosts, server_id, action, argument, migration
):
    before = where(admin, server_id)

    assert admin.act(server_id, action, argument).status_code == 202
    assert waited_for(admin, server_id, "active", "verify_resize")

    assert where(admin, server_id) != before
    wait(lambda: [one["status"] for one in migrations_of(admin, server_id)] == [migration], "the migration is over")


def migrations_of(admin, server_id):
    return admin.get(f"/os-migrations?instance_uuid={server_id}").json()["migrations"]


def force_down(cloud, admin, host, is_down):
    [service] = [one for one in admin.get("/os-services").json()["services"] if one["host"] == host]
    assert admin.put(f"/os-services/{service['id']}", {"forced_down": is_down}).status_code == 200


def test_a_shelved_server_needs_no_host_and_comes_back_as_it_was(cloud, admin, user, hosts, server_id):
    assert user.act(server_id, "shelve").status_code == 202
    user.wait(server_id, "SHELVED_OFFLOADED")

    [image] = [one for one in cloud.glance.images.values() if one["name"] == "one-shelved"]
    assert (where(admin, server_id), cloud.allocations(server_id)) == (None, {})
    assert not any(host.guests for host in hosts.values())
    assert (image["status"], image["owner"]) == ("active", "project")

    assert user.act(server_id, "unshelve").status_code == 202
    user.wait(server_id, "ACTIVE")

    assert cloud.guests()[server_id].spec.image.id == image["id"]
    assert image["id"] not in cloud.glance.images


@pytest.mark.parametrize("is_protected", [False, True])
def test_the_image_of_a_shelved_server_goes_with_it(cloud, user, hosts, server_id, is_protected):
    user.act(server_id, "shelve")
    user.wait(server_id, "SHELVED_OFFLOADED")
    [image] = [one for one in cloud.glance.images.values() if one["name"] == "one-shelved"]
    image["protected"] = is_protected

    assert user.delete(f"/servers/{server_id}").status_code == 204
    user.wait_gone(server_id)

    assert (image["id"] in cloud.glance.images) is is_protected


def test_a_shelved_server_goes_to_the_host_an_administrator_names(cloud, admin, user, hosts, server_id):
    user.act(server_id, "shelve")
    user.wait(server_id, "SHELVED_OFFLOADED")
    host = hosts["host-2"].name

    assert user.act(server_id, "unshelve", {"host": host}).status_code == 403
    assert user.act(server_id, "unshelve", {"availability_zone": "nowhere"}).status_code == 400
    assert admin.act(server_id, "unshelve", {"host": host}).status_code == 202
    user.wait(server_id, "ACTIVE")

    assert where(admin, server_id) == host


def test_an_image_that_cannot_be_made_leaves_the_server_running(cloud, user, hosts, server_id):
    hosts[source_of(hosts, server_id)].fail("snapshot")
    before = set(cloud.glance.images)

    user.act(server_id, "shelve")
    user.wait(server_id, "ACTIVE")

    assert cloud.guests()[server_id].power_state == PowerState.RUNNING
    assert set(cloud.glance.images) == before


def test_a_disk_that_the_image_service_did_not_get_whole_stays(cloud, user, hosts, server_id):
    cloud.write(server_id, "precious")
    cloud.glance.stores = lambda body: body[:4]
    before = set(cloud.glance.images)

    user.act(server_id, "shelve")
    user.wait(server_id, "ACTIVE")

    assert hosts[source_of(hosts, server_id)].shelf.content(server_id) == "precious"
    assert cloud.guests()[server_id].power_state == PowerState.RUNNING
    assert set(cloud.glance.images) == before


def test_a_disk_stays_when_its_image_is_another_than_its_host_has_sent(cloud, user, hosts, server_id):
    cloud.write(server_id, "precious")

    def change():
        [image] = [one for one in cloud.glance.images.values() if one["name"] == "one-shelved"]
        image["size"] = 4

    cloud.boundary.call_at("shelve", "upload_image", "committed", change)

    user.act(server_id, "shelve")
    user.wait(server_id, "ACTIVE")

    assert hosts[source_of(hosts, server_id)].shelf.content(server_id) == "precious"


def test_a_shelved_server_may_lie_on_its_host_until_it_is_offloaded(make_cloud):
    cloud = make_cloud("[DEFAULT]\nshelved_offload_time = -1\n")
    host = cloud.add_host()
    user, admin = cloud.client(), cloud.client("admin", "admin")
    server_id = user.create_server()["id"]
    user.act(server_id, "shelve")
    user.wait(server_id, "SHELVED")

    assert user.act(server_id, "unshelve", {"availability_zone": "nova"}).status_code == 409
    assert user.act(server_id, "unshelve").status_code == 202
    user.wait(server_id, "ACTIVE")
    user.act(server_id, "shelve")
    user.wait(server_id, "SHELVED")
    assert admin.act(server_id, "shelveOffload").status_code == 202
    user.wait(server_id, "SHELVED_OFFLOADED")

    assert host.guests == {}
