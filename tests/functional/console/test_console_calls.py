"""What the conductor and nova-consoleauth answer about consoles, over a real database."""

import datetime
import re
import sqlite3
import uuid

import pytest

from nova import errors
from nova.clock import utcnow
from nova.console.auth import ConsoleAuth
from nova.rpc.bus import BusFailure
from nova.structs.console import ConsoleAccess
from nova.structs.context import Context
from nova.structs.guest import ConsoleAddress, ConsoleKind
from nova.structs.instance import PowerState
from tests.functional.console.consoles import Consoles
from tests.functional.console.proxies import questions

ADDRESS = ConsoleAddress(host="192.0.2.7", port=5901, tls_port=5902, path="/some/path")
ADDRESSES = (
    "[vnc]\nnovncproxy_base_url = https://cloud.example:6080/vnc_auto.html\n"
    "[spice]\nhtml5proxy_base_url = https://cloud.example:6082/spice_auto.html?lang=en\n"
    "[serial_console]\nbase_url = wss://cloud.example:6083/\n"
)


class AScreen:
    address = ADDRESS


@pytest.fixture
def cloud(tmp_path):
    """The conductor's side of consoles; no proxy runs."""
    cloud = Consoles(tmp_path, "threading", ADDRESSES)
    yield cloud
    cloud.close()


@pytest.mark.parametrize(
    ("kind", "protocol", "type", "url"),
    [
        (
            ConsoleKind.NOVNC,
            "vnc",
            "novnc",
            r"https://cloud\.example:6080/vnc_auto\.html\?path=%3Ftoken%3D([0-9a-f]{40})",
        ),
        (
            ConsoleKind.SPICE_HTML5,
            "spice",
            "spice-html5",
            r"https://cloud\.example:6082/spice_auto\.html\?lang=en&token=([0-9a-f]{40})",
        ),
        (ConsoleKind.SPICE_DIRECT, "spice", "spice-direct", r"http://127\.0\.0\.1:13002/nova\?token=([0-9a-f]{40})"),
        (ConsoleKind.SERIAL, "serial", "serial", r"wss://cloud\.example:6083/\?token=([0-9a-f]{40})"),
    ],
)
def test_the_address_of_a_console_holds_a_token_for_it(cloud, kind, protocol, type, url):
    server = cloud.boot(kind, AScreen)

    console = cloud.conductor.console(Context(), server.uuid, protocol, type)

    assert (console.protocol, console.type) == (protocol, type)
    token = re.fullmatch(url, console.url).group(1)
    access = cloud.conductor.console_token(Context(), token)
    assert (access.instance_id, access.kind, access.address) == (server.uuid, kind, ADDRESS)


def test_every_console_gets_a_token_of_its_own(cloud):
    server = cloud.boot(screen=AScreen)

    assert len({cloud.token(server) for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("protocol", "type", "error", "message"),
    [
        ("vnc", "xvpvnc", errors.ConsoleTypeUnavailable, "Unavailable console type xvpvnc."),
        ("rdp", "rdp-html5", errors.ConsoleTypeUnavailable, "Unavailable console type rdp-html5."),
        ("mks", "webmks", errors.ConsoleTypeUnavailable, "Unavailable console type webmks."),
        ("spice", "spice-html5", errors.ConsoleTypeUnavailable, "Unavailable console type spice-html5."),
        ("vnc", "serial", errors.ConsoleTypeInvalid, "Invalid console type serial"),
        ("", "", errors.ConsoleTypeInvalid, "Invalid console type "),
    ],
)
def test_a_console_that_is_not_offered_is_refused(cloud, protocol, type, error, message):
    server = cloud.boot(screen=AScreen)

    with pytest.raises(error) as refused:
        cloud.conductor.console(Context(), server.uuid, protocol, type)

    assert (refused.value.status, refused.value.message) == (400, message)


@pytest.mark.parametrize(
    "fields",
    [
        {"host": None},
        {"power_state": PowerState.SHUTDOWN},
        {"task_state": "deleting"},
        {"task_state": "migrating"},
    ],
)
def test_a_server_that_is_not_there_yet_or_any_more_has_no_console_now(cloud, fields):
    screen = None if "power_state" in fields else AScreen
    server = cloud.boot(screen=screen, **fields)

    with pytest.raises(errors.Conflict) as refused:
        cloud.console_url(server)

    assert refused.value.status == 409


def test_a_guest_its_host_does_not_know_has_no_console_now(cloud):
    server = cloud.boot(screen=AScreen)
    cloud.hosts.end(server.uuid)

    with pytest.raises(errors.ServerNotReady):
        cloud.console_url(server)


def test_an_unknown_or_deleted_server_is_not_found(cloud):
    deleted = cloud.boot(screen=AScreen, deleted_at=utcnow())

    for server_id in (deleted.uuid, str(uuid.uuid4())):
        with pytest.raises(errors.ServerNotFound):
            cloud.conductor.console(Context(), server_id, "vnc", "novnc")


@pytest.mark.parametrize("silent", ["host", "consoleauth"])
def test_a_daemon_that_does_not_answer_is_named(cloud, silent):
    class Silent:
        def __call__(self, host):
            return self

        def console_address(self, *_):
            raise BusFailure(service="nova-compute", reason="it did not answer in time")

        def authorize(self, *_):
            raise BusFailure(service="nova-consoleauth", reason="it did not answer in time")

    server = cloud.boot(screen=AScreen)
    if silent == "host":
        cloud.conductor._questions = questions(Silent())
    else:
        cloud.conductor._consoleauth = Silent()

    with pytest.raises(errors.Unavailable) as failed:
        cloud.console_url(server)

    assert failed.value.status == 503
    assert {"host": "nova-compute", "consoleauth": "nova-consoleauth"}[silent] in failed.value.message


@pytest.mark.parametrize("token", ["", "0" * 40, "x" * 5000, "\udcff", "'; DROP TABLE console_tokens; --"])
def test_a_token_nobody_issued_opens_nothing(cloud, token):
    cloud.token(cloud.boot(screen=AScreen))

    with pytest.raises(errors.ConsoleTokenNotFound):
        cloud.conductor.console_token(Context(), token)


def test_the_database_holds_no_token(cloud, tmp_path):
    token = cloud.token(cloud.boot(screen=AScreen))

    database = sqlite3.connect(tmp_path / "nova.sqlite")
    kept = [str(row) for row in database.execute("SELECT * FROM console_tokens")]

    assert len(kept) == 1
    assert token not in kept[0]
    database.close()


def test_a_token_is_good_for_the_configured_time(cloud):
    token = cloud.token(cloud.boot(screen=AScreen))

    left = cloud.consoleauth.check(token).expires_at - utcnow()

    assert datetime.timedelta(seconds=500) < left <= datetime.timedelta(seconds=600)


def test_another_consoleauth_knows_the_tokens_of_the_first(cloud):
    server = cloud.boot(screen=AScreen)
    token = cloud.token(server)

    access = ConsoleAuth(cloud.conf, cloud.conductor).check(token)

    assert access.instance_id == server.uuid


def test_tokens_of_a_server_are_revoked_together_and_those_of_others_are_not(cloud):
    gone, stays = cloud.boot(screen=AScreen), cloud.boot(screen=AScreen)
    tokens = [cloud.token(gone), cloud.token(gone), cloud.token(stays)]

    cloud.consoleauth.revoke(gone.uuid)

    assert [cloud.consoleauth.check(token) is not None for token in tokens] == [False, False, True]


def test_what_has_expired_is_purged_and_the_rest_stays(cloud):
    server = cloud.boot(screen=AScreen)
    good = cloud.token(server)
    for number in range(3):
        access = ConsoleAccess(instance_id=server.uuid, kind=ConsoleKind.NOVNC, address=ADDRESS, expires_at=utcnow())
        cloud.conductor.add_console_access(str(number), access)

    assert cloud.conductor.purge_console_access() == 3
    assert cloud.conductor.purge_console_access() == 0
    assert cloud.consoleauth.check(good) is not None
