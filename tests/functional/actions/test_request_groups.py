"""What a flavor asks for in numbered groups is given, each group by one part of the host, and explained where it is not."""

import pytest

from tests.functional.parts_of_hosts import PartsOfHosts


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud()
    cloud.add_host("host-1")
    cloud.add_host("host-2")
    return cloud


@pytest.fixture
def parts(cloud):
    return PartsOfHosts(cloud)


@pytest.fixture
def wish(admin):
    def wish(**extra_specs):
        body = {"extra_specs": {key.replace("__", ":"): value for key, value in extra_specs.items()}}
        assert admin.post("/flavors/m1.tiny/os-extra_specs", body).status_code == 200

    return wish


def host_of(admin, server):
    return admin.server(server["id"])["OS-EXT-SRV-ATTR:host"]


def test_a_server_gets_what_its_flavor_asks_for_from_the_part_that_has_it(cloud, parts, wish, admin, user):
    host = cloud.hosts["host-2"].name
    slow = parts.add(host, "slow", {"CUSTOM_CARD": 4}, ["CUSTOM_SLOW"])
    fast = parts.add(host, "fast", {"CUSTOM_CARD": 4}, ["CUSTOM_FAST"])
    wish(resources1__CUSTOM_CARD="2", trait1__CUSTOM_FAST="required", resources2__CUSTOM_CARD="1", group_policy="none")
    wish(trait2__CUSTOM_FAST="forbidden")

    server = user.create_server()

    assert host_of(admin, server) == host
    assert parts.held(server["id"]) == {fast: {"CUSTOM_CARD": 2}, slow: {"CUSTOM_CARD": 1}}
    user.delete(f"/servers/{server['id']}")
    user.wait_gone(server["id"])
    assert parts.held(server["id"]) == {}


def test_groups_that_are_isolated_are_given_by_different_parts(cloud, parts, wish, user):
    host = cloud.hosts["host-1"].name
    cards = {parts.add(host, name, {"CUSTOM_CARD": 4}) for name in ("left", "right")}
    wish(resources1__CUSTOM_CARD="1", resources2__CUSTOM_CARD="1", group_policy="isolate")

    server = user.create_server()

    assert parts.held(server["id"]) == {card: {"CUSTOM_CARD": 1} for card in cards}


def test_who_is_refused_reads_what_no_host_has(cloud, parts, wish, admin, user):
    parts.add(cloud.hosts["host-1"].name, "card", {"CUSTOM_CARD": 1})
    wish(resources1__CUSTOM_CARD="2")

    server = user.create_server(wait_for="ERROR")

    assert "lack CUSTOM_CARD (needs 2)" in server["fault"]["message"]


def test_a_server_that_moves_takes_its_groups_along(cloud, parts, wish, admin, user):
    cards = {host.name: parts.add(host.name, "card", {"CUSTOM_CARD": 1}) for host in cloud.hosts.values()}
    wish(resources1__CUSTOM_CARD="1")
    server = user.create_server()
    source = host_of(admin, server)

    assert admin.act(server["id"], "migrate").status_code == 202
    moved = user.wait(server["id"], "VERIFY_RESIZE")

    destination = host_of(admin, moved)
    assert destination != source
    assert parts.held(server["id"]) == {cards[destination]: {"CUSTOM_CARD": 1}}
    assert user.act(server["id"], "revertResize").status_code == 202
    user.wait(server["id"], "ACTIVE")
    assert parts.held(server["id"]) == {cards[source]: {"CUSTOM_CARD": 1}}


def test_the_scheduler_is_not_passed_over_where_parts_are_to_be_chosen(cloud, parts, wish, admin, user):
    for host in cloud.hosts.values():
        parts.add(host.name, "card", {"CUSTOM_CARD": 1})
    wish(resources1__CUSTOM_CARD="1")
    server = user.create_server()
    source = host_of(admin, server)
    [destination] = {host.name for host in cloud.hosts.values()} - {source}
    before = parts.held(server["id"])

    old = cloud.client("admin", "project", version="2.67")
    old.act(server["id"], "os-migrateLive", {"host": destination, "block_migration": "auto", "force": True})
    user.wait(server["id"], "ACTIVE")

    assert (host_of(admin, server), parts.held(server["id"])) == (source, before)
