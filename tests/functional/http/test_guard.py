"""What fails above an API's own code, in the real keystonemiddleware, is an error of that API and a trace in the log."""

import logging
import sys

import pytest
import webob

from nova.api import compute, metadata
from nova.conf import load
from nova.network import api as networking
from nova.placement import application as placement

CACHED_TOKENS = """
[keystone_authtoken]
auth_type = none
memcached_servers = 127.0.0.1:11211
[placement_database]
connection = sqlite:///{directory}/placement.db
"""


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """Tokens are kept in memcached, by a client that is not installed."""
    monkeypatch.setitem(sys.modules, "memcache", None)
    path = tmp_path / "nova.conf"
    path.write_text(CACHED_TOKENS.format(directory=tmp_path))
    return load(files=[str(path)])


class Unplugged:
    """A Networking API whose client has a defect."""

    def device_at(self, address):
        raise RuntimeError("no cable")


APIS = {
    "compute": (lambda conf: compute.application(conf, None), "/v2.1/servers", "computeFault"),
    "placement": (placement, "/resource_providers", "errors"),
    "network": (lambda conf: networking.application(conf, None, None), "/v2.0/networks", "NeutronError"),
    "metadata": (lambda conf: metadata.application(conf, None, Unplugged()), "/openstack", None),
}


@pytest.mark.parametrize("api", APIS)
def test_a_failure_above_the_api_is_worded_by_the_api_and_logged(conf, caplog, api):
    make, path, key = APIS[api]
    app = make(conf)

    request = webob.Request.blank(path, headers={"X-Auth-Token": "gAAAA-a-token"}, remote_addr="192.0.2.1")
    answer = request.get_response(app)

    assert answer.status_int == 500
    if key is None:
        assert answer.content_type == "text/plain"
        assert answer.text.startswith("An unexpected error")
    else:
        assert list(answer.json) == [key]
    [failure] = [one for one in caplog.records if one.levelno == logging.ERROR and one.name == "nova.http.front"]
    assert failure.getMessage() == f"GET {path} failed"
    assert failure.exc_info is not None
    assert answer.headers["x-openstack-request-id"] == request.environ["openstack.request_id"]


def test_the_log_hides_the_token_in_a_console_s_path(conf, caplog):
    caplog.set_level(logging.INFO)
    app = compute.application(conf, None)

    webob.Request.blank("/v2.1/os-console-auth-tokens/s3cret").get_response(app)

    said = [one.getMessage() for one in caplog.records if one.name.startswith("nova.")]
    assert any('"GET /v2.1/os-console-auth-tokens/***" status: 500' in line for line in said)
    assert not any("s3cret" in line for line in said)
