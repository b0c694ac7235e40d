"""Orders and answers that were long on their way do no harm when they come."""

import threading

import pytest

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
