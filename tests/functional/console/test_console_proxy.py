"""A guest's screen in the browser: who sees it, how it ends, and who does not get to see it."""

import contextlib
import json
import logging
import os
import select
import socket
import struct
import subprocess
import threading
import time

import pytest
import requests
import websocket

from nova.structs.guest import ConsoleAddress, ConsoleKind
from tests.functional.console.consoles import BANNER, LedScreen, Screen, closing, read

KINDS = [
    ("novnc", ConsoleKind.NOVNC, ("vnc", "novnc")),
    ("spice_html5", ConsoleKind.SPICE_HTML5, ("spice", "spice-html5")),
    ("serial", ConsoleKind.SERIAL, ("serial", "serial")),
]


@pytest.mark.parametrize(("proxy", "kind", "names"), KINDS)
def test_a_token_shows_the_guests_screen(consoles, screen, proxy, kind, names):
    server = consoles.boot(kind, screen)

    viewer = consoles.view(consoles.token(server, *names), proxy)
    viewer.send_binary(b"a key is pressed")

    assert read(viewer, len(BANNER) + 16) == BANNER + b"a key is pressed"
    viewer.close()


@pytest.mark.parametrize("backend", ["threading", "eventlet"])
@pytest.mark.parametrize("is_secured", [False, True])
def test_a_console_behind_its_hypervisors_web_server_is_led_to(make_consoles, backend, tmp_path, is_secured):
    certificate = tmp_path / "hypervisor.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=xen1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-keyout", certificate, "-out", certificate], check=True, capture_output=True)
    consoles = make_consoles(f"[xenserver]\nca_file = {certificate}\n", backend)
    with contextlib.closing(LedScreen(certificate if is_secured else None)) as screen:
        viewer = consoles.view(consoles.token(consoles.boot(screen=screen)))
        viewer.send_binary(b"x" * 100_000)

        assert read(viewer, len(BANNER) + 100_000) == BANNER + b"x" * 100_000
        viewer.close()


def test_a_console_that_the_hypervisor_does_not_lead_to_is_closed(consoles):
    with contextlib.closing(LedScreen()) as screen:
        screen.path = "/another"
        viewer = consoles.view(consoles.token(consoles.boot(screen=screen)))

        assert closing(viewer) == (1011, "The guest's console does not answer.")


def test_the_token_may_come_in_a_cookie(consoles, screen):
    server = consoles.boot(ConsoleKind.SPICE_HTML5, screen)
    token = consoles.token(server, "spice", "spice-html5")

    viewer = consoles.view(None, "spice_html5", path="/websockify", cookie=f"token={token}")

    assert read(viewer, len(BANNER)) == BANNER
    viewer.close()


def test_a_viewer_need_not_name_a_subprotocol(consoles, screen):
    server = consoles.boot(screen=screen)

    viewer = consoles.view(consoles.token(server), subprotocols=None)

    assert read(viewer, len(BANNER)) == BANNER
    viewer.close()


def test_two_viewers_see_a_guest_each_and_do_not_disturb_one_another(consoles):
    screens = [Screen(), Screen()]
    viewers = [consoles.view(consoles.token(consoles.boot(screen=screen))) for screen in screens]
    for number, viewer in enumerate(viewers):
        viewer.send_binary(b"viewer %d" % number)

    shown = [read(viewer, len(BANNER) + 8) for viewer in viewers]
    viewers[0].close()
    viewers[1].send_binary(b"still there")

    assert shown == [BANNER + b"viewer 0", BANNER + b"viewer 1"]
    assert read(viewers[1], 11) == b"still there"
    viewers[1].close()
    for screen in screens:
        screen.close()


def test_twenty_viewers_share_one_guest_with_one_token(consoles, screen):
    token = consoles.token(consoles.boot(screen=screen))
    viewers = [consoles.view(token) for _ in range(20)]

    for number, viewer in enumerate(viewers):
        viewer.send_binary(b"viewer %02d" % number)

    shown = [read(viewer, len(BANNER) + 9) for viewer in viewers]
    assert shown == [BANNER + b"viewer %02d" % number for number in range(20)]
    for viewer in viewers:
        viewer.close()


def test_much_data_arrives_whole_though_the_viewer_reads_late(consoles, screen):
    viewer = consoles.view(consoles.token(consoles.boot(screen=screen)))
    sent = os.urandom(4 << 20)
    sender = threading.Thread(
        target=lambda: [viewer.send_binary(sent[at : at + 65536]) for at in range(0, len(sent), 65536)]
    )

    sender.start()
    time.sleep(0.5)
    shown = read(viewer, len(BANNER) + len(sent))

    sender.join()
    assert shown == BANNER + sent
    viewer.close()


def test_a_ping_is_answered_while_the_screen_is_shown(consoles, screen):
    viewer = consoles.view(consoles.token(consoles.boot(screen=screen)))
    read(viewer, len(BANNER))

    viewer.ping(b"are you there")

    assert viewer.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_PONG, b"are you there")
    viewer.close()


@pytest.mark.parametrize("case", ["expired", "unknown", "absent", "revoked", "of another kind", "of a deleted server"])
def test_without_a_good_token_the_viewer_gets_no_byte(consoles, screen, case):
    server = consoles.boot(screen=screen)
    tokens = {
        "expired": lambda: consoles.expired_token(server, screen),
        "unknown": lambda: "0" * 40,
        "absent": lambda: None,
        "revoked": lambda: revoked_token(consoles, server),
        "of another kind": lambda: consoles.token(consoles.boot(ConsoleKind.SERIAL, screen), "serial", "serial"),
        "of a deleted server": lambda: token_of_deleted_server(consoles, screen),
    }

    viewer = consoles.view(tokens[case]())

    assert viewer.sock.recv(1) == b""


def revoked_token(consoles, server):
    token = consoles.token(server)
    consoles.consoleauth.revoke(server.uuid)
    return token


def token_of_deleted_server(consoles, screen):
    from nova.clock import utcnow
    from nova.db import instances

    server = consoles.boot(screen=screen)
    token = consoles.token(server)
    consoles.database.write(lambda c: instances.change(c, server.uuid, deleted_at=utcnow()))
    return token


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "http://[broken", "https://127.0.0.1.evil.org"])
def test_a_page_of_another_site_may_not_open_a_console(consoles, screen, origin):
    token = consoles.token(consoles.boot(screen=screen))

    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        consoles.view(token, origin=origin)

    assert refused.value.status_code == 403


def test_the_pages_own_site_and_clients_that_are_no_browsers_may(consoles, screen):
    token = consoles.token(consoles.boot(screen=screen))

    same_site = consoles.view(token, origin=f"http://127.0.0.1:{consoles.port['novnc']}")
    no_browser = consoles.view(token, suppress_origin=True)

    assert read(same_site, len(BANNER)) == read(no_browser, len(BANNER)) == BANNER
    same_site.close()
    no_browser.close()


def test_an_operator_allows_further_sites(make_consoles, screen):
    consoles = make_consoles("[console]\nallowed_origins = dashboard.example\n")
    token = consoles.token(consoles.boot(screen=screen))

    viewer = consoles.view(token, origin="https://dashboard.example")

    assert read(viewer, len(BANNER)) == BANNER
    viewer.close()


def test_a_guest_that_does_not_answer_closes_the_console(consoles):
    screen = Screen()
    token = consoles.token(consoles.boot(screen=screen))
    screen.close()

    viewer = consoles.view(token)

    assert closing(viewer) == (1011, "The guest's console does not answer.")


def test_a_guest_that_goes_away_closes_the_console(consoles, screen):
    viewer = consoles.view(consoles.token(consoles.boot(screen=screen)))

    viewer.send_binary(b"power off")

    assert closing(viewer) == (1000, "The guest closed its console.")


def test_the_guests_side_is_closed_when_the_viewer_leaves(consoles):
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(10)
    server = consoles.boot()
    address = ConsoleAddress(host="127.0.0.1", port=listening.getsockname()[1])
    consoles.hosts.run(server.uuid, {ConsoleKind.NOVNC: address})
    viewer = consoles.view(consoles.token(server))
    guest, _ = listening.accept()
    guest.settimeout(10)

    viewer.close()

    assert guest.recv(1) == b""
    guest.close()
    listening.close()


def test_a_viewer_whose_line_is_cut_is_forgotten(consoles):
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(10)
    server = consoles.boot()
    address = ConsoleAddress(host="127.0.0.1", port=listening.getsockname()[1])
    consoles.hosts.run(server.uuid, {ConsoleKind.NOVNC: address})
    viewer = consoles.view(consoles.token(server))
    guest, _ = listening.accept()
    guest.settimeout(10)

    viewer.sock.close()

    assert guest.recv(1) == b""
    guest.close()
    listening.close()


def test_a_huge_message_ends_the_console_and_nothing_else(consoles, screen):
    token = consoles.token(consoles.boot(screen=screen))
    greedy, modest = consoles.view(token), consoles.view(token)
    read(modest, len(BANNER))

    header = b"\x82\xff" + (1 << 40).to_bytes(8) + b"mask"
    greedy.sock.sendall(header)
    with pytest.raises(OSError):
        while True:
            greedy.sock.sendall(b"\0" * 65536)

    modest.send_binary(b"unharmed")
    assert read(modest, 8) == b"unharmed"
    modest.close()


def test_text_messages_are_refused(consoles, screen):
    viewer = consoles.view(consoles.token(consoles.boot(screen=screen)))
    read(viewer, len(BANNER))

    viewer.send("text")

    assert closing(viewer)[0] == 1003


@pytest.mark.parametrize("backend", ["threading", "eventlet"])
def test_an_open_console_closes_when_its_time_is_over(make_consoles, screen, backend):
    consoles = make_consoles("[consoleauth]\nenforce_session_timeout = true\ntoken_ttl = 2\n", backend)

    viewer = consoles.view(consoles.token(consoles.boot(screen=screen)))

    assert read(viewer, len(BANNER)) == BANNER
    assert closing(viewer) == (1008, "The console's time is over; ask for a new one.")


def test_an_open_console_outlives_its_token_by_default(make_consoles, screen):
    consoles = make_consoles("[consoleauth]\ntoken_ttl = 2\n")
    token = consoles.token(consoles.boot(screen=screen))
    viewer = consoles.view(token)
    read(viewer, len(BANNER))
    while consoles.consoleauth.check(token):
        time.sleep(0.1)

    viewer.send_binary(b"still there")

    assert read(viewer, 11) == b"still there"
    viewer.close()


@pytest.mark.parametrize("backend", ["threading", "eventlet"])
def test_a_token_is_still_good_when_the_daemons_come_back(make_consoles, screen, backend):
    consoles = make_consoles(backend=backend)
    token = consoles.token(consoles.boot(screen=screen))
    before = consoles.view(token)
    read(before, len(BANNER))

    consoles.restart_proxies()
    after = consoles.view(token)

    assert closing(before) == (1001, "The console proxy is being restarted.")
    assert read(after, len(BANNER)) == BANNER
    after.close()


def test_the_page_of_a_console_connects_by_itself(consoles, screen):
    server = consoles.boot(screen=screen)
    address = consoles.console_url(server).split("6080", 1)[1]

    answer = requests.get(consoles.page(address), timeout=10)

    assert answer.status_code == 200
    assert answer.url == consoles.page(f"/vnc.html?autoconnect=true&path=%3Ftoken%3D{address[-40:]}")
    assert "noVNC" in answer.text


def test_the_spice_page_keeps_its_token_in_the_path_of_its_websocket(consoles, screen):
    server = consoles.boot(ConsoleKind.SPICE_HTML5, screen)
    token = consoles.token(server, "spice", "spice-html5")

    answer = requests.get(consoles.page(f"/spice_auto.html?token={token}", "spice_html5"), timeout=10)

    assert answer.status_code == 200
    assert answer.url.endswith(f"/spice_auto.html?token={token}&path=%2F%3Ftoken%3D{token}")


def test_the_page_of_an_expired_console_says_so(consoles, screen):
    token = consoles.expired_token(consoles.boot(screen=screen), screen)

    answer = requests.get(consoles.page(f"/vnc_auto.html?path=%3Ftoken%3D{token}"), timeout=10)

    assert answer.status_code == 403
    assert "has expired; ask for a new one" in answer.text


@pytest.mark.parametrize("path", ["/", "/app/", "/nothing.html", "/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"])
def test_nothing_but_the_pages_files_is_served(consoles, path):
    connection = socket.create_connection(("127.0.0.1", consoles.port["novnc"]), timeout=10)

    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    assert connection.makefile("rb").readline().split()[1] == b"404"
    connection.close()


@pytest.mark.parametrize(
    "request_",
    [b"\x16\x03\x01 not http\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70000 + b"\r\n\r\n"],
)
def test_nonsense_does_not_hurt_the_proxy(consoles, screen, request_):
    connection = socket.create_connection(("127.0.0.1", consoles.port["novnc"]), timeout=10)
    connection.sendall(request_)
    connection.close()

    viewer = consoles.view(consoles.token(consoles.boot(screen=screen)))

    assert read(viewer, len(BANNER)) == BANNER
    viewer.close()


def test_a_target_that_nobody_can_read_is_refused(consoles):
    connection = socket.create_connection(("127.0.0.1", consoles.port["novnc"]), timeout=10)

    connection.sendall(b"GET http://[/vnc.html HTTP/1.1\r\nHost: x\r\n\r\n")

    assert connection.makefile("rb").readline().split()[1] == b"400"
    connection.close()


def test_the_token_never_reaches_the_log(make_consoles, screen, caplog):
    caplog.set_level(logging.DEBUG)
    consoles = make_consoles()
    token = consoles.token(consoles.boot(screen=screen))

    requests.get(consoles.page(f"/vnc_auto.html?path=%3Ftoken%3D{token}"), timeout=10)
    viewer = consoles.view(token)
    read(viewer, len(BANNER))
    viewer.close()
    consoles.stop()

    said = [record.getMessage() for record in caplog.records if record.name.startswith("nova.")]
    assert any("opens a console" in line for line in said)
    assert not [line for line in said if token in line]


@pytest.mark.parametrize("backend", ["threading", "eventlet"])
def test_the_proxy_speaks_tls_when_it_has_a_certificate(make_consoles, screen, tmp_path, backend):
    certificate = tmp_path / "proxy.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    subprocess.run([*command.split(), "-keyout", certificate, "-out", certificate], check=True, capture_output=True)
    consoles = make_consoles(f"[DEFAULT]\ncert = {certificate}\nssl_only = true\n", backend)
    address = f"wss://127.0.0.1:{consoles.port['novnc']}/?token={consoles.token(consoles.boot(screen=screen))}"

    viewer = websocket.create_connection(address, sslopt={"cert_reqs": 0}, timeout=10)
    viewer.send_binary(b"x" * 100_000)

    assert read(viewer, len(BANNER) + 100_000) == BANNER + b"x" * 100_000
    viewer.close()
    with pytest.raises(OSError):
        requests.get(consoles.page("/vnc.html"), timeout=10)


@pytest.fixture
def qemu(tmp_path):
    """A real QEMU with screens of both kinds, as a guest has them, and no guest behind them."""
    path = tmp_path / "control"
    screens = "-vnc 127.0.0.1:0,to=90 -spice port=0,addr=127.0.0.1,disable-ticketing=on"
    spice_port = free_port()
    command = (
        f"qemu-system-x86_64 -nodefaults -display none -vga std -m 16 -S {screens} -qmp unix:{path},server=on,wait=off"
    )
    process = subprocess.Popen(command.replace("port=0", f"port={spice_port}").split())
    addresses = {"vnc": ConsoleAddress(host="127.0.0.1", port=vnc_port(path))}
    yield addresses | {"spice": ConsoleAddress(host="127.0.0.1", port=spice_port)}
    process.kill()
    process.wait(timeout=30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return unused.getsockname()[1]


def vnc_port(path) -> int:
    """Where QEMU says that its VNC screen is."""
    while not path.exists():
        time.sleep(0.02)
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(path))
        lines = control.makefile("rw")
        lines.readline()
        for command in ("qmp_capabilities", "query-vnc"):
            lines.write(json.dumps({"execute": command}))
            lines.flush()
            answer = json.loads(lines.readline())
        return int(answer["return"]["service"])


def test_the_spice_screen_of_a_real_qemu_is_shown(consoles, qemu):
    server = consoles.boot()
    consoles.hosts.run(server.uuid, {ConsoleKind.SPICE_HTML5: qemu["spice"]})
    viewer = consoles.view(consoles.token(server, "spice", "spice-html5"), "spice_html5")

    # SPICE protocol, "SpiceLinkMess": magic, version 2.2, size; connection 0, the main channel, no abilities.
    viewer.send_binary(b"REDQ" + struct.pack("<III", 2, 2, 18) + struct.pack("<IBBIII", 0, 1, 0, 0, 0, 18))

    magic, major = struct.unpack("<4sI", read(viewer, 4 + 4 + 4 + 4 + 178)[:8])
    assert (magic, major) == (b"REDQ", 2)
    viewer.close()


def test_the_screen_of_a_real_qemu_is_shown(consoles, qemu):
    server = consoles.boot()
    consoles.hosts.run(server.uuid, {ConsoleKind.NOVNC: qemu["vnc"]})
    viewer = consoles.view(consoles.token(server))

    greeting = read(viewer, 12)
    viewer.send_binary(greeting)
    offered = read(viewer, 2)
    viewer.send_binary(b"\x01")
    accepted = read(viewer, 4)
    viewer.send_binary(b"\x01")
    screen = read(viewer, 24)

    assert (greeting, offered, accepted) == (b"RFB 003.008\n", b"\x01\x01", b"\0\0\0\0")
    assert int.from_bytes(screen[:2]) > 0
    assert int.from_bytes(screen[2:4]) > 0
    viewer.close()


def test_each_page_and_console_is_a_line_of_the_log(make_consoles, screen, caplog):
    caplog.set_level(logging.INFO)
    consoles = make_consoles()
    token = consoles.token(consoles.boot(screen=screen))

    assert requests.get(consoles.page("/nothing.js?a=1"), timeout=10).status_code == 404
    viewer = consoles.view(token)
    read(viewer, len(BANNER))
    viewer.close()
    consoles.stop()

    said = [record.getMessage() for record in caplog.records if record.name == "nova.http.access_log"]
    assert [line for line in said if '"GET /nothing.js?a=1" status: 404' in line]
    assert [line for line in said if "token=***" in line and "status: 101" in line]


def test_a_viewer_who_sends_his_request_byte_by_byte_is_cut_off(make_consoles):
    consoles = make_consoles("[wsgi]\nclient_header_timeout = 1\n")

    with socket.create_connection(("127.0.0.1", consoles.port["novnc"]), timeout=20) as connection:
        with contextlib.suppress(OSError):
            for _ in range(600):
                connection.sendall(b"G")
                if select.select([connection], [], [], 0.1)[0]:
                    break

        assert connection.recv(1) == b""


def test_one_source_gets_so_many_connections_and_no_more(make_consoles, screen):
    consoles = make_consoles("[wsgi]\nmax_connections_per_source = 2\n")
    held = [socket.create_connection(("127.0.0.1", consoles.port["novnc"])) for _ in range(2)]

    answer = requests.get(consoles.page("/vnc.html"), timeout=10)

    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    for connection in held:
        connection.close()
