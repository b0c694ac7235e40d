"""nova-network in this process: its API over a database of its own, without touching the host's networks."""

import shutil
import uuid

import pytest
import requests
from keystoneauth1 import adapter, session, token_endpoint
from requests.adapters import BaseAdapter
from webob import Request

from nova import conf as configuration
from nova.clients.network.client import Networking
from nova.conductor.calls.networks import NetworkingCalls
from nova.db.engine import Database
from nova.db.models import Base
from nova.network.api import NullDataplane, application
from nova.structs.context import Context

ENDPOINT = "http://networking"


class WsgiTransport(BaseAdapter):
    """Carries requests straight into a WSGI application of this process, and counts them."""

    def __init__(self, app):
        super().__init__()
        self._app = app
        self.log = []

    def send(self, request, **ignored):
        self.log.append(f"{request.method} {request.path_url}")
        inner = Request.blank(request.url, method=request.method, headers=dict(request.headers))
        inner.body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        answer = inner.get_response(self._app)
        response = requests.Response()
        response.status_code = answer.status_code
        response.headers.update(answer.headers)
        response.encoding = "utf-8"
        response._content = answer.body
        response.url = request.url
        response.request = request
        return response

    def close(self):
        pass


class Project:
    """Somebody with a token, and the Networking API: behind a transport, or where it listens."""

    def __init__(self, transport, name, endpoint=ENDPOINT):
        self.name = name
        http = requests.Session()
        if transport is not None:
            http.mount(endpoint, transport)
        auth = token_endpoint.Token(endpoint, f"{'admin' if name == 'admin' else 'user'}:{name}")
        self.session = session.Session(auth=auth, session=http)
        self.adapter = adapter.Adapter(self.session, service_type="network")
        token = f"{name}:{name}" if name == "admin" else f"user:{name}"
        self.context = Context(user_id="user", project_id=name, is_admin=name == "admin", auth_token=token)

    def ask(self, method, path, body=None, **options):
        return self.adapter.request(f"/v2.0/{path}", method, json=body, raise_exc=False, **options)

    def get(self, path):
        return self.ask("GET", path).json()

    def create(self, plural, **values):
        """What was created, or the error's type."""
        noun = plural[:-1].replace("-", "_")
        answer = self.ask("POST", plural, {noun: values}).json()
        return answer[noun] if noun in answer else answer["NeutronError"]["type"]

    def ports(self):
        """The ports there are, without those of DHCP servers."""
        return [port for port in self.get("ports")["ports"] if port["device_owner"] != "network:dhcp"]

    def join(self, network, public=None):
        """A router that joins a network's subnets, and leads to an external network."""
        gateway = {"network_id": public["id"]} if public else None
        router = self.create("routers", name="router", external_gateway_info=gateway)
        for subnet_id in self.get(f"networks/{network['id']}")["network"]["subnets"]:
            answer = self.ask("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet_id})
            assert answer.status_code == 200, answer.text
        return router

    def update(self, plural, record_id, **values):
        noun = plural[:-1].replace("-", "_")
        answer = self.ask("PUT", f"{plural}/{record_id}", {noun: values}).json()
        return answer[noun] if noun in answer else answer["NeutronError"]["type"]

    def delete(self, plural, record_id):
        """None when done, else the error's type."""
        answer = self.ask("DELETE", f"{plural}/{record_id}")
        return answer.json()["NeutronError"]["type"] if answer.content else None

    def network(self, cidr="10.20.0.0/24", subnet=None, **values):
        """A network with one subnet."""
        network = self.create("networks", **{"name": "private", **values})
        self.create("subnets", network_id=network["id"], ip_version=4, cidr=cidr, **(subnet or {}))
        return self.get(f"networks/{network['id']}")["network"]


class NetworkHost:
    """One nova-network."""

    def __init__(self, template, path, **options):
        self.conf = configuration.load([], files=[])
        self.conf.set_override("auth_strategy", "noauth2", group="api")
        for name, value in options.items():
            self.conf.set_override(name, value)
        shutil.copy(template, path)
        self.database = Database(f"sqlite:///{path}")
        self.conductor = NetworkingCalls(self.database)
        self.transport = WsgiTransport(application(self.conf, self.conductor, NullDataplane()))
        self.admin = Project(self.transport, "admin")
        self.client = Networking(self.admin.adapter)

    def project(self, name="demo"):
        return Project(self.transport, name)

    def requests_during(self, work):
        """The requests that work() sends."""
        before = len(self.transport.log)
        work()
        return self.transport.log[before:]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database with tables and nothing in them: copying it is faster than making it."""
    path = tmp_path_factory.mktemp("database") / "empty.db"
    database = Database(f"sqlite:///{path}")
    Base.metadata.create_all(database.engine)
    database.close()
    return path


@pytest.fixture
def make_network_host(tmp_path, empty_database):
    made = []

    def make(**options):
        made.append(NetworkHost(empty_database, tmp_path / f"{len(made)}.db", **options))
        return made[-1]

    yield make
    for host in made:
        host.database.close()


@pytest.fixture
def cloud(make_network_host):
    return make_network_host()


@pytest.fixture
def admin(cloud):
    return cloud.admin


@pytest.fixture
def demo(cloud):
    return cloud.project("demo")


@pytest.fixture
def server_id():
    return str(uuid.uuid4())
