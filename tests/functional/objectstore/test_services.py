"""Services of the cloud read objects in a project's name, with a token of their own; nobody else does."""

import uuid

import pytest
import requests

from nova.clients.objects import PROJECT_HEADER
from tests.functional.real_keystone import PASSWORD


@pytest.fixture
def service_token(real_keystone):
    project_id, user_id = real_keystone.add_user(f"service-{uuid.uuid4().hex}", role="service")
    return token_of(real_keystone, user_id, project_id)


@pytest.fixture
def ask(store, s3, user, service_token):
    """Ask with a token for an object of the user's, as a service would."""
    s3.put_object(Bucket="photos", Key="a/b c.jpg", Body=b"picture")

    def ask(token=None, method="GET", path="/photos/a/b%20c.jpg", project_id=user.project_id, data=None):
        headers = {"X-Auth-Token": service_token if token is None else token, PROJECT_HEADER: project_id}
        return requests.request(method, store.url + path, headers=headers, data=data, timeout=60)

    return ask


def token_of(real_keystone, user_id, project_id):
    identity = {"methods": ["password"], "password": {"user": {"id": user_id, "password": PASSWORD}}}
    body = {"auth": {"identity": identity, "scope": {"project": {"id": project_id}}}}
    return requests.post(f"{real_keystone.address}/v3/auth/tokens", json=body, timeout=60).headers["X-Subject-Token"]


def test_a_service_reads_what_is_the_projects(ask):
    assert ask().content == b"picture"
    assert ask(method="HEAD").headers["Content-Length"] == "7"


def test_a_service_finds_no_bucket_of_another_project(ask):
    answer = ask(project_id="other")

    assert (answer.status_code, "<Code>NoSuchBucket</Code>" in answer.text) == (404, True)


def test_nobody_else_reads_in_a_projects_name(ask, real_keystone, user):
    member = token_of(real_keystone, user.id, user.project_id)
    for token in (member, real_keystone.token(), "wrong", ""):
        assert ask(token).status_code == 403


def test_a_service_does_nothing_but_read_objects(ask, s3):
    for method, path in (
        ("PUT", "/photos/a/b%20c.jpg"),
        ("DELETE", "/photos/a/b%20c.jpg"),
        ("DELETE", "/photos"),
        ("GET", "/photos"),
        ("GET", "/"),
        ("GET", "/photos/a/b%20c.jpg?acl"),
    ):
        assert ask(method=method, path=path, data=b"other" if method == "PUT" else None).status_code == 403
    assert s3.get_object(Bucket="photos", Key="a/b c.jpg")["Body"].read() == b"picture"
