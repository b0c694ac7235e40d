"""A console's token after its guest is gone, at a port that another tenant's guest has got since."""

import time

import pytest

from nova.clock import utcnow
from nova.console import open_consoles
from nova.db import instances
from nova.structs.guest import ConsoleKind
from nova.structs.instance import PowerState, VmState
from tests.functional.console.consoles import BANNER, Screen, closing, read
from tests.functional.console.proxies import questions

OVER = (1008, "The server was stopped, moved or deleted; ask for a new console.")

ENDS = {
    "deleted": {"deleted_at": utcnow(), "power_state": PowerState.NOSTATE},
    "stopped": {"vm_state": VmState.STOPPED, "power_state": PowerState.SHUTDOWN},
    "suspended": {"vm_state": VmState.SUSPENDED, "power_state": PowerState.SUSPENDED},
    "crashed": {"power_state": PowerState.CRASHED},
    "shelved": {"vm_state": VmState.SHELVED, "power_state": PowerState.SHUTDOWN},
    "moved": {"host": "host-2"},
    "rebuilt": {"task_state": "rebuilding"},
    "to be deleted": {"task_state": "deleting"},
}


@pytest.fixture
def other_screen():
    screen = Screen()
    yield screen
    screen.close()


def change(consoles, server, **changes):
    consoles.database.write(lambda c: instances.change(c, server.uuid, **changes))


@pytest.mark.parametrize("end", ENDS)
def test_a_token_dies_with_the_guest_it_was_issued_for(make_consoles, screen, end):
    consoles = make_consoles()
    server = consoles.boot(screen=screen)
    token = consoles.token(server)

    change(consoles, server, **ENDS[end])
    change(consoles, server, vm_state=VmState.ACTIVE, power_state=PowerState.RUNNING, task_state=None, deleted_at=None)

    assert consoles.consoleauth.check(token) is None
    assert closing(consoles.view(token)) is None


@pytest.mark.parametrize("change_", [{"task_state": "image_snapshot"}, {"vm_state": VmState.PAUSED}, {"name": "two"}])
def test_a_token_outlives_what_leaves_the_guest_running(make_consoles, screen, change_):
    consoles = make_consoles()
    server = consoles.boot(screen=screen)
    token = consoles.token(server)

    change(consoles, server, **change_)

    viewer = consoles.view(token)
    assert read(viewer, len(BANNER)) == BANNER
    viewer.close()


def test_a_reused_port_does_not_lead_to_another_tenants_guest(make_consoles, screen, other_screen):
    consoles = make_consoles()
    attackers = consoles.boot(screen=screen)
    token = consoles.token(attackers)

    # The guest restarted at another port, seen by no operation; its old port belongs to the victim's guest now.
    consoles.hosts.run(attackers.uuid, {ConsoleKind.NOVNC: other_screen.address})
    consoles.boot(screen=screen)
    viewer = consoles.view(token)

    assert read(viewer, len(BANNER)) == BANNER
    viewer.send_binary(b"mine?")
    assert read(viewer, 5) == b"mine?"
    assert screen.heard == []
    viewer.close()


@pytest.mark.parametrize("kind", [ConsoleKind.SERIAL, ConsoleKind.SPICE_HTML5, ConsoleKind.SPICE_DIRECT])
def test_a_token_is_for_one_kind_of_console(make_consoles, screen, kind):
    consoles = make_consoles()
    protocol, type = {"serial": ("serial", "serial")}.get(kind.value, ("spice", kind.value))
    server = consoles.boot(kind, screen)
    consoles.hosts.run(server.uuid, {kind: screen.address, ConsoleKind.NOVNC: screen.address})
    token = consoles.token(server, protocol, type)

    assert closing(consoles.view(token)) is None


def test_a_guest_that_ended_while_its_console_was_opened_is_not_shown(make_consoles, screen, other_screen):
    consoles = make_consoles()
    attackers = consoles.boot(screen=screen)
    token = consoles.token(attackers)
    # The last look at the address comes after the connection: it says that the port is not the guest's any more.
    addresses = iter([other_screen.address, screen.address])
    conductor = consoles._services[0]._endpoint
    implementation = conductor._calls["console_access"][0].__self__
    implementation._questions = questions(lambda host: Changing(addresses))

    assert closing(consoles.view(token)) is None
    assert other_screen.heard == []


class Changing:
    """A host on which a guest's port changes between two questions."""

    def __init__(self, addresses):
        self._addresses = addresses

    def console_address(self, instance_id, kind):
        return next(self._addresses)


@pytest.mark.parametrize("end", ["deleted", "stopped", "crashed", "moved", "rebuilt"])
def test_an_open_console_ends_with_its_guest_though_the_connection_stands(make_consoles, screen, end, monkeypatch):
    monkeypatch.setattr(open_consoles, "_INTERVAL_S", 0.1)
    consoles = make_consoles()
    server = consoles.boot(screen=screen)
    viewer = consoles.view(consoles.token(server))
    assert read(viewer, len(BANNER)) == BANNER
    other = consoles.view(consoles.token(consoles.boot(screen=screen)))

    change(consoles, server, **ENDS[end])

    assert closing(viewer) == OVER
    read(other, len(BANNER))
    other.send_binary(b"still here")
    assert read(other, 10) == b"still here"
    other.close()


def test_an_open_console_outlives_its_token_and_is_still_watched(make_consoles, screen, monkeypatch):
    monkeypatch.setattr(open_consoles, "_INTERVAL_S", 0.1)
    consoles = make_consoles("[consoleauth]\ntoken_ttl = 1\n")
    server = consoles.boot(screen=screen)
    token = consoles.token(server)
    viewer = consoles.view(token)
    read(viewer, len(BANNER))
    while consoles.consoleauth.check(token):
        time.sleep(0.05)
    consoles.conductor.purge_console_access()

    viewer.send_binary(b"still there")
    assert read(viewer, 11) == b"still there"
    change(consoles, server, **ENDS["stopped"])

    assert closing(viewer) == OVER
