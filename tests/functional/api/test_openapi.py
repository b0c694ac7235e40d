"""The OpenAPI document as its readers meet it: served to everybody, and made into a client that works."""

import importlib
import json
import re
import subprocess
import sys

import pytest

from nova.http.limits import Limits
from nova.http.server import HttpServer
from nova.http.service import listen
from tests.functional.cloud import wait
from tests.functional.nova_all import free_port

_URL = "http://compute/v2.1/openapi.json"


@pytest.mark.parametrize("version", ["2.1", "2.35", "2.104"])
def test_the_document_is_read_without_a_token(cloud, version):
    answer = cloud.transport.get(_URL, headers={"OpenStack-API-Version": f"compute {version}"})

    assert answer.status_code == 200
    assert answer.headers["OpenStack-API-Version"] == f"compute {version}"
    assert answer.json()["info"]["version"] == version
    assert answer.json()["servers"] == [{"url": "http://compute/v2.1"}]
    assert "/servers/{server_id}/action" in answer.json()["paths"]


@pytest.mark.parametrize("header, status", [("compute 2.105", 406), ("compute two", 400)])
def test_a_version_that_there_is_not_is_refused_without_a_token_too(cloud, header, status):
    answer = cloud.transport.get(_URL, headers={"OpenStack-API-Version": header})

    assert answer.status_code == status


@pytest.mark.parametrize("method, path", [("POST", "/openapi.json"), ("GET", "/openapi.json/servers"), ("GET", "/x")])
def test_nothing_else_is_open(cloud, method, path):
    assert cloud.transport.request(method, f"http://compute/v2.1{path}").status_code == 401


def test_the_document_names_the_address_it_was_asked_at(cloud):
    first = cloud.transport.get(_URL, headers={"Host": "one.example.com"}).json()
    second = cloud.transport.get(_URL, headers={"Host": "two.example.com"}).json()

    assert first["servers"] == [{"url": "http://one.example.com/v2.1"}]
    assert second["servers"] == [{"url": "http://two.example.com/v2.1"}]


@pytest.fixture
def address(cloud):
    """The cloud's Compute API on a port."""
    port = free_port()
    server = HttpServer(listen("127.0.0.1", port), cloud.adapters["http://compute"].app, Limits(requests=10))
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def generate(address, cloud, tmp_path, monkeypatch):
    """Makes a client of a version's document; gives the document and the output of the generator."""

    def run(version, name):
        document = cloud.transport.get(_URL, headers={"OpenStack-API-Version": f"compute {version}"}).json()
        document["servers"] = [{"url": f"{address}/v2.1"}]
        (tmp_path / "openapi.json").write_text(json.dumps(document))
        (tmp_path / "settings.yaml").write_text("post_hooks: []\n")
        command = "generate --meta none --fail-on-warning --path openapi.json --config settings.yaml --output-path"
        made = subprocess.run(
            [sys.executable, "-m", "openapi_python_client", *command.split(), name],
            cwd=tmp_path, capture_output=True, text=True, timeout=50,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr
        monkeypatch.syspath_prepend(tmp_path)
        return document, tmp_path / name

    return run


@pytest.mark.parametrize("version", ["2.1", "2.104"])
def test_a_generated_client_has_a_function_for_every_operation(generate, version):
    document, directory = generate(version, f"client_of_{version.replace('.', '_')}")

    ids = [one["operationId"] for item in document["paths"].values() for one in item.values()]
    modules = {path.stem: path for path in (directory / "api").glob("*/*.py") if path.stem != "__init__"}
    assert {_plain(one) for one in ids} == {_plain(name) for name in modules}
    assert all("\ndef sync_detailed(" in path.read_text() for path in modules.values())


def _plain(identifier):
    return re.sub("[^a-z0-9]", "", identifier.lower())


def test_a_generated_client_works_with_a_cloud(cloud, address, generate):
    cloud.add_host()
    generate("2.104", "generated")
    models, functions = importlib.import_module("generated.models"), importlib.import_module("generated.api.servers")

    def call(function, **arguments):
        module = importlib.import_module(f"{functions.__name__}.{function}")
        return module.sync_detailed(client=client, **arguments)

    client = importlib.import_module("generated").AuthenticatedClient(
        base_url=f"{address}/v2.1", token="user:project", prefix="", auth_header_name="X-Auth-Token"
    )
    wanted = models.ServersCreateRequest(
        server=models.ServersCreateRequestServer.from_dict(cloud.client().wanted(name="generated", metadata={"a": "b"}))
    )

    assert call("servers_index").parsed.servers == []
    created = call("servers_create", body=wanted)
    assert created.status_code == 202
    server_id = str(created.parsed.server.id)
    cloud.client().wait(server_id, "ACTIVE")
    [listed] = call("servers_index").parsed.servers
    assert (listed.name, str(listed.id)) == ("generated", server_id)
    shown = call("servers_show", server_id=server_id).parsed.server
    assert (shown.status, shown.metadata.to_dict()) == ("ACTIVE", {"a": "b"})
    stop = models.OsStopAction(os_stop=None)
    assert call("post_servers_server_id_action", server_id=server_id, body=stop).status_code == 202
    cloud.client().wait(server_id, "SHUTOFF")
    refused = call("post_servers_server_id_action", server_id=server_id, body=stop)
    assert refused.status_code == 409
    assert refused.parsed.additional_properties["conflictingRequest"].code == 409
    assert call("servers_remove", server_id=server_id).status_code == 204
    wait(lambda: call("servers_index").parsed.servers == [], "the server is gone")
