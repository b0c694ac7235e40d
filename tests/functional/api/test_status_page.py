"""The pages of /status as a browser reads them: what they show, to whom, and that texts of users stay texts."""

import re

import pytest
import requests

from nova.api import compute as compute_api
from nova.conf import load
from nova.http.limits import Limits
from nova.http.server import HttpServer
from nova.http.service import listen
from tests.functional.cloud import wait
from tests.functional.real_keystone import PASSWORD

KEYSTONE = """
[keystone_authtoken]
auth_type = password
auth_url = {address}/v3
www_authenticate_uri = {address}/v3
# What a daemon remembers of a token would outlive its end.
token_cache_time = -1
username = admin
password = {password}
project_name = admin
user_domain_id = default
project_domain_id = default
[api]
auth_strategy = keystone
"""


class Browser:
    """One that keeps cookies and follows nothing by itself."""

    def __init__(self, session, address):
        self.session, self.address = session, address

    def get(self, path="", **options):
        return self.session.get(f"{self.address}/status{path}", allow_redirects=False, timeout=60, **options)

    def post(self, path, fields=None, **headers):
        url = f"{self.address}/status{path}"
        return self.session.post(url, data=fields, headers=headers, allow_redirects=False, timeout=60)


@pytest.fixture
def cloud(make_cloud):
    return make_cloud("[api]\nstatus_page = true\n", hosts=("host-1", "host-2"))


@pytest.fixture
def seen(cloud):
    """The pages as an administrator sees them."""

    def look(path="", user="admin:admin", status=200):
        headers = {"Cookie": f"nova_status={user}"}
        answer = cloud.transport.get(f"http://compute/status{path}", headers=headers, allow_redirects=False)
        assert answer.status_code == status, answer.text
        return answer.text

    return look


def section(page, name):
    """The words of a section of a page."""
    inner = re.search(rf'<section id="{name}">(.*?)</section>', page, re.S)[1]
    return " ".join(re.sub(r"<[^>]*>", " ", inner).split())


def test_hosts_are_shown_with_what_is_used_of_them(cloud, seen):
    cloud.client().create_server(flavor="m1.small")
    services = cloud.client("admin", "admin").get("/os-services?binary=nova-compute").json()["services"]
    silent = next(one for one in services if one["host"].endswith("host-2"))
    off = {"status": "disabled", "disabled_reason": "a fan is broken"}
    assert cloud.client("admin", "admin").put(f"/os-services/{silent['id']}", off).status_code == 200

    page = seen()

    hosts = section(page, "hosts")
    assert re.search(r"host-1 up nova 1 2 of \d+ ", hosts)
    # Whom somebody has to look at stands first.
    assert re.search(r"host-2 disabled a fan is broken nova 0 .*host-1", hosts)
    assert "hosts 2" in section(page, "capacity")
    assert re.search(r"nova-conductor \S+ up", section(page, "daemons"))


def test_operations_and_failures_of_all_projects_are_shown_with_their_reasons(cloud, seen):
    flavor = {"name": "giant", "id": "giant", "ram": 512, "vcpus": 1, "disk": 1 << 30}
    cloud.client("admin", "admin").post("/flavors", {"flavor": flavor})
    lost = cloud.client("user", "somebody").create_server(flavor="giant", wait_for="ERROR")

    with cloud.boundary.held():
        waits = cloud.client().create_server(wait_for=None)
        under_way = section(seen(), "operations")
    cloud.client().wait(waits["id"], "ACTIVE")
    page = seen()

    assert f"create {waits['id']} running" in under_way
    assert section(page, "operations") == "Operations under way None."
    failures = section(page, "failures")
    assert f"create {lost['id']}" in failures
    assert "No valid host was found" in failures


def test_a_servers_page_has_its_steps_and_the_picture_of_its_scheduling(cloud, seen):
    server = cloud.client().create_server()

    page = seen(f"/servers/{server['id']}")

    assert "create: succeeded" in section(page, "history")
    assert re.search(r"spawn \S+host-\d [\d:]+ [\d.]+ Success", section(page, "history"))
    chosen = cloud.client("admin", "admin").server(server["id"])["OS-EXT-SRV-ATTR:host"]
    scheduling = section(page, "scheduling")
    assert f"Chosen: {chosen}" in scheduling
    assert "2 → 2" in scheduling
    corners = re.findall(r'<polygon class="(\w+)" points="([^"]+)"', page)
    assert corners[0] == ("passes", "0,0 150,0 150,100 0,100")
    seen("/servers/11111111-1111-1111-1111-111111111111", status=404)


def test_a_filter_that_removes_all_is_where_the_picture_ends(cloud, seen):
    user = cloud.client()
    server = user.create_server()
    hints = {"same_host": [server["id"]], "different_host": [server["id"]]}
    refused = user.post("/servers", {"server": user.wanted(), "os:scheduler_hints": hints}).json()["server"]
    user.wait(refused["id"], "ERROR")

    page = seen(f"/servers/{refused['id']}")

    assert '<polygon class="blocks"' in page
    assert re.search(r"HostFilter removed \d", section(page, "scheduling"))


def test_names_that_users_give_stay_texts(cloud, seen):
    name = '<script>alert("1")</script>'
    server = cloud.client().create_server(name=name)

    page = seen(f"/servers/{server['id']}")

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;" in page


def test_they_are_for_administrators_alone(cloud, seen):
    assert "for administrators" in seen(user="user:project", status=403)
    seen("/servers/11111111-1111-1111-1111-111111111111", user="user:project", status=403)
    seen("/events", user="user:project", status=403)


def test_without_the_option_there_are_none(make_cloud):
    cloud = make_cloud()

    assert cloud.transport.get("http://compute/status", headers={"X-Auth-Token": "admin:admin"}).status_code == 404


@pytest.fixture
def browser(cloud, real_keystone, tmp_path):
    """A browser before an API whose tokens a real Keystone checks, over a real socket."""
    path = tmp_path / "nova.conf"
    name = cloud.conf.transport_url
    text = f"[DEFAULT]\ntransport_url = {name}\n[database]\nconnection = sqlite://\n"
    text += KEYSTONE.format(address=real_keystone.address, password=PASSWORD) + "status_page = true\n"
    path.write_text(text + real_keystone.section("keystone"))
    app = compute_api.application(load(files=[str(path)]), cloud.conductor_calls)
    server = HttpServer(listen("127.0.0.1", 0), app, Limits(requests=8, connections_per_source=0))
    server.start()
    with requests.Session() as session:
        session.trust_env = False
        yield Browser(session, f"http://127.0.0.1:{server.address[1]}")
    server.stop()


def form(user="admin", password=PASSWORD, project="admin", domain="Default"):
    return {"user": user, "password": password, "project": project, "domain": domain}


def test_who_logs_in_sees_them_until_the_logout_and_never_again_with_that_token(browser):
    refused = browser.get()

    came_in = browser.post("/login", form())
    page = browser.get()
    token = browser.session.cookies["nova_status"]
    browser.post("/logout")

    assert refused.status_code == 401
    assert "Password" in refused.text
    assert (came_in.status_code, came_in.headers["Location"]) == (303, "/status")
    cookie = came_in.headers["Set-Cookie"]
    assert {"HttpOnly", "Path=/status", "SameSite=Lax"} <= set(cookie.split("; "))
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "host-1" in page.text
    assert browser.get().status_code == 401
    assert browser.get(headers={"Cookie": f"nova_status={token}"}).status_code == 401


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (form(password="wrong"), 401),
        (form(user="nobody"), 401),
        (form(project="nowhere"), 401),
        (form(domain="elsewhere"), 401),
        ({"user": "admin"}, 400),
        ({**form(), "more": "x"}, 400),
        ({**form(), "user": "x" * 20000}, 413),
    ],
)
def test_a_login_that_is_wrong_is_told_and_gives_no_cookie(browser, fields, status):
    answer = browser.post("/login", fields)

    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert "nova_status" not in browser.session.cookies


def test_a_form_of_another_site_logs_nobody_in_or_out(browser):
    # Browsers that are told to name no site name none in forms either: those of our own pages do.
    assert browser.get("/login").headers["Referrer-Policy"] == "same-origin"
    elsewhere = {"Origin": "http://elsewhere.example"}
    assert browser.post("/login", form(), **elsewhere).status_code == 403
    browser.post("/login", form(), Origin=browser.address)
    token = browser.session.cookies["nova_status"]

    assert browser.post("/logout", **elsewhere).status_code == 403

    assert browser.session.cookies["nova_status"] == token
    assert browser.get(headers={"Cookie": f"nova_status={token}"}).status_code == 200


def test_a_page_hears_at_once_that_something_has_changed(cloud, browser):
    browser.post("/login", form())

    with browser.get("/events", stream=True) as events:
        lines = events.iter_lines(chunk_size=1)
        assert next(lines).startswith(b": from ")
        cloud.client().create_server()
        wait(lambda: next(lines) == b"data: changed", "the page hears of the server")


def test_its_files_are_served_and_no_others(browser):
    assert browser.get("/style.css").headers["Content-Type"].startswith("text/css")
    assert browser.get("/script.js").headers["Content-Type"].startswith("text/javascript")
    for path in ("/templates/cloud.html", "/../__init__.py", "/%2e%2e/login.py", "/static/style.css"):
        assert browser.get(path).status_code in (401, 404)
