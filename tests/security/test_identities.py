"""Who asks is who the Identity service says, in every request that is made for him; nobody borrows the cloud's own rights."""

import uuid

import pytest
import webob

from nova.api import compute as compute_api
from nova.conf import load
from tests.functional.real_keystone import PASSWORD

PATH = "/v2.1"


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud()
    cloud.add_host()
    return cloud


@pytest.fixture
def ask(cloud, real_keystone, tmp_path):
    """The cloud's Compute API, as a real Keystone guards it."""
    text = (cloud.directory / "nova.conf").read_text().replace("auth_strategy = noauth2", "auth_strategy = keystone")
    path = tmp_path / "guarded.conf"
    path.write_text(text + real_keystone.section("keystone_authtoken"))
    app = compute_api.application(load([], [str(path)]), cloud.conductor_calls, cloud.transport)

    def ask(method, path, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["OpenStack-API-Version"] = "compute 2.30"
        return webob.Request.blank(PATH + path, method=method, headers=named).get_response(app)

    return ask


@pytest.fixture
def mallory(real_keystone):
    return real_keystone.add_user(f"mallory-{uuid.uuid4().hex}")


def token(keystone, user_id, scope=None):
    identity = {"methods": ["password"], "password": {"user": {"id": user_id, "password": PASSWORD}}}
    body = {"auth": {"identity": identity} | ({"scope": scope} if scope else {"scope": "unscoped"})}
    return keystone._session.post(f"{keystone.address}/v3/auth/tokens", json=body, timeout=60).headers[
        "X-Subject-Token"
    ]


def test_a_token_in_a_header_that_the_api_does_not_have_is_none(cloud, ask, real_keystone, mallory):
    """keystonemiddleware takes X-Storage-Token for a token, too."""
    project_id, user_id = mallory
    secret = cloud.glance.add(name="of-others", visibility="private", owner="victim")
    mine = token(real_keystone, user_id, {"project": {"id": project_id}})

    assert ask("GET", "/flavors", X_Auth_Token=mine).status_int == 200
    for method in ("GET", "DELETE"):
        assert ask(method, f"/images/{secret}", X_Storage_Token=mine).status_int == 401
        assert ask(method, f"/images/{secret}", X_Storage_Token=mine, X_Auth_Token="").status_int == 401
    assert secret in cloud.glance.images


def test_a_token_of_no_project_is_not_one_of_all_projects(cloud, ask, real_keystone, mallory):
    server = cloud.client("alice", "victim").create_server()
    unscoped = token(real_keystone, mallory[1])

    for method, path in (
        ("GET", "/flavors"), ("GET", "/limits"), ("GET", "/servers/detail"), ("GET", "/os-server-groups"),
        ("GET", f"/servers/{server['id']}"), ("DELETE", f"/servers/{server['id']}"),
    ):  # fmt: skip
        answer = ask(method, path, X_Auth_Token=unscoped)
        assert answer.status_int < 500, (path, answer.text)
        assert server["id"] not in answer.text or answer.status_int == 404
    assert cloud.client("alice", "victim").server(server["id"])["status"] == "ACTIVE"
