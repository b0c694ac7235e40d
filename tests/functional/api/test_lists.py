"""What a list shows at the edges of its parameters."""

import pytest

from tests.functional.invariants import settle

PAGED = (
    "/servers",
    "/servers/detail",
    "/servers/SERVER/os-instance-actions",
    "/flavors",
    "/flavors/detail",
    "/os-keypairs",
    "/os-hypervisors",
    "/os-hypervisors/detail",
    "/os-migrations",
    "/os-server-groups",
    "/os-simple-tenant-usage",
    "/os-simple-tenant-usage/project",
)


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud()
    cloud.add_host()
    cloud.add_host("host-2")
    return cloud


@pytest.fixture(scope="module")
def admin(cloud):
    return cloud.client("admin", "project", version="2.90")


@pytest.fixture(scope="module")
def server_id(cloud, admin):
    """A server that has moved, beside one of everything else that is listed."""
    server_id, _ = (admin.create_server()["id"] for _ in range(2))
    assert admin.act(server_id, "migrate").status_code == 202
    settle(cloud)
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a"
    admin.post("/os-keypairs", {"keypair": {"name": "key", "type": "ssh", "public_key": key}})
    admin.post("/os-server-groups", {"server_group": {"name": "group", "policy": "affinity"}})
    return server_id


@pytest.mark.parametrize("path", PAGED)
def test_a_page_of_nothing_leads_nowhere(admin, server_id, path):
    path = path.replace("SERVER", server_id)

    whole, one, none = (admin.get(path, params=params) for params in ({}, {"limit": 1}, {"limit": 0}))

    assert any(whole.json().values()) and any(one.json().values())
    assert (none.status_code, [value for value in none.json().values() if isinstance(value, list) and value]) == (
        200,
        [],
    )
    assert "marker=" not in none.text


def test_no_month_is_before_the_first(admin):
    statuses = [
        admin.get(f"/os-instance_usage_audit_log/{month}-31T23:59:59Z").status_code for month in ("0001-01", "0001-03")
    ]

    assert statuses == [400, 200]


def test_an_empty_zone_is_that_of_every_host(cloud):
    old = cloud.client("admin", "project", version="2.1")

    every, empty, other = (old.get(f"/os-hosts{query}").json()["hosts"] for query in ("", "?zone=", "?zone=other"))

    assert (empty, other) == (every, [])
    assert [host["service"] for host in every].count("compute") == 2
