"""accessIPv4 and accessIPv6: an address has one spelling, however it was given."""

import pytest

GIVEN = "0000:0000:0000:0000:0000:babe:220.12.22.2"
SHOWN = "::babe:dc0c:1602"
MAPPED = "::FFFF:192.0.2.1"


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud()
    cloud.add_host()
    return cloud


@pytest.fixture(scope="module")
def admin(cloud):
    return cloud.client("admin", "project")


@pytest.fixture(scope="module")
def server(admin):
    return admin.create_server(accessIPv4="192.0.2.1", accessIPv6=GIVEN)


def test_a_server_shows_its_addresses_in_their_shortest_spelling(server):
    assert (server["accessIPv4"], server["accessIPv6"]) == ("192.0.2.1", SHOWN)


@pytest.mark.parametrize("spelling", [GIVEN, SHOWN, "::BABE:DC0C:1602"])
def test_a_server_is_found_by_any_spelling(admin, server, spelling):
    found = admin.get(f"/servers?access_ip_v6={spelling}").json()["servers"]

    assert [each["id"] for each in found] == [server["id"]]


def test_what_is_no_address_finds_nothing(admin, server):
    assert admin.get("/servers?access_ip_v6=babe").json()["servers"] == []


def test_an_address_that_is_changed_is_spelt_alike(cloud, admin):
    changed = admin.create_server(name="changed")

    answer = admin.put(f"/servers/{changed['id']}", {"server": {"accessIPv6": MAPPED}})
    assert answer.json()["server"]["accessIPv6"] == "::ffff:192.0.2.1"

    image = {"imageRef": changed["image"]["id"], "accessIPv6": GIVEN}
    admin.act(changed["id"], "rebuild", image)
    assert admin.wait(changed["id"], "ACTIVE")["accessIPv6"] == SHOWN
