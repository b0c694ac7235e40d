"""The administrator's password: given to the guest, told once, and kept nowhere."""

import json

import pytest
from sqlalchemy import select

from nova.db.models.operations import Operation
from tests.functional.cloud import wait
from tests.functional.invariants import settle

pytestmark = pytest.mark.usefixtures("in_order")


def on_config_drive(host, server_id):
    drive = host.guests[server_id].spec.config_drive
    return json.loads(drive["openstack/latest/meta_data.json"]).get("admin_pass")


def kept(cloud, password):
    """The operations in whose rows a password stands."""
    table = Operation.__table__
    rows = cloud.db.read(lambda c: c.execute(select(table)).all())
    return [row.name for row in rows if any(password in str(value) for value in row)]


def test_a_guest_reads_its_password_from_the_config_drive(cloud, user):
    host = cloud.add_host()

    body = user.wanted(config_drive=True, adminPass="secret-word")
    answer = user.post("/servers", {"server": body}).json()["server"]
    user.wait(answer["id"], "ACTIVE")

    assert answer["adminPass"] == "secret-word"
    assert on_config_drive(host, answer["id"]) == "secret-word"
    assert kept(cloud, "secret-word") == []


def test_a_password_that_was_made_is_the_one_the_guest_has(cloud, user):
    host = cloud.add_host()

    answer = user.post("/servers", {"server": user.wanted(config_drive=True)}).json()["server"]
    user.wait(answer["id"], "ACTIVE")

    assert len(answer["adminPass"]) == 12
    assert on_config_drive(host, answer["id"]) == answer["adminPass"]


def test_the_next_host_is_given_the_password_too(cloud, user):
    cloud.add_host("host-1", memory_mb=1 << 20).fail("create")
    second = cloud.add_host("host-2")

    server_id = user.create_server(config_drive=True, adminPass="secret-word")["id"]

    assert on_config_drive(second, server_id) == "secret-word"


def test_a_build_that_failed_everywhere_keeps_no_password(cloud, user):
    cloud.add_host().fail("create", times=5)

    body = user.wanted(adminPass="secret-word")
    server_id = user.post("/servers", {"server": body}).json()["server"]["id"]
    user.wait(server_id, "ERROR")

    assert kept(cloud, "secret-word") == []


def test_a_server_deleted_while_it_was_built_keeps_no_password(cloud, user):
    host = cloud.add_host()
    host.hold("create")
    server_id = user.post("/servers", {"server": user.wanted(adminPass="secret-word")}).json()["server"]["id"]
    wait(lambda: user.server(server_id)["OS-EXT-STS:task_state"] == "spawning", "the guest is being made")

    user.delete(f"/servers/{server_id}")
    host.release("create")
    user.wait_gone(server_id)
    settle(cloud)

    assert kept(cloud, "secret-word") == []


def test_a_rebuilt_guest_has_the_new_password(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server(config_drive=True, adminPass="first-word")["id"]

    user.act(server_id, "rebuild", {"imageRef": cloud.glance.add("newer"), "adminPass": "second-word"})
    user.wait(server_id, "ACTIVE")

    assert on_config_drive(host, server_id) == "second-word"
    assert kept(cloud, "second-word") == []


@pytest.mark.parametrize("action, host_method", [("changePassword", "set_password"), ("rescue", "rescue")])
@pytest.mark.parametrize("fails", [False, True])
def test_no_action_keeps_its_password(cloud, user, action, host_method, fails):
    host = cloud.add_host()
    server_id = user.create_server()["id"]
    if fails:
        host.fail(host_method)

    assert user.act(server_id, action, {"adminPass": "secret-word"}).status_code < 300
    settle(cloud)

    assert (host.guests[server_id].password == "secret-word") is not fails
    assert kept(cloud, "secret-word") == []
