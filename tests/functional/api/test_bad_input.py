"""What no client should send: each gets a clear refusal, and nothing changes."""

import json

import pytest

BODIES = {
    "no JSON": b"{",
    "no object": b"[]",
    "nothing": b"",
    "null": b"null",
    "deep nesting": b'{"server": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a NUL": b'{"server": {"name": "a\\u0000b", "flavorRef": "1"}}',
    "half a surrogate": b'{"server": {"name": "\\ud800", "flavorRef": "1"}}',
    "a wrong type": b'{"server": {"name": 5, "flavorRef": "1", "networks": "none"}}',
    "an unknown key": b'{"server": {"name": "a", "flavorRef": "1", "networks": "none", "color": "red"}}',
    "a long name": json.dumps({"server": {"name": "a" * 256, "flavorRef": "1", "networks": "none"}}).encode(),
    "a blank name": b'{"server": {"name": " ", "flavorRef": "1", "networks": "none"}}',
    "a number of many digits": b'{"server": {"name": "a", "flavorRef": "1", "networks": "none", "min_count": "'
    + b"9" * 5000
    + b'"}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_bad_body_is_400_and_makes_nothing(cloud, body):
    user = cloud.client()

    answer = user.request("POST", "/servers", data=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert set(answer.json()) == {"badRequest"}
    assert len(answer.text) < 2000
    assert user.get("/servers").json()["servers"] == []


def test_a_huge_body_is_413_and_another_type_415(cloud):
    user = cloud.client()

    huge = user.request("POST", "/servers", data=b" " * (10 << 20))
    other = user.request("POST", "/servers", data=b"<server/>", headers={"Content-Type": "application/xml"})

    assert (huge.status_code, other.status_code) == (413, 415)


def test_what_is_not_routed_is_404_without_json(cloud):
    user = cloud.client()

    for method, path in (("GET", "/nothing"), ("PATCH", "/servers"), ("DELETE", "/flavors"), ("GET", "/")):
        answer = user.request(method, path, url="http://compute/v2.1" if path != "/" else "http://compute/v3")
        assert answer.status_code == 404
        assert not answer.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(
    "path", ["/servers/", "/os-volumes/", "/os-simple-tenant-usage/", "/flavors/m1.tiny/", "/project/servers/"]
)
def test_an_empty_id_is_404_and_not_the_list(cloud, path):
    admin = cloud.client("admin", "project", version="2.1")

    assert admin.get(path).status_code == 404
    assert admin.get(path.removesuffix("/")).status_code == 200


def test_versions_are_checked_before_anything_else(cloud):
    user = cloud.client()

    def status(version):
        return user.get("/servers", headers={"OpenStack-API-Version": f"compute {version}"}).status_code

    assert [status(v) for v in ("2.1", "latest", "2.105", "3.1", "two", "2.01")] == [200, 200, 406, 406, 400, 400]


def test_another_projects_server_is_not_there(cloud):
    cloud.add_host()
    server = cloud.client().create_server()
    stranger = cloud.client("stranger", "elsewhere")

    answers = [
        stranger.get(f"/servers/{server['id']}"),
        stranger.delete(f"/servers/{server['id']}"),
        stranger.act(server["id"], "os-stop"),
        stranger.get(f"/servers/{server['id']}/metadata"),
    ]

    assert {answer.status_code for answer in answers} == {404}


def test_what_another_project_has_is_not_there(cloud):
    """Neither found nor forbidden, which would betray it."""
    owner, stranger = cloud.client(version="2.1"), cloud.client("stranger", "elsewhere", version="2.1")
    group = {"server_group": {"name": "apart", "policies": ["anti-affinity"]}}
    rules = {"security_group": {"name": "web", "description": "web"}}
    paths = [
        f"/os-server-groups/{owner.post('/os-server-groups', group).json()['server_group']['id']}",
        f"/os-security-groups/{owner.post('/os-security-groups', rules).json()['security_group']['id']}",
        f"/images/{cloud.glance.add('theirs', visibility='private', owner='project')}",
        f"/os-keypairs/{owner.post('/os-keypairs', {'keypair': {'name': 'mine'}}).json()['keypair']['name']}",
    ]

    answers = {path: (stranger.get(path).status_code, stranger.delete(path).status_code) for path in paths}

    assert answers == dict.fromkeys(paths, (404, 404))
    assert {owner.get(path).status_code for path in paths} == {200}


def test_strange_paths_and_queries_are_no_defects(cloud):
    user = cloud.client()

    for path in ("/servers/%00", "/servers/%ff%fe", "/servers/" + "a" * 5000, "/servers?name=%00", "/servers?name=(",
                 "/servers?limit=-1", "/servers?limit=99999999999999999999", "/servers?marker=x", "/flavors?minRam=x",
                 "/servers?changes-since=never", "/os-aggregates/" + "9" * 40):  # fmt: skip
        assert user.get(path).status_code in (400, 403, 404), path


def test_a_time_out_of_range_is_a_bad_request(cloud):
    cloud.add_host("host-1")
    admin = cloud.client("admin", "admin")
    server = admin.create_server()["id"]
    paths = ("/servers?changes-since=", "/servers?changes-before=", "/servers?created_at=", "/os-migrations?changes-since=",
             "/os-migrations?changes-before=", f"/servers/{server}/os-instance-actions?changes-since=")  # fmt: skip

    for time in ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00%2B14:00", "99999-01-01T00:00:00Z", "2026-02-30"):
        assert {path: admin.get(path + time).status_code for path in paths} == dict.fromkeys(paths, 400), time


def test_a_time_without_a_zone_is_utc(cloud):
    cloud.add_host("host-1")
    admin = cloud.client("admin", "admin")
    admin.create_server()
    updated = admin.get("/servers/detail").json()["servers"][0]["updated"]

    for shape in (updated, updated.removesuffix("Z"), updated.replace("Z", "%2B00:00")):
        assert len(admin.get(f"/servers?changes-since={shape}").json()["servers"]) == 1, shape
    assert admin.get(f"/servers?changes-since={updated.replace('Z', '-01:00')}").json()["servers"] == []


def test_an_aggregate_is_not_found_by_what_is_no_number(cloud):
    admin = cloud.client("admin", "admin")

    for number in ("-1", "x", "1.5", "9" * 40):
        path = f"/os-aggregates/{number}"
        add = {"add_host": {"host": "host-1"}}
        codes = {
            admin.get(path).status_code,
            admin.delete(path).status_code,
            admin.post(f"{path}/action", add).status_code,
        }
        assert codes == {404}, number


def test_what_a_server_is_to_be_made_of_and_is_not_there_is_a_bad_request(cloud):
    cloud.add_host("host-1")
    user = cloud.client()
    server = user.create_server()["id"]
    shown = user.server(server)
    wanted = {"name": "one", "imageRef": shown["image"]["id"], "flavorRef": "m1.tiny", "networks": "none"}
    cases = {
        "Flavor nope could not be found.": {"flavorRef": "nope"},
        "The requested availability zone is not available": {"availability_zone": "nope"},
        "Invalid key_name provided.": {"key_name": "nope"},
    }

    answers = {text: user.post("/servers", {"server": wanted | change}) for text, change in cases.items()}
    user.act(server, "shelve")
    user.wait(server, "SHELVED_OFFLOADED")
    moved = user.act(server, "unshelve", {"availability_zone": "nope"})

    assert {text: answer.status_code for text, answer in answers.items()} == dict.fromkeys(cases, 400)
    assert all(text in answer.text for text, answer in answers.items())
    assert (moved.status_code, user.server(server)["status"]) == (400, "SHELVED_OFFLOADED")
    assert len(user.get("/servers").json()["servers"]) == 1


@pytest.mark.parametrize(
    "name, value",
    [
        ("img_config_drive", "maybe"),
        ("hw_disk_bus", "zz"),
        ("hw_vif_model", ""),
        ("hw_cpu_cores", "-1"),
        ("hw_qemu_guest_agent", "maybe"),
        ("os_type", "plan9"),
        ("hw_usb_model", "usb4"),
        ("hw_virtio_packed_ring", "perhaps"),
    ],
)
def test_an_image_property_that_means_nothing_is_a_bad_request(cloud, name, value):
    user = cloud.client()
    image = cloud.glance.add("strange", **{name: value})
    wanted = {"name": "one", "imageRef": image, "flavorRef": "m1.tiny", "networks": "none"}

    answer = user.post("/servers", {"server": wanted})

    assert answer.status_code == 400
    assert f"{name}={value}" in answer.text


def test_an_image_that_needs_a_config_drive_has_one(cloud):
    cloud.add_host("host-1")
    user = cloud.client()
    for value, has_drive in (("mandatory", "True"), ("Mandatory", "True"), ("optional", "")):
        image = cloud.glance.add(f"image {value}", img_config_drive=value)

        made = user.create_server(image=image)

        assert user.server(made["id"])["config_drive"] == has_drive, value


def test_a_zone_that_an_aggregate_makes_may_be_asked_for(cloud):
    cloud.add_host("host-1")
    admin = cloud.client("admin", "admin")
    admin.post("/os-aggregates", {"aggregate": {"name": "rack", "availability_zone": "rack-1"}})
    image = admin.server(admin.create_server()["id"])["image"]["id"]
    wanted = {"name": "one", "imageRef": image, "flavorRef": "m1.tiny", "networks": "none"}

    for zone in ("rack-1", "nova"):
        assert admin.post("/servers", {"server": wanted | {"availability_zone": zone}}).status_code == 202, zone


def test_the_legacy_root_lets_unknown_keys_through(cloud):
    admin = cloud.client("admin", "admin")
    flavor = {"flavor": {"name": "old", "ram": 1, "vcpus": 1, "disk": 1, "color": "red"}}

    strict = admin.post("/flavors", flavor)
    relaxed = admin.post("/flavors", flavor, url="http://compute/v2")

    assert (strict.status_code, relaxed.status_code) == (400, 200)
    assert "OpenStack-API-Version" not in relaxed.headers
