"""Filters of a list of servers: patterns, found anywhere in a text, alike over every database."""

import pytest


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud()
    cloud.add_host()
    return cloud


@pytest.fixture(scope="module")
def admin(cloud):
    """An administrator with three servers: web-1, web-2 and db, of which the last has an image with a kernel."""
    admin = cloud.client("admin", "project")
    parts = {name: cloud.glance.add(name, disk_format=name, container_format=name) for name in ("aki", "ari")}
    image = cloud.glance.add("with a kernel", kernel_id=parts["aki"], ramdisk_id=parts["ari"])
    admin.create_server(name="web-1", hostname="web-1", description="Front end, first")
    admin.create_server(
        name="web-2", hostname="web-2", description="Front end, second", **{"OS-DCF:diskConfig": "AUTO"}
    )
    admin.create_server(name="db", hostname="db", image=image, **{"OS-DCF:diskConfig": "MANUAL"})
    return admin


def listed(client, query):
    answer = client.get(f"/servers?{query}&sort_key=display_name&sort_dir=asc")
    assert answer.status_code == 200, answer.text
    return " ".join(server["name"] for server in answer.json()["servers"])


@pytest.mark.parametrize(
    "query, names",
    [
        ("hostname=web", "web-1 web-2"),
        ("hostname=^web-[2-9]$", "web-2"),
        ("hostname=WEB", ""),
        ("description=Front end", "web-1 web-2"),
        ("description=second$", "web-2"),
        ("display_description=first", "web-1"),
        ("availability_zone=nov", "db web-1 web-2"),
        ("availability_zone=^n.va$", "db web-1 web-2"),
        ("availability_zone=^ov", ""),
        ("root_device_name=vda", "db web-1 web-2"),
        ("root_device_name=/vdb", ""),
        ("kernel_id=.", "db"),
        ("ramdisk_id=nothing", ""),
        ("auto_disk_config=1", "web-2"),
        ("auto_disk_config=false", "db web-1"),
        ("hostname=web&description=first", "web-1"),
        ("hostname=^web&limit=1", "web-1"),
    ],
)
def test_a_pattern_is_found_anywhere(admin, query, names):
    assert listed(admin, query) == names


@pytest.mark.parametrize("name", ["hostname", "description", "availability_zone", "root_device_name", "kernel_id"])
def test_what_is_no_pattern_is_refused(admin, name):
    assert admin.get(f"/servers?{name}=(").status_code == 400


def test_who_may_not_filter_so_sees_all(cloud, admin):
    user = cloud.client(version="2.90")

    assert listed(user, "description=second") == listed(user, "") == "db web-1 web-2"
    assert listed(user, "hostname=web") == listed(user, "availability_zone=nov&hostname=web") == "web-1 web-2"
