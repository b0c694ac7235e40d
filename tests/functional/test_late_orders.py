"""Orders and answers that were long on their way do no harm when they come."""

import threading
from datetime import timedelta

import pytest

from nova.compute import agent
from nova.db import operations
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle


@pytest.fixture
def user(cloud):
    return cloud.client()


def test_an_order_the_daemon_before_has_done_is_not_done_again(cloud, user):
    cloud.add_host()
    server_id = user.create_server()["id"]
    late = threading.Event()
    done = threading.Event()

    def hold_the_order_up():
        late.wait(90)
        done.set()

    # The conductor that sends "destroy" is slow: the host asks for the order by itself, and the rebuild goes on.
    cloud.boundary.call_at("rebuild", "destroy_guest", "ordered", hold_the_order_up)
    user.act(server_id, "rebuild", {"imageRef": cloud.glance.add("newer")})
    user.wait(server_id, "ACTIVE")
    cloud.stop_host("host-1")
    cloud.start_host("host-1")
    late.set()
    done.wait(90)
    # Its orders are done in turn: when this one is done the late one has been looked at.
    user.act(server_id, "reboot", {"type": "HARD"})
    settle(cloud)

    assert [name for name, uuid in cloud.hypervisor().calls if uuid == server_id].count("destroy") == 1
    assert leftovers(cloud) == []


@pytest.mark.parametrize("is_given_up", [True, False])
def test_an_order_that_waited_long_is_done_only_when_it_is_still_wanted(cloud, user, monkeypatch, is_given_up):
    cloud.add_host()
    server_id = user.create_server()["id"]
    held = []
    with monkeypatch.context() as patches:
        # Every place for a step is taken, and has been for longer than an order counts as fresh.
        patches.setattr(cloud.hosts["host-1"].agent._pool, "submit", lambda name, work: held.append(work))
        patches.setattr(agent, "_FRESH", timedelta())
        user.act(server_id, "reboot", {"type": "HARD"})
        wait(lambda: held, "the order waits")
        if is_given_up:
            admin = cloud.client("admin", "admin")
            assert admin.act(server_id, "os-resetState", {"state": "active"}).status_code == 202
            wait(lambda: cloud.db.read(operations.count_under_way) == 0, "nobody waits for the reboot")
        held[0]()
    settle(cloud)

    assert [name for name, uuid in cloud.hypervisor().calls if uuid == server_id].count("reboot") == (not is_given_up)


def test_a_conductor_that_dies_with_an_answer_in_hand_does_not_make_the_host_late(make_cloud):
    cloud = make_cloud("[conductor]\nlease_s = 0.5\npoll_interval_s = 0.1\n")
    cloud.add_host()
    user = cloud.client()
    server_id = user.create_server()["id"]

    cloud.boundary.kill("rebuild", "spawn", "leased")
    user.act(server_id, "rebuild", {"imageRef": cloud.glance.add("newer")})
    user.wait(server_id, "ACTIVE")

    calls = [name for name, uuid in cloud.hypervisor().calls if uuid == server_id]
    assert calls.count("create") == 2
    assert leftovers(cloud) == []
