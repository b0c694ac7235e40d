"""What a microversion changed in behaviour, rather than in fields: each at its version and at the one before."""

import pytest

from tests.functional.cloud import Cloud, make_templates, wait
from tests.functional.invariants import settle

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One cloud for all: nothing here changes what another test looks at."""
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), make_templates(tmp_path_factory.mktemp("templates")))
    cloud.start()
    cloud.glance.add("tiny")
    for name in ("host-1", "host-2"):
        cloud.add_host(name)
    admin = cloud.client("admin", "project")
    for name, ram in (("m1.tiny", 512), ("m1.small", 1024)):
        admin.post("/flavors", {"flavor": {"name": name, "ram": ram, "vcpus": 1, "disk": 1, "id": name}})
    unlimited = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
    assert admin.put("/os-quota-sets/project", unlimited).status_code == 200
    yield cloud
    cloud.stop()


@pytest.fixture
def admin(world):
    return world.client("admin", "project")


@pytest.fixture
def user(world):
    return world.client("user", "project")


@pytest.fixture
def ask(world):
    """The status a request has at each of some versions."""

    def at(versions, method, path, body=None, who="admin"):
        return [
            world.client(who, "project", version).request(method, path, body).status_code for version in versions
        ]  # fmt: skip

    return at


@pytest.fixture
def server(user):
    return user.create_server()["id"]


def after(user, server_id, name, status, argument=None):
    assert user.act(server_id, name, argument).status_code < 300
    return user.wait(server_id, status)["id"]


def boot_from_volume(user, **options):
    wanted = user.wanted(**options)
    del wanted["imageRef"]
    volume = user.cloud.cinder.add(bootable="true")
    device = {"boot_index": 0, "source_type": "volume", "destination_type": "volume", "uuid": volume}
    return user.post("/servers", {"server": {**wanted, "block_device_mapping_v2": [device]}})


@pytest.fixture
def from_volume(user):
    answer = boot_from_volume(user)
    return user.wait(answer.json()["server"]["id"], "ACTIVE")["id"]


def test_a_version_is_asked_for_and_told_in_either_header(world):
    old, new = "X-OpenStack-Nova-API-Version", "OpenStack-API-Version"
    client = world.client()
    del client.headers[new]

    plain = client.get("/servers")
    by_old = client.get("/servers", headers={old: "2.26"})
    by_new = client.get("/servers", headers={new: "compute 2.30"})
    latest = client.get("/servers", headers={new: "compute latest"})
    other = client.get("/servers", headers={new: "placement 1.30"})

    told = [(one.headers[old], one.headers[new]) for one in (plain, by_old, by_new, latest, other)]
    assert told == [(v, f"compute {v}") for v in ("2.1", "2.26", "2.30", "2.104", "2.1")]
    assert {old, new} <= {one.strip() for one in plain.headers["Vary"].split(",")}
    assert plain.headers["X-OpenStack-Request-ID"] == plain.headers["X-Compute-Request-ID"]


def test_2_7_a_public_flavor_is_nobodys_to_give(ask):
    body = {"addTenantAccess": {"tenant": "other"}}

    assert ask(("2.6", "2.7"), "POST", "/flavors/m1.tiny/action", body) == [200, 409]


def test_2_20_a_shelved_server_takes_volumes(world, user, server, ask):
    after(user, server, "shelve", "SHELVED_OFFLOADED")
    path = f"/servers/{server}/os-volume_attachments"
    volume = world.cinder.add()
    body = {"volumeAttachment": {"volumeId": volume}}

    assert ask(("2.19", "2.20"), "POST", path, body, "user") == [409, 200]
    settle(world)
    assert ask(("2.19", "2.20"), "DELETE", f"{path}/{volume}", None, "user") == [409, 202]


def test_2_21_a_deleted_servers_history_is_shown(user, server, ask):
    user.delete(f"/servers/{server}")
    user.wait_gone(server)

    assert ask(("2.20", "2.21"), "GET", f"/servers/{server}/os-instance-actions") == [404, 200]


def test_2_26_tags_have_their_limits_and_codes(user, server):
    path = f"/servers/{server}/tags"

    made, again = user.put(f"{path}/blue"), user.put(f"{path}/blue")
    assert (made.status_code, again.status_code) == (201, 204)
    assert made.headers["Location"].endswith(f"{path}/blue")
    assert [user.put(f"{path}/{tag}").status_code for tag in ("a,b", "x" * 61)] == [400, 400]
    assert user.put(path, {"tags": [str(n) for n in range(51)]}).status_code == 400
    assert user.put(path, {"tags": [str(n) for n in range(50)]}).status_code == 200
    assert user.put(f"{path}/one-more").status_code == 400
    assert [user.get(f"{path}/{tag}").status_code for tag in ("7", "none")] == [204, 404]
    assert user.delete(f"{path}/none").status_code == 404


def test_2_33_hypervisors_come_in_pages(ask):
    assert ask(("2.33", "2.53"), "GET", "/os-hypervisors?limit=-1") == [400, 400]
    assert ask(("2.33",), "GET", "/os-hypervisors?marker=99999") == [400]
    assert ask(("2.53",), "GET", f"/os-hypervisors?marker={UNKNOWN}") == [400]


def test_2_35_keypairs_are_sorted_and_come_in_pages(world, ask):
    user = world.client("pairs", "project", "2.35")
    for name in ("c", "a", "b"):
        user.post("/os-keypairs", {"keypair": {"name": name}})

    names = [one["keypair"]["name"] for one in user.get("/os-keypairs").json()["keypairs"]]
    page = user.get("/os-keypairs?limit=1&marker=a").json()
    assert names == ["a", "b", "c"]
    assert [one["keypair"]["name"] for one in page["keypairs"]] == ["b"]
    assert page["keypairs_links"][0]["rel"] == "next"
    assert user.get("/os-keypairs?marker=none").status_code == 400


@pytest.mark.parametrize("who", ["user", "admin"])
def test_2_38_an_unknown_status_is_an_error(ask, who):
    assert ask(("2.37", "2.38"), "GET", "/servers?status=nonsense", None, who) == [200, 400]


def test_2_39_an_images_metadata_is_no_quota_of_compute(world, user, server):
    many = {"createImage": {"name": "copy", "metadata": {str(n): "x" for n in range(129)}}}

    before = world.client(version="2.38").post(f"/servers/{server}/action", many).status_code
    after_ = world.client(version="2.39").post(f"/servers/{server}/action", many).status_code
    settle(world)

    assert (before, after_) == (403, 202)


def test_2_49_an_offloaded_server_takes_no_tagged_volume(world, user, server, ask):
    after(user, server, "shelve", "SHELVED_OFFLOADED")
    body = {"volumeAttachment": {"volumeId": world.cinder.add(), "tag": "disk"}}

    assert ask(("2.49",), "POST", f"/servers/{server}/os-volume_attachments", body, "user") == [400]


def test_2_51_owners_see_the_steps_without_their_tracebacks(world, admin, server):
    request_id = admin.get(f"/servers/{server}/os-instance-actions").json()["instanceActions"][0]["request_id"]
    path = f"/servers/{server}/os-instance-actions/{request_id}"

    shown = {
        version: world.client(version=version).get(path).json()["instanceAction"] for version in ("2.50", "2.51")
    }  # fmt: skip
    assert "events" not in shown["2.50"]
    assert shown["2.51"]["events"]
    assert "traceback" not in shown["2.51"]["events"][0]
    assert "traceback" in admin.get(path).json()["instanceAction"]["events"][0]


def test_2_53_services_and_hypervisors_are_uuids(ask):
    assert ask(("2.53",), "GET", "/os-hypervisors/1") == [400]
    assert ask(("2.53",), "DELETE", "/os-services/1") == [400]
    assert ask(("2.52", "2.53"), "GET", "/os-hypervisors?nonsense=1") == [200, 400]
    assert ask(("2.53",), "GET", "/os-hypervisors?hypervisor_hostname_pattern=host&limit=1") == [400]
    assert ask(("2.53",), "GET", "/os-hypervisors?hypervisor_hostname_pattern=nothing-like-it") == [404]


def test_2_54_a_rebuild_gives_or_takes_a_keypair(world, user, server):
    world.client(version="2.2").post("/os-keypairs", {"keypair": {"name": "new-key"}})
    image = next(iter(world.glance.images))

    given = user.act(server, "rebuild", {"imageRef": image, "key_name": "new-key"}).json()["server"]
    user.wait(server, "ACTIVE")
    taken = user.act(server, "rebuild", {"imageRef": image, "key_name": None}).json()["server"]
    user.wait(server, "ACTIVE")

    assert (given["key_name"], taken["key_name"]) == ("new-key", None)


@pytest.mark.parametrize("path, since", [("/servers/{}/os-instance-actions", 58), ("/os-migrations", 59)])
def test_2_58_and_2_59_lists_are_strict_and_paged(ask, server, path, since):
    path = path.format(server)
    versions = (f"2.{since - 1}", f"2.{since}")

    assert ask(versions, "GET", f"{path}?nonsense=1") == [200, 400]
    assert ask(versions[1:], "GET", f"{path}?marker={UNKNOWN}") in ([400], [404])
    assert ask(versions[1:], "GET", f"{path}?limit=-1") == [400]


def test_2_60_a_volume_for_many_is_attached_to_many(world, user, server, ask):
    volume = world.cinder.add(multiattach=True)
    body = {"volumeAttachment": {"volumeId": volume}}

    assert ask(("2.59", "2.60"), "POST", f"/servers/{server}/os-volume_attachments", body, "user") == [400, 200]


def test_2_63_certificates_that_nobody_checks_are_refused(user):
    answer = boot_from_volume(user, trusted_image_certificates=["0b5d2c72-12cc-4ba6-a8d7-3ff5cc1d8cb8"])

    assert answer.status_code == 400


def test_2_64_only_anti_affinity_has_a_number(user):
    group = {"name": "g", "rules": {"max_server_per_host": 3}}

    answers = [
        user.post("/os-server-groups", {"server_group": {**group, "policy": policy}}).status_code
        for policy in ("affinity", "anti-affinity")
    ]
    assert answers == [400, 200]


@pytest.mark.parametrize("path", ["/servers", "/servers/detail", "/servers/{}/os-instance-actions", "/os-migrations"])
def test_2_66_a_time_span_does_not_end_before_it_begins(ask, server, path):
    query = "?changes-since=2026-01-02T00:00:00Z&changes-before=2026-01-01T00:00:00Z"

    assert ask(("2.66",), "GET", path.format(server) + query) == [400]


def test_2_73_locked_servers_are_found_with_their_reason(user, server):
    user.act(server, "lock", {"locked_reason": "mine"})

    locked = {one["id"]: one for one in user.get("/servers/detail?locked=true").json()["servers"]}
    free = {one["id"] for one in user.get("/servers?locked=false").json()["servers"]}
    assert locked[server]["locked_reason"] == "mine"
    assert server not in free


def test_2_74_a_host_is_named_in_one_way_and_must_be_there(world, admin):
    host = world.hypervisor("host-1").name

    def named(**options):
        return admin.post("/servers", {"server": admin.wanted(**options)}).status_code

    assert named(host=host, availability_zone=f"nova:{host}") == 400
    assert named(host="no-such-host") == 400
    assert named(hypervisor_hostname="no-such-node") == 400
    assert world.client().post("/servers", {"server": admin.wanted(host=host)}).status_code == 403


def test_2_75_unknown_keys_are_errors(ask, server):
    body = {"server": {"name": "n"}}

    assert ask(("2.74", "2.75"), "GET", "/servers?nonsense=1", None, "user") == [200, 400]
    assert ask(("2.74", "2.75"), "GET", "/flavors?nonsense=1", None, "user") == [200, 400]
    assert ask(("2.75",), "PUT", f"/servers/{server}", {**body, "nonsense": 1}, "user") == [400]


def test_2_76_a_power_event_is_an_action_of_the_server(world, admin, server):
    event = {"name": "power-update", "tag": "POWER_OFF", "server_uuid": server, "status": "completed"}

    service = world.client("admin", "project", "2.76")
    answer = service.post("/os-server-external-events", {"events": [event]})
    assert answer.status_code in (200, 207), answer.text
    settle(world)

    actions = [one["action"] for one in admin.get(f"/servers/{server}/os-instance-actions").json()["instanceActions"]]
    old = world.client("admin", "project", "2.75").post("/os-server-external-events", {"events": [event]})
    assert actions[0] == "stop"
    assert old.status_code == 400


def test_2_77_a_zone_is_chosen_for_an_offloaded_server_alone(make_cloud):
    cloud = make_cloud("[DEFAULT]\nshelved_offload_time = -1\n")
    cloud.add_host()
    user = cloud.client(version="2.77")
    server = cloud.client().create_server()["id"]
    after(cloud.client(), server, "shelve", "SHELVED")

    assert user.act(server, "unshelve", {"availability_zone": "nova"}).status_code == 409
    assert user.act(server, "unshelve", {}).status_code == 400
    assert user.act(server, "unshelve").status_code == 202


@pytest.mark.parametrize("query, since", [("key_name=none", 83), ("vm_state=error", 83), ("hostname=none", 90)])
def test_2_83_and_2_90_owners_filter_by_what_was_for_administrators(world, server, query, since):
    def found(version):
        return len(world.client(version=f"2.{version}").get(f"/servers?{query}").json()["servers"])

    assert found(since - 1) > 0
    assert found(since) == 0


def test_2_84_a_failures_message_is_shown(world, user, admin, server):
    for name in ("host-1", "host-2"):
        if server in world.hypervisor(name).guests:
            world.hypervisor(name).fail("reboot", times=9)
    user.act(server, "reboot", {"type": "HARD"})
    settle(world)
    for name in ("host-1", "host-2"):
        world.hypervisor(name)._failures.clear()
    request_id = user.get(f"/servers/{server}/os-instance-actions").json()["instanceActions"][0]["request_id"]

    path = f"/servers/{server}/os-instance-actions/{request_id}"
    details = [one["details"] for one in admin.get(path).json()["instanceAction"]["events"]]
    assert any(details)
    old = world.client("admin", "project", "2.83").get(path).json()["instanceAction"]["events"]
    assert all("details" not in one for one in old)


def test_2_85_an_attachment_is_changed_in_its_flag_alone(world, user, server):
    volume = world.cinder.add()
    user.post(f"/servers/{server}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume}})
    settle(world)
    path = f"/servers/{server}/os-volume_attachments/{volume}"

    def change(**fields):
        body = {"volumeAttachment": {"volumeId": volume, "delete_on_termination": True, **fields}}
        return user.put(path, body).status_code

    assert change(device="/dev/other") == 400
    assert change(tag="other") == 400
    assert change(serverId=UNKNOWN) == 400
    assert change(device="/dev/vdb", serverId=server) == 202


def test_2_86_extra_specs_are_checked(ask, admin):
    path = "/flavors/m1.small/os-extra_specs"

    def made(key, value):
        return ask(("2.85", "2.86"), "POST", path, {"extra_specs": {key: value}})

    assert made("hw:numa_nodes", "many") == [200, 400]
    assert made("hw:no_such_thing", "1") == [200, 400]
    assert made("hw:cpu_policy", "dedicated") == [200, 200]
    assert made("of-my-own:key", "anything") == [200, 200]
    assert ask(("2.85", "2.86"), "PUT", f"{path}/hw:numa_nodes", {"hw:numa_nodes": "x"}) == [200, 400]
    for key in admin.get(path).json()["extra_specs"]:
        admin.delete(f"{path}/{key}")


def test_2_87_a_server_from_a_volume_may_be_rescued_where_its_host_can(world, from_volume, ask):
    action = f"/servers/{from_volume}/action"

    assert ask(("2.86",), "POST", action, {"rescue": None}, "user") == [400]


def test_2_90_a_host_name_is_given_to_one_server(user):
    wanted = user.wanted(hostname="a-host")

    assert user.post("/servers", {"server": {**wanted, "min_count": 2, "max_count": 2}}).status_code == 400
    assert user.post("/servers", {"server": {**wanted, "hostname": "no/name"}}).status_code == 400
    answer = user.post("/servers", {"server": {**wanted, "hostname": "a.host.example"}})
    assert answer.status_code == 202
    assert user.wait(answer.json()["server"]["id"], "ACTIVE")["OS-EXT-SRV-ATTR:hostname"] == "a.host.example"


def test_2_93_and_2_94_are_asked_for_by_version(world, from_volume, ask):
    rebuild = {"rebuild": {"imageRef": world.glance.add("newer")}}

    assert ask(("2.92", "2.93"), "POST", f"/servers/{from_volume}/action", rebuild, "user") == [400, 202]
    world.client().wait(from_volume, "ACTIVE")
    fqdn = {"server": {**world.client().wanted(), "hostname": "a.host.example"}}
    assert ask(("2.93", "2.94"), "POST", "/servers", fqdn, "user") == [400, 202]


def test_2_102_every_query_is_strict(ask, server):
    for path in (f"/servers/{server}", f"/servers/{server}/diagnostics", f"/servers/{server}/topology"):
        assert ask(("2.101", "2.102"), "GET", f"{path}?nonsense=1") == [200, 400]


def test_2_104_an_owner_pins_a_server_to_its_zone(world, user, server):
    def pin(zone):
        answer = user.put(f"/servers/{server}", {"server": {"pinned_availability_zone": zone}})
        return answer.status_code

    def pinned():
        return user.server(server)["pinned_availability_zone"]

    assert pin("elsewhere") == 409
    assert (pin("nova"), pinned()) == (200, "nova")
    assert pin("nova") == 200
    assert pin("elsewhere") == 409
    assert (pin(None), pinned()) == (200, None)


def test_2_65_a_migration_that_has_not_begun_can_be_given_up(world, admin, server):
    source = next(world.hypervisor(name) for name in world.hosts if server in world.hypervisor(name).guests)
    other = next(world.hypervisor(name) for name in world.hosts if server not in world.hypervisor(name).guests)
    other.hold("prepare_destination")
    try:
        admin.act(server, "os-migrateLive", {"host": None, "block_migration": "auto"})
        path = f"/servers/{server}/migrations"
        [migration] = wait(lambda: admin.get(path).json()["migrations"], "the migration is there")

        early = [
            world.client("admin", "project", version).delete(f"{path}/{migration['id']}").status_code
            for version in ("2.64", "2.65")
        ]
    finally:
        other.release("prepare_destination")
    settle(world)

    assert early == [400, 202]
    assert server in source.guests


def test_a_flavor_without_a_disk_is_for_administrators_and_volumes(admin, user):
    flavor = {"name": "no-disk", "id": "no-disk", "ram": 512, "vcpus": 1, "disk": 0}
    assert admin.post("/flavors", {"flavor": flavor}).status_code == 200

    by_user, by_admin = (who.post("/servers", {"server": who.wanted(flavor="no-disk")}) for who in (user, admin))
    from_volume = boot_from_volume(user, flavor="no-disk")

    assert (by_user.status_code, by_admin.status_code, from_volume.status_code) == (403, 202, 202)
