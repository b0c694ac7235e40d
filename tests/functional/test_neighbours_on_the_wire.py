"""What goes wrong between hosts, on real sockets: connections refused, broken off, and taken by somebody who never speaks."""

import contextlib
import json
import socket
import threading
import time

import pytest
import requests

from nova import conf as configuration
from nova import errors
from nova.api import compute as compute_api
from nova.clients import adapters
from nova.clients.http import Service
from nova.clients.image import Images
from nova.clients.network.client import Networking
from nova.clients.placement import PlacementClient
from nova.clients.share import Shares
from nova.clients.volume import Volumes
from nova.http import auth
from nova.rpc.bus import BusFailure, connect, timeout_part
from nova.rpc.client import make_client
from nova.rpc.consoleauth import ConsoleAuthCalls
from nova.structs.context import Context
from tests.functional.wsgi_adapter import WsgiAdapter

CONF = """
[DEFAULT]
transport_url = rabbit://guest:guest@127.0.0.1:{port}/
[keystone_authtoken]
auth_type = password
auth_url = http://127.0.0.1:{port}/v3
username = nova
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
http_connect_timeout = 1
http_request_max_retries = 0
"""
GROUP = """
[{group}]
auth_type = admin_token
endpoint = http://127.0.0.1:{port}
token = secret
timeout = 0.3
"""
# How each client asks its service for anything at all.
CLIENTS = {
    "glance": (Images, lambda client: client.get("id"), "The Image service"),
    "cinder": (Volumes, lambda client: client.get("id"), "The Block Storage service"),
    "neutron": (Networking, lambda client: client.port("id"), "The Networking service"),
    "manila": (Shares, lambda client: client.get("id", Context(auth_token="user:project")), "The Shared File Systems"),
    "placement": (PlacementClient, lambda client: client.providers(), "Placement"),
}


class Port:
    """A port on which something listens, or nothing; behave(connection) is what becomes of each connection."""

    def __init__(self, behave=None):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.number = self._socket.getsockname()[1]
        self.connections = []
        self._behave = behave
        if behave is None:
            self._socket.close()
        else:
            threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections.append(connection)
                threading.Thread(target=self._behave, args=(connection,), daemon=True).start()


def says_nothing(connection):
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


def hangs_up(connection):
    connection.recv(65536)
    connection.close()


@pytest.fixture
def listen():
    ports = []

    def make(behave=None):
        ports.append(Port(behave))
        return ports[-1]

    yield make
    for port in ports:
        port.close()


@pytest.fixture
def configured(tmp_path):
    def make(port, more=""):
        groups = "".join(GROUP.format(group=group, port=port.number) for group in CLIENTS)
        path = tmp_path / "nova.conf"
        path.write_text(CONF.format(port=port.number) + groups + more)
        return configuration.load([], [str(path)])

    return make


@pytest.mark.parametrize("group", CLIENTS)
def test_a_service_that_takes_connections_and_says_nothing_is_given_up_in_time(listen, configured, group):
    port = listen(says_nothing)
    make, ask, name = CLIENTS[group]
    client = make(adapters.service_adapter(configured(port), group))

    began = time.monotonic()
    with pytest.raises(errors.Unavailable, match=f"^{name}.* is not available: it did not answer in time."):
        ask(client)

    assert time.monotonic() - began < 2
    assert len(port.connections) == 1


@pytest.mark.parametrize("group", CLIENTS)
def test_without_a_setting_nobody_waits_as_long_as_the_callers_of_this_cloud(configured, listen, group):
    conf = configuration.load([], [])
    bus = connect(conf)

    assert conf[group].timeout < timeout_part(bus, 0.75) < conf.rpc_response_timeout


@pytest.mark.parametrize("group", CLIENTS)
def test_nobody_there_is_noticed_at_once(listen, configured, group):
    make, ask, name = CLIENTS[group]
    client = make(adapters.service_adapter(configured(listen(), "[glance]\nnum_retries = 1\n"), group))

    began = time.monotonic()
    with pytest.raises(errors.Unavailable, match=f"^{name}.* is not available: it cannot be reached."):
        ask(client)

    assert time.monotonic() - began < 5


def test_a_connection_that_breaks_under_a_question_is_made_again(listen, configured):
    port = listen(hangs_up)
    images = Images(adapters.service_adapter(configured(port, "[glance]\nnum_retries = 2\n"), "glance"))

    with pytest.raises(errors.Unavailable):
        images.get("id")

    assert len(port.connections) == 3


@pytest.mark.parametrize("behave", [hangs_up, says_nothing])
def test_what_may_have_been_done_is_not_asked_for_twice(listen, configured, behave):
    port = listen(behave)
    volumes = Volumes(adapters.service_adapter(configured(port), "cinder"))

    with pytest.raises(errors.Unavailable):
        volumes.create(1)

    assert len(port.connections) == 1


def test_half_an_upload_is_never_the_whole(listen, configured):
    port = listen(hangs_up)
    service = Service("The Image service", adapters.service_adapter(configured(port), "glance"))

    with pytest.raises(errors.Unavailable):
        service.request("PUT", "/v2/images/id/file", data=iter([b"first", b"second"]))

    assert len(port.connections) == 1


@pytest.mark.parametrize("behave", [None, hangs_up])
def test_a_broker_that_is_away_is_given_up_in_time(listen, configured, behave):
    bus = connect(configured(listen(behave), "[oslo_messaging_rabbit]\nrabbit_retry_backoff = 0\n"))
    consoleauth = make_client(bus, "consoleauth", ConsoleAuthCalls, timeout_s=2)

    began = time.monotonic()
    with pytest.raises(BusFailure, match="nova-consoleauth is not available: the message bus cannot be reached"):
        consoleauth.ping()

    assert time.monotonic() - began < 30


@pytest.mark.parametrize("behave", [None, hangs_up, says_nothing])
def test_a_token_that_nobody_can_check_is_not_called_wrong(listen, configured, behave):
    conf = configured(listen(behave))
    app = WsgiAdapter(compute_api.application(conf, conductor=None))
    request = compute_request(app)

    began = time.monotonic()
    answer = request("/v2.1/servers", "gAAAA-somebodys-token")

    assert (answer.status_code, answer.json()) == (
        503,
        {"serviceUnavailable": {"code": 503, "message": auth.UNAVAILABLE}},
    )
    assert "x-openstack-request-id" in answer.headers
    assert time.monotonic() - began < 10
    # What needs no token is answered all the same.
    assert request("/", None).status_code == 200


def compute_request(app):
    session = requests.Session()
    session.mount("http://compute", app)

    def request(path, token):
        return session.get(f"http://compute{path}", headers={} if token is None else {"X-Auth-Token": token})

    return request


def test_a_wrong_token_is_401_in_the_apis_own_words(listen, configured):
    conf = configured(listen(lambda connection: speaks_keystone(connection)))
    request = compute_request(WsgiAdapter(compute_api.application(conf, conductor=None)))

    for token in ("expired", None):
        answer = request("/v2.1/servers", token)

        assert answer.status_code == 401
        assert list(answer.json()) == ["unauthorized"]
        assert answer.headers["WWW-Authenticate"].startswith("Keystone uri")


def speaks_keystone(connection):
    """A Keystone that lets this cloud log in, and knows no other token."""
    with contextlib.suppress(OSError), connection, connection.makefile("rwb") as stream:
        while line := stream.readline():
            method, path, _ = line.split(b" ", 2)
            length = 0
            while (header := stream.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            stream.read(length)
            address = f"http://127.0.0.1:{connection.getsockname()[1]}/v3"
            if method == b"POST":
                status, extra = "201 Created", b"X-Subject-Token: ours\r\n"
                endpoints = [{"interface": kind, "url": address, "region": "R", "region_id": "R", "id": kind}
                             for kind in ("public", "internal", "admin")]  # fmt: skip
                content = {
                    "token": {
                        "methods": ["password"],
                        "expires_at": "2099-01-01T00:00:00.000000Z",
                        "issued_at": "2026-01-01T00:00:00.000000Z",
                        "user": {"id": "nova", "name": "nova", "domain": {"id": "default", "name": "Default"}},
                        "project": {"id": "service", "name": "service", "domain": {"id": "default", "name": "Default"}},
                        "roles": [{"id": "admin", "name": "admin"}],
                        "catalog": [{"type": "identity", "name": "keystone", "id": "i", "endpoints": endpoints}],
                    }
                }
            elif b"/auth/tokens" in path:
                status, extra, content = "404 Not Found", b"", {"error": {"code": 404, "message": "no such token"}}
            else:
                version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": address}]}
                status, extra, content = "200 OK", b"", {"version": version}
            body = json.dumps(content).encode()
            stream.write(
                f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode()
                + extra
                + b"\r\n"
                + body
            )
            stream.flush()
