"""What a user sends ends no line of the log, and so begins none that nobody wrote."""

import logging

import pytest
import webob

from tests.functional.wsgi_adapter import WsgiAdapter

FORGED = "2026-01-01 00:00:00.000 1 CRITICAL nova [-] all is lost"
SENT = f"x%0A{FORGED.replace(' ', '%20')}"


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud()
    cloud.add_host()
    return cloud


def test_a_path_that_cannot_be_answered(cloud, caplog, monkeypatch):
    """The path is ours to log, and what the neighbour answers repeats it."""
    said = webob.Response(status=500, text=f"no image x\n{FORGED}")
    monkeypatch.setattr(cloud.glance, "_answer", lambda request: said)

    with caplog.at_level(logging.WARNING):
        answer = cloud.client().get(f"/images/{SENT}", headers={"OpenStack-API-Version": "compute 2.1"})

    assert answer.status_code == 503
    _check(caplog)


def test_a_project_that_nobody_knows(cloud, caplog):
    cloud.transport.mount("http://identity", WsgiAdapter(webob.Response(status=500, text=f"no\n{FORGED}")))

    with caplog.at_level(logging.WARNING):
        answer = cloud.client("admin", "admin").get(f"/os-quota-sets/{SENT}")

    assert answer.status_code == 200
    _check(caplog)


def _check(caplog):
    lines = [record.getMessage() for record in caplog.records]
    assert any("all%20is%20lost" in line or FORGED in line for line in lines)
    assert not [line for line in lines if "\n" in line]
