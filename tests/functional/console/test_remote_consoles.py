"""Consoles as a user of the Compute API meets them."""

import re

import pytest

from nova.console.auth import ConsoleAuthService

NOVNC = {"remote_console": {"protocol": "vnc", "type": "novnc"}}


@pytest.fixture
def consoleauth(cloud):
    service = ConsoleAuthService(cloud.conf, cloud.bus, cloud.conductor_calls)
    service.start()
    yield service
    service.stop()


@pytest.fixture
def server(cloud, consoleauth):
    cloud.add_host()
    return cloud.client().create_server()


def token_in(url):
    return re.fullmatch(r"http://127\.0\.0\.1:6080/vnc_auto\.html\?path=%3Ftoken%3D([0-9a-f]{40})", url).group(1)


def test_a_user_gets_the_address_of_a_console_and_the_proxy_what_is_behind_it(cloud, server):
    answer = cloud.client().post(f"/servers/{server['id']}/remote-consoles", NOVNC)

    assert answer.status_code == 200
    console = answer.json()["remote_console"]
    assert (console["protocol"], console["type"]) == ("vnc", "novnc")
    shown = cloud.client("admin", "admin").get(f"/os-console-auth-tokens/{token_in(console['url'])}")
    assert shown.json()["console"]["instance_uuid"] == server["id"]
    assert shown.json()["console"]["port"] == 5900


def test_before_2_31_nothing_is_told_of_a_token(cloud, server):
    url = cloud.client().post(f"/servers/{server['id']}/remote-consoles", NOVNC).json()["remote_console"]["url"]

    answers = [
        cloud.client("admin", "admin", version).get(f"/os-console-auth-tokens/{token_in(url)}").status_code
        for version in ("2.30", "2.31")
    ]

    assert answers == [400, 200]


def test_old_clients_ask_with_an_action(cloud, server):
    answer = cloud.client(version="2.1").act(server["id"], "os-getVNCConsole", {"type": "novnc"})

    assert answer.status_code == 200
    assert answer.json()["console"]["type"] == "novnc"
    assert token_in(answer.json()["console"]["url"])


def test_a_deleted_servers_token_opens_nothing(cloud, server):
    url = cloud.client().post(f"/servers/{server['id']}/remote-consoles", NOVNC).json()["remote_console"]["url"]

    cloud.client().delete(f"/servers/{server['id']}")
    cloud.client().wait_gone(server["id"])

    shown = cloud.client("admin", "admin").get(f"/os-console-auth-tokens/{token_in(url)}")
    assert shown.status_code == 404


def test_a_console_of_another_hypervisor_is_refused(cloud, server):
    body = {"remote_console": {"protocol": "mks", "type": "webmks"}}

    answer = cloud.client().post(f"/servers/{server['id']}/remote-consoles", body)

    assert answer.status_code == 400
    assert answer.json()["badRequest"]["message"] == "Unavailable console type webmks."


def test_a_server_without_a_host_has_no_console_yet(cloud, consoleauth):
    broken = cloud.client().create_server(wait_for="ERROR")

    answer = cloud.client().post(f"/servers/{broken['id']}/remote-consoles", NOVNC)

    assert answer.status_code == 409


def test_another_projects_server_is_not_found(cloud, server):
    answer = cloud.client("stranger", "elsewhere").post(f"/servers/{server['id']}/remote-consoles", NOVNC)

    assert answer.status_code == 404


def test_a_token_nobody_issued_is_not_found(cloud, consoleauth):
    answer = cloud.client("admin", "admin").get("/os-console-auth-tokens/" + "0" * 40)

    assert answer.status_code == 404
    assert answer.json()["itemNotFound"]["message"] == "Token not found"
