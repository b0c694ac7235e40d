"""What becomes of accepted operations when a service goes away before they are done, and comes back.

Every operation is under way at once in one cloud. Those that need the service go on by themselves when it is back soon;
when it is away for long they end as they promise, say who was away, and hold nothing.
"""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from sqlalchemy import select

from nova.conductor.reconcilers import allocations
from nova.db import operations
from nova.db.models.operations import Operation
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers, settle
from tests.functional.operation_set_ups import SETUPS, workflow_of

# What a service is called in messages, by its address.
NEIGHBOURS = {
    "http://image": "The Image service",
    "http://volume": "The Block Storage service",
    "http://network": "The Networking service",
    "http://share": "The Shared File Systems service",
    "http://placement": "Placement",
}
SETTINGS = """
[DEFAULT]
rpc_response_timeout = 10
[quota]
instances = -1
cores = -1
ram = -1
[glance]
timeout = 0.2
num_retries = 0
[cinder]
timeout = 0.2
[neutron]
timeout = 0.2
[manila]
timeout = 0.2
[placement]
timeout = 0.2
[conductor]
"""
SOON = "step_pauses_s = 0.1, 0.5\n"
# Even a step that is tried sixty times is given up within three seconds.
LONG = "step_pauses_s = 0.05\nleft_pauses_s = 0.2\n"

# All at once, and each alone.
AWAY_FOR_LONG = [tuple(NEIGHBOURS), *((address,) for address in NEIGHBOURS)]
# Those that a cloud needs settings or dead hosts of their own for are in every_operation.
TOGETHER = [name for name in SETUPS if not SETUPS[name].settings and workflow_of(name) != "evacuate"]
# What is to go and could not is asked to go again: there is nothing to go back to.
TO_GO = ("delete", "delete of a shelved server", "forceDelete", "delete with shares", "detach_share")


@pytest.fixture
def user(make_cloud, request):
    cloud = make_cloud(SETTINGS + request.param)
    for name in ("host-1", "host-2"):
        cloud.add_host(name, vcpus=200, memory_mb=1 << 20, disk_gb=10000)
    admin = cloud.client("admin", "project")
    network = admin.post("/v2.0/networks", {"network": {"name": "private"}}, url="http://network").json()["network"]
    subnet = {"network_id": network["id"], "cidr": "10.1.0.0/16", "ip_version": 4}
    assert admin.post("/v2.0/subnets", {"subnet": subnet}, url="http://network").status_code == 201
    return admin


@pytest.mark.parametrize("user", [SOON], indirect=True)
def test_operations_go_on_when_the_services_are_back_soon(user):
    asked = ask_for_everything(user, NEIGHBOURS)
    time.sleep(0.5)

    good_weather(user.cloud)
    settle(user.cloud)

    assert {name: found for name, one in asked.items() if (found := outcome(user, *one)).message is not None} == {}
    assert leftovers(user.cloud) == []


@pytest.mark.parametrize("user", [LONG], indirect=True)
@pytest.mark.parametrize("away", AWAY_FOR_LONG, ids=lambda away: "+".join(away).replace("http://", ""))
def test_operations_end_as_they_promise_when_a_service_stays_away(user, away):
    asked = ask_for_everything(user, away)
    wait(lambda: running(user.cloud) == [], "nobody tries to go on any more", 90)

    good_weather(user.cloud)
    settle(user.cloud)

    names = "|".join(NEIGHBOURS[address] for address in away)
    ended = {name: outcome(user, *one) for name, one in asked.items()}
    for name, found in ended.items():
        assert found.status in SETUPS[name].ends_in, name
        if found.message is not None:
            assert re.match(f"({names}) is not available: it cannot be reached. Try again later.", found.message), name
    assert any(found.message is not None for found in ended.values())
    for name in TO_GO:
        if ended[name].message is not None:
            assert SETUPS[name].ask(user, asked[name][0]).status_code < 300, name
    settle(user.cloud)
    allocations.reconcile(user.cloud.conductors[0].core)
    assert leftovers(user.cloud) == []


@pytest.mark.parametrize("user", [LONG], indirect=True)
def test_a_build_that_fails_while_its_network_is_away_waits_to_give_its_ports_back(user):
    cloud = user.cloud
    for name in cloud.hosts:
        cloud.hypervisor(name).fail("create", times=10)
    cloud.boundary.call_at("create", "spawn", "ordered", lambda: breaks(cloud, "http://network"))
    server_id = user.create_server(wait_for=None, networks="auto")["id"]
    wait(lambda: running(cloud) == [], "the build turns back")
    # Longer than a step is tried.
    time.sleep(1)

    assert user.server(server_id)["status"] == "BUILD"
    assert user.delete(f"/servers/{server_id}").status_code == 204
    good_weather(cloud)

    user.wait_gone(server_id)
    settle(cloud)
    assert leftovers(cloud) == []


def breaks(cloud, address):
    cloud.adapters[address].fault = "refuses"


def ask_for_everything(user, away):
    """Ask for every operation, each of a server of its own, and let services go away when all are accepted.

    Gives (the server's id, the request's id) by the name of the set-up.
    """
    cloud = user.cloud
    servers = {name: SETUPS[name].server_id(user) for name in TOGETHER}
    settle(cloud)
    pool = ThreadPoolExecutor(len(TOGETHER))
    with cloud.boundary.held():
        answers = {name: pool.submit(SETUPS[name].ask, user, servers[name]) for name in TOGETHER}
        wait(lambda: cloud.db.read(operations.count_under_way) == len(TOGETHER), "all are accepted")
        for address in away:
            cloud.adapters[address].fault = "refuses"
    pool.shutdown(wait=False)
    return {name: (servers[name], answers[name]) for name in TOGETHER}


def good_weather(cloud):
    for adapter in cloud.adapters.values():
        adapter.fault = None


def running(cloud):
    """The operations that have not turned back, or ended."""
    table = Operation.__table__
    query = select(table.c.name).where(table.c.state == operations.RUNNING)
    return cloud.db.read(lambda c: list(c.execute(query).scalars()))


def outcome(user, server_id, answer):
    """What a user sees of an operation that is over: the server's status, and the action's message."""
    answer = answer.result(90)
    server_id = server_id or answer.json()["server"]["id"]
    request_id = answer.headers["x-openstack-request-id"]
    action = user.get(f"/servers/{server_id}/os-instance-actions/{request_id}").json()["instanceAction"]
    server = user.server(server_id)
    return Outcome(server["status"] if server else None, action["message"])


class Outcome(NamedTuple):
    status: str | None
    message: str | None


def test_a_build_is_waited_for_no_longer_than_the_operator_allows(make_cloud):
    cloud = make_cloud(
        "[DEFAULT]\ninstance_build_timeout = 1\n[placement]\ntimeout = 0.2\n[conductor]\nstep_pauses_s = 0.1\n"
    )
    cloud.add_host("host-1")
    user = cloud.client("admin", "project")
    cloud.adapters["http://placement"].fault = "refuses"

    server = user.create_server(wait_for="ERROR")

    assert "was not done within 1 s" in server["fault"]["message"]
    cloud.adapters["http://placement"].fault = None
    assert user.create_server(name="two")["status"] == "ACTIVE"
    assert leftovers(cloud) == []
