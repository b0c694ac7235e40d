"""One of the cloud's own daemons is away: the others say so in time, and go on when it is back."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.functional.invariants import leftovers, settle
from tests.functional.test_neighbours_down import INTERNAL

SETTINGS = """
[conductor]
step_pauses_s = 0.1
"""
CONSOLE = {"remote_console": {"protocol": "vnc", "type": "novnc"}}


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud(SETTINGS)
    cloud.add_host()
    return cloud


def test_nobody_but_the_scheduler_is_missed_by_a_choice_of_hosts(cloud, user):
    cloud.stop_scheduler()

    explained = user.post("/scheduling/explain", {"server": user.wanted()})
    accepted = user.post("/servers", {"server": user.wanted()})

    assert told(explained) == "nova-scheduler is not available: it did not answer in time. Try again later."
    assert accepted.status_code == 202
    cloud.start_scheduler()
    assert user.wait(accepted.json()["server"]["id"], "ACTIVE")
    assert leftovers(cloud) == []


def test_a_host_that_is_silent_is_told_apart_from_a_server_that_is_not_there(cloud, user):
    """The daemon went a moment ago: nobody has missed its signs of life yet."""
    server_id = user.create_server()["id"]
    cloud.stop_host("host-1")

    requests = {
        "output": lambda: user.act(server_id, "os-getConsoleOutput", {}),
        "diagnostics": lambda: user.get(f"/servers/{server_id}/diagnostics"),
        "console": lambda: user.post(f"/servers/{server_id}/remote-consoles", CONSOLE),
    }
    with ThreadPoolExecutor() as pool:
        asked = {name: pool.submit(ask) for name, ask in requests.items()}
        answers = {name: one.result(90) for name, one in asked.items()}

    for answer in answers.values():
        assert "nova-compute" in told(answer)
    assert user.get(f"/servers/{server_id}").status_code == 200


def test_a_reboot_waits_for_a_host_that_restarts(cloud, user):
    server_id = user.create_server()["id"]
    cloud.stop_host("host-1")

    assert user.act(server_id, "reboot", {"type": "HARD"}).status_code == 202
    cloud.start_host("host-1")

    assert user.wait(server_id, "ACTIVE")


def test_a_console_needs_the_daemon_that_gives_its_token(cloud, user):
    server_id = user.create_server()["id"]

    answer = user.post(f"/servers/{server_id}/remote-consoles", CONSOLE)

    assert told(answer) == "nova-consoleauth is not available: it did not answer in time. Try again later."


def test_without_a_conductor_every_request_is_answered_in_time(cloud, user):
    server_id = user.create_server()["id"]
    cloud.stop_conductor()

    began = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        paths = ("/servers", f"/servers/{server_id}", "/flavors", "/os-keypairs", "/limits")
        asked = [pool.submit(user.get, path) for path in paths]
        asked.append(pool.submit(user.post, "/servers", {"server": user.wanted()}))
        asked.append(pool.submit(user.delete, f"/servers/{server_id}"))
        answers = [one.result(90) for one in asked]

    assert {told(answer).partition(":")[0] for answer in answers} == {"nova-conductor is not available"}
    assert time.monotonic() - began < 25
    cloud.add_conductor()
    assert [one["id"] for one in user.get("/servers").json()["servers"]] == [server_id]
    settle(cloud)
    assert leftovers(cloud) == []


def told(answer):
    """The message of an answer that says that somebody is away."""
    assert answer.status_code == 503, answer.text
    [(key, content)] = answer.json().items()
    assert (key, content["code"]) == ("serviceUnavailable", 503)
    assert not INTERNAL.search(content["message"])
    return content["message"]
