"""The promise that nothing is ever stuck, for every operation, every step and every fault.

To add an operation: say in operation_set_ups.SETUPS how a server comes into the state it starts from, and
how a user asks for it. Everything else follows from the declarations.
"""

import os
import threading

import pytest

from nova import errors
from nova.conductor.workflows import WORKFLOWS
from nova.rpc.local import bus_of
from nova.virt.fake import ANY
from tests.functional.invariants import leftovers, settle
from tests.functional.operation_set_ups import SETUPS, workflow_of

SETTINGS = """
[DEFAULT]
rpc_response_timeout = 3
[conductor]
lease_s = 0.6
poll_interval_s = 0.1
"""


# The operations that every cloud lives by meet every fault in every run; the others do with
# EVERY_OPERATION=1, which takes some twenty minutes. A step that fails is tried for all of them always.
ALWAYS = ("create", "delete", "start", "stop", "reboot")


def every_step(names=None):
    """(operation, step), by their declarations."""
    chosen = SETUPS if names is None or os.environ.get("EVERY_OPERATION") else names
    for name in chosen:
        for step in WORKFLOWS[workflow_of(name)].steps:
            yield pytest.param(name, step, id=f"{name}-{step.name}".replace(" ", "_"))


@pytest.fixture
def cloud(make_cloud, request):
    operation = getattr(request.node, "callspec", None) and request.node.callspec.params["operation"]
    cloud = make_cloud(SETTINGS + (SETUPS[operation].settings if operation else ""))
    for name in ("host-1", "host-2", "host-3"):
        cloud.add_host(name)
    cloud.add_network()
    return cloud


@pytest.fixture
def user(cloud):
    return cloud.client("admin", "project")


def test_every_operation_has_a_set_up():
    assert set(map(workflow_of, SETUPS)) == set(WORKFLOWS)


@pytest.mark.parametrize("operation, step", every_step())
def test_a_step_that_fails_leaves_nothing_half_done(cloud, user, operation, step):
    def fault():
        # On its host, if it is done there; else after it did what it does, which is the worst moment.
        for name in cloud.hosts:
            cloud.hypervisor(name).fail(ANY)
        cloud.boundary.raise_at(workflow_of(operation), step.name, "done", errors.StepFailed(reason="it broke"))

    outcome = run(cloud, user, operation, fault)

    assert outcome in SETUPS[operation].ends_in
    assert leftovers(cloud) == []


@pytest.mark.parametrize("moment", ["leased", "done", "committed", "ordered"])
@pytest.mark.parametrize("operation, step", every_step(ALWAYS))
def test_a_conductor_that_dies_loses_nothing(cloud, user, operation, step, moment):
    outcome = run(cloud, user, operation, lambda: cloud.boundary.kill(workflow_of(operation), step.name, moment))

    assert outcome in SETUPS[operation].ends_in
    assert outcome != "ERROR"
    assert leftovers(cloud) == []


@pytest.mark.parametrize("operation, step", every_step(ALWAYS))
def test_a_lost_order_is_asked_for_again(cloud, user, operation, step):
    def fault():
        for name in cloud.hosts:
            bus_of(f"local:///{cloud.name}").lose(f"compute.{cloud.hypervisor(name).name}")

    outcome = run(cloud, user, operation, fault)

    assert outcome != "ERROR"
    assert leftovers(cloud) == []


@pytest.mark.parametrize("operation, step", every_step(ALWAYS))
def test_a_lost_answer_is_given_again(cloud, user, operation, step):
    def fault():
        lose = bus_of(f"local:///{cloud.name}").lose
        cloud.boundary.call_at(workflow_of(operation), step.name, "ordered", lambda: lose("conductor"))

    outcome = run(cloud, user, operation, fault)

    assert outcome != "ERROR"
    assert leftovers(cloud) == []


@pytest.mark.parametrize("operation, step", every_step(ALWAYS))
def test_a_host_that_restarts_goes_on_where_it_was(cloud, user, operation, step):
    restarting = threading.Lock()

    def restart():
        with restarting:
            for name in list(cloud.hosts):
                cloud.stop_host(name)
                cloud.start_host(name)

    workflow = workflow_of(operation)
    outcome = run(cloud, user, operation, lambda: cloud.boundary.call_at(workflow, step.name, "ordered", restart))

    with restarting:
        assert outcome != "ERROR"
        assert leftovers(cloud) == []


@pytest.mark.parametrize("operation, step", every_step(ALWAYS))
def test_a_delete_overtakes_whatever_is_under_way(cloud, user, operation, step):
    asked = []

    def delete():
        server_id = server_of(cloud)
        asked.append(user.delete(f"/servers/{server_id}").status_code)

    workflow = workflow_of(operation)
    run(cloud, user, operation, lambda: cloud.boundary.call_at(workflow, step.name, "done", delete))
    if not asked:
        # The step is done on a host: the conductor has nothing in hand at that moment.
        assert user.delete(f"/servers/{server_of(cloud)}").status_code in (204, 404) if server_of(cloud) else True
    settle(cloud)
    if operation in ("softDelete", "restore") and server_of(cloud):
        # Where deleted servers are kept for a while, the first request only says that this one shall go.
        user.act(server_of(cloud), "forceDelete")
        settle(cloud)

    assert server_of(cloud) is None
    assert leftovers(cloud) == []


def run(cloud, user, operation, fault):
    """Ask for the operation with a fault prepared, and give the status the server ends in."""
    set_up = SETUPS[operation]
    server_id = set_up.server_id(user)
    fault()
    answer = set_up.ask(user, server_id)
    assert answer.status_code < 300, answer.text
    settle(cloud)
    server_id = server_id or server_of(cloud)
    server = user.server(server_id) if server_id else None
    return server["status"] if server else None


def server_of(cloud):
    """The one server there is."""
    found = cloud.client("admin", "project").get("/servers").json()["servers"]
    return found[0]["id"] if found else None
