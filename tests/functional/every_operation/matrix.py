"""The promise that nothing is ever stuck, for every operation, every step and every fault.

Each file of this directory causes one kind of fault in every step of every operation; workers of a test run take a
file each. To add an operation: say in operation_set_ups.SETUPS how a server comes into the state it starts from, and
how a user asks for it. Everything else follows from the declarations.
"""

import time

import pytest
from sqlalchemy import update

from nova.clock import utcnow
from nova.conductor.workflows import WORKFLOWS
from nova.db.models.operations import Operation
from tests.functional.cloud import PATIENCE_S, Killed
from tests.functional.invariants import leftovers, settle
from tests.functional.operation_set_ups import SETUPS, workflow_of

SETTINGS = """
[DEFAULT]
rpc_response_timeout = 30
[conductor]
lease_s = 5
poll_interval_s = 0.2
"""
HOSTS = ("host-1", "host-2", "host-3")

every_step = pytest.mark.parametrize(
    "operation, step",
    [
        pytest.param(name, step, id=f"{name}-{step.name}".replace(" ", "_"))
        for name in SETUPS
        for step in WORKFLOWS[workflow_of(name)].steps
    ],
)


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


def kill_conductor(cloud, operation, step, moment):
    """Let the conductor die there, and its lease be over: nobody has heard of it for long."""

    def die():
        table = Operation.__table__
        is_leased = table.c.lease_owner.is_not(None)
        cloud.db.write(lambda c: c.execute(update(table).where(is_leased).values(wake_at=utcnow())))
        raise Killed

    cloud.boundary.call_at(workflow_of(operation), step.name, moment, die)


class Clouds:
    """Clouds for one case after another: what a case leaves is taken away, and a cloud that is not as new then is replaced."""

    def __init__(self, make):
        self._make = make
        self._kept = {}

    def lend(self, settings):
        """A cloud at rest, with these settings, that has nothing."""
        if settings not in self._kept:
            self._kept[settings] = self._make(SETTINGS + settings, HOSTS)
        return self._kept[settings]

    def discard(self, settings):
        self._kept.pop(settings, None)

    def empty(self, settings):
        """Delete what a case has made. It fails where that is not all there is."""
        cloud = self._kept.pop(settings)
        cloud.calm()
        user = cloud.client("admin", "project")
        for name in set(HOSTS) - set(cloud.hosts):
            revive(cloud, user, name)
        for server in user.get("/servers").json()["servers"]:
            assert user.act(server["id"], "forceDelete").status_code < 300
        settle(cloud)
        assert server_of(cloud) is None
        # A host that came back while its server was deleted has left what was not decided then to its next look.
        cloud.reap()
        deadline = time.monotonic() + PATIENCE_S
        while (left := leftovers(cloud)) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert left == []
        cloud.forget()
        self._kept[settings] = cloud


def revive(cloud, user, name):
    """Start a host that was down, and said to be; what was on it and is elsewhere now goes."""
    cloud.start_host(name)
    services = user.get("/os-services?binary=nova-compute").json()["services"]
    [service] = [one for one in services if one["host"] == cloud.hypervisor(name).name]
    assert user.put(f"/os-services/{service['id']}", {"forced_down": False}).status_code == 200


def check_that_nothing_is_lost(cloud, user, operation, step, moment):
    """A conductor that dies at this moment of a step loses nothing, and the operation ends well."""
    outcome = run(cloud, user, operation, lambda: kill_conductor(cloud, operation, step, moment))

    assert outcome in SETUPS[operation].ends_in
    assert outcome != "ERROR"
    assert leftovers(cloud) == []
