"""Pause, suspend, lock, reset, and what is done inside a guest."""

import pytest

from nova.db.models import Base
from nova.structs.instance import PowerState
from tests.functional.actions.history import history
from tests.functional.cloud import wait
from tests.functional.invariants import settle

pytestmark = pytest.mark.usefixtures("in_order")


@pytest.mark.parametrize(
    "there, status, power_state, back",
    [("pause", "PAUSED", PowerState.PAUSED, "unpause"), ("suspend", "SUSPENDED", PowerState.SUSPENDED, "resume")],
)
def test_a_guest_stands_still_and_goes_on(cloud, user, there, status, power_state, back):
    host = cloud.add_host()
    server_id = user.create_server()["id"]

    assert user.act(server_id, there).status_code == 202
    still = user.wait(server_id, status)

    assert still["OS-EXT-STS:power_state"] == power_state
    assert host.guests[server_id].power_state == power_state

    assert user.act(server_id, back).status_code == 202
    user.wait(server_id, "ACTIVE")

    assert host.guests[server_id].power_state == PowerState.RUNNING


def test_a_stopped_server_cannot_be_paused(cloud, user):
    cloud.add_host()
    server_id = user.create_server()["id"]
    user.act(server_id, "os-stop")
    user.wait(server_id, "SHUTOFF")

    refused = user.act(server_id, "pause")

    assert refused.status_code == 409
    assert refused.json()["conflictingRequest"]["message"] == (
        f"Cannot 'pause' instance {server_id} while it is in vm_state stopped"
    )


def test_a_pause_the_host_cannot_do_leaves_the_server_active(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server()["id"]
    host.fail("set_power")

    user.act(server_id, "pause")
    user.wait(server_id, "ACTIVE")

    assert host.guests[server_id].power_state == PowerState.RUNNING
    assert ("pause", "failed") in history(cloud, server_id)


def test_a_password_reaches_the_guest_and_stays_nowhere_else(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server()["id"]

    assert user.act(server_id, "changePassword", {"adminPass": "s3cret-word"}).status_code == 202
    user.wait(server_id, "ACTIVE")

    assert host.guests[server_id].password == "s3cret-word"
    assert "s3cret-word" not in _database(cloud)


def test_a_password_the_guest_refused_stays_nowhere(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server()["id"]
    host.fail("set_password")

    user.act(server_id, "changePassword", {"adminPass": "s3cret-word"})
    user.wait(server_id, "ACTIVE")

    assert "s3cret-word" not in _database(cloud)


def test_a_crash_dump_is_asked_of_the_guest(cloud, user):
    host = cloud.add_host()
    server_id = user.create_server()["id"]

    assert user.act(server_id, "trigger_crash_dump").status_code == 202

    wait(lambda: ("crash_dump", server_id) in host.calls, "the guest was interrupted")
    settle(cloud)
    assert user.server(server_id)["status"] == "ACTIVE"


def test_a_locked_server_is_left_alone_until_it_is_unlocked(cloud, user):
    cloud.add_host()
    server_id = user.create_server()["id"]

    assert user.act(server_id, "lock", {"locked_reason": "holidays"}).status_code == 202
    assert user.server(server_id)["locked_reason"] == "holidays"
    assert user.act(server_id, "pause").status_code == 409

    assert user.act(server_id, "unlock").status_code == 202
    assert user.server(server_id)["locked"] is False
    assert user.act(server_id, "pause").status_code == 202


def test_a_lock_of_an_administrator_is_not_the_owners_to_take_away(cloud, user, admin):
    cloud.add_host()
    server_id = user.create_server()["id"]
    admin.act(server_id, "lock")

    assert user.act(server_id, "unlock").status_code == 403
    assert admin.act(server_id, "unlock").status_code == 202


def test_an_administrator_calls_a_server_broken_and_whole_again(cloud, user, admin):
    cloud.add_host()
    server_id = user.create_server()["id"]

    assert user.act(server_id, "os-resetState", {"state": "error"}).status_code == 403
    assert admin.act(server_id, "os-resetState", {"state": "error"}).status_code == 202
    assert user.server(server_id)["status"] == "ERROR"

    assert admin.act(server_id, "os-resetState", {"state": "active"}).status_code == 202
    assert user.server(server_id)["status"] == "ACTIVE"


def test_resetting_networks_is_gone_and_injecting_them_is_done(cloud, user, admin):
    cloud.add_host()
    server_id = user.create_server()["id"]

    assert admin.act(server_id, "resetNetwork").status_code == 410
    assert admin.act(server_id, "injectNetworkInfo").status_code == 202


def _database(cloud):
    """Every row of every table."""
    tables = Base.metadata.sorted_tables
    return str(cloud.db.read(lambda c: [row for table in tables for row in c.execute(table.select()).all()]))
