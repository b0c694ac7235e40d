"""Daemons among the cloud's services, as `openstack compute service list` and Horizon show them."""

import pytest
from sqlalchemy.exc import OperationalError

from nova.rpc.heartbeat import Heartbeat
from tests.functional.cloud import wait

DAEMON = "nova-scheduler"


@pytest.fixture
def admin(make_cloud):
    cloud = make_cloud("[DEFAULT]\nservice_down_time = 4\n")
    cloud.add_host("host-1")
    return cloud.client("admin", "admin")


@pytest.fixture
def heartbeat(admin):
    heartbeat = Heartbeat(admin.cloud.conductor_calls, DAEMON, admin.cloud.conf.host, interval_s=1)
    yield heartbeat
    heartbeat.stop()


def state(admin):
    found = admin.get(f"/os-services?binary={DAEMON}").json()["services"]
    return found[0]["state"] if found else None


def test_a_daemon_is_among_the_services_of_the_internal_zone(admin, heartbeat):
    heartbeat.start()
    wait(lambda: state(admin) == "up", "the daemon is up")

    zones = {one["binary"]: one["zone"] for one in admin.get("/os-services").json()["services"]}
    detail = admin.get("/os-availability-zone/detail").json()["availabilityZoneInfo"]

    assert zones == {"nova-conductor": "internal", DAEMON: "internal", "nova-compute": "nova"}
    assert [(one["zoneName"], len(one["hosts"])) for one in detail] == [("internal", 1), ("nova", 1)]


def test_a_silent_daemon_is_down_and_up_again_when_it_speaks(admin, heartbeat):
    heartbeat.start()
    wait(lambda: state(admin) == "up", "the daemon is up")

    heartbeat.stop()
    wait(lambda: state(admin) == "down", "the daemon is down")
    heartbeat.start()

    wait(lambda: state(admin) == "up", "the daemon is up again")


def test_a_forgotten_daemon_that_lives_comes_back(admin, heartbeat):
    heartbeat.start()
    wait(lambda: state(admin) == "up", "the daemon is up")
    [service] = admin.get(f"/os-services?binary={DAEMON}").json()["services"]

    assert admin.delete(f"/os-services/{service['id']}").status_code == 204

    wait(lambda: state(admin) == "up", "the daemon is listed again")


def test_a_daemon_that_was_heard_while_the_database_was_away_is_listed_later(admin, heartbeat, monkeypatch):
    failed = []

    def away(*_):
        failed.append(True)
        raise OperationalError("write", {}, Exception("away"))

    with monkeypatch.context() as while_away:
        while_away.setattr(admin.cloud.db, "write", away)
        heartbeat.start()
        wait(lambda: failed, "the conductor has heard the daemon")

    wait(lambda: state(admin) == "up", "the daemon is listed")
