"""A whole cloud in one process: every daemon's real code, SQLite, the in-process bus, fake hypervisors."""

import contextlib
import itertools
import shutil
import threading
import time
from pathlib import Path

import requests

from nova import conf as configuration
from nova import placement
from nova.api import compute as compute_api
from nova.clients.adapters import service_adapter
from nova.clients.placement import PlacementClient
from nova.compute.compute_id import ComputeId
from nova.compute.service import Compute
from nova.conductor.service import Conductor
from nova.db.migrations import sync
from nova.network.api import NullDataplane
from nova.network.api import api as network_api
from nova.rpc import scheduler as scheduler_interface
from nova.rpc.bus import connect
from nova.rpc.conductor import conductor_client
from nova.rpc.local import bus_of
from nova.rpc.server import Server
from nova.scheduler.service import Scheduler
from nova.virt.fake.hypervisor import HYPERVISORS, Hypervisor
from tests.functional.cinder import FakeCinder
from tests.functional.glance import FakeGlance
from tests.functional.keystone import FakeKeystone
from tests.functional.manila import FakeManila
from tests.functional.wsgi_adapter import RealAdapter, WsgiAdapter

_numbers = itertools.count(1)

# What a test waits for comes within milliseconds, unless the machine itself stands still for a while.
PATIENCE_S = 90

NOVA_CONF = """
[DEFAULT]
transport_url = local:///{name}
host = {name}-controller
compute_driver = fake.FakeDriver
rpc_response_timeout = 20
concurrency_backend = threading
service_down_time = 60
report_interval = 1
[api]
auth_strategy = noauth2
[database]
connection = sqlite:///{directory}/nova.db
[placement_database]
connection = sqlite:///{directory}/placement.db
[conductor]
poll_interval_s = 0.2
lease_s = 5
left_pauses_s = 0.2, 0.5
[oslo_policy]
enforce_scope = true
[placement]
auth_type = admin_token
endpoint = http://placement
token = admin:service
[neutron]
auth_type = admin_token
endpoint = http://network
token = admin:service
[cinder]
auth_type = admin_token
endpoint = http://volume/v3
token = admin:service
[manila]
auth_type = admin_token
endpoint = http://share/v2
token = admin:service
[keystone]
auth_type = admin_token
endpoint = http://identity/v3
token = admin:service
[glance]
auth_type = admin_token
endpoint = http://image
token = admin:service
"""


class Killed(BaseException):
    """The conductor died here."""


class Boundary:
    """What is to happen between two commits of an operation; every conductor of a cloud calls it.

    moment: leased, done, put off, committed, ordered, failed or undone. Each plan is carried out once.
    """

    def __init__(self):
        self._plans = {}
        self._goes_on = threading.Event()
        self._goes_on.set()

    @contextlib.contextmanager
    def held(self):
        """Whatever is accepted meanwhile begins when the block ends."""
        self._goes_on.clear()
        try:
            yield
        finally:
            self._goes_on.set()

    def kill(self, operation, step, moment):
        """Let the conductor die there: it does nothing more, and gives nothing back."""
        self._plans[(operation, step, moment)] = _raiser(Killed())

    def raise_at(self, operation, step, moment, error):
        self._plans[(operation, step, moment)] = _raiser(error)

    def call_at(self, operation, step, moment, function):
        self._plans[(operation, step, moment)] = function

    def forget(self):
        """Take back every plan that was not carried out."""
        self._plans.clear()

    def __call__(self, operation, step, moment):
        self._goes_on.wait()
        plan = self._plans.pop((operation, step, moment), None)
        if plan is not None:
            plan()


def _raiser(error):
    def throw():
        raise error

    return throw


class Cloud:
    """Start it, give it hosts, use client() as a user would."""

    def __init__(self, directory: Path, templates: Path, settings: str = ""):
        self.directory = directory
        self.name = f"cloud{next(_numbers)}"
        for database in ("nova.db", "placement.db"):
            shutil.copy(templates / database, directory / database)
        path = directory / "nova.conf"
        path.write_text(NOVA_CONF.format(name=self.name, directory=directory) + settings)
        self.conf = configuration.load([], [str(path)])
        self.bus = connect(self.conf)
        self.glance = FakeGlance()
        self.transport = requests.Session()
        # No proxy stands between parts of one process.
        self.transport.trust_env = False
        self.adapters = {}
        self.cinder = FakeCinder()
        self.manila = FakeManila()
        self.keystone = FakeKeystone()
        self._mount("http://image", self.glance)
        self._mount("http://volume", self.cinder)
        self._mount("http://share", self.manila)
        self._mount("http://identity", self.keystone)
        self._mount("http://placement", placement.application(self.conf))
        self.conductor_calls = conductor_client(self.bus, timeout_s=20)
        self._mount("http://network", network_api.application(self.conf, self.conductor_calls, NullDataplane()))
        self._mount("http://compute", compute_api.application(self.conf, self.conductor_calls, self.transport))
        self.placement = PlacementClient(service_adapter(self.conf, "placement", self.transport))
        self.boundary = Boundary()
        self.conductors = []
        self.hosts = {}
        # What guests wrote last, by server; and the servers whose users have given that up.
        self.written = {}
        self.made_anew = set()
        self._scheduler = []
        self._neutron = None

    def start(self):
        self.add_conductor()
        self.start_scheduler()

    def stop(self):
        for host in self.hosts.values():
            host.stop()
        self.stop_scheduler()
        for conductor in self.conductors:
            conductor.stop()

    def add_conductor(self):
        conductor = Conductor(self.conf, self.bus, self.transport, self.boundary)
        conductor.start()
        self.conductors.append(conductor)
        return conductor

    def start_scheduler(self):
        interface = scheduler_interface
        peers = interface.news_client(self.bus)
        scheduler = Scheduler(self.conf, self.conductor_calls, self.placement, peers)
        calls = Server(self.bus, interface.TOPIC, self.name, interface.SchedulerCalls, scheduler)
        news = Server(self.bus, interface.NEWS_TOPIC, self.name, interface.SchedulerNews, scheduler)
        self._scheduler = [scheduler, calls, news]
        for part in self._scheduler:
            part.start()

    def stop_scheduler(self):
        while self._scheduler:
            self._scheduler.pop().stop()

    def stop_conductor(self):
        self.conductors.pop().stop()

    def add_host(self, name="host-1", machine=None, **size):
        """A fake host with a nova-compute; back when it can take servers."""
        full = self._full(name)
        HYPERVISORS[full] = Hypervisor(full, **size)
        if self._neutron is not None:
            self._neutron.add_host(full)
        return self.start_host(name, machine)

    def start_host(self, name, machine=None):
        """(Re)start the nova-compute of a host; its guests are as they were.

        machine: the directory with the machine's identity; the host of another machine is refused.
        """
        full = self._full(name)
        compute_id = None if machine is None else ComputeId(str(machine))
        self.hosts[name] = host = Compute(self.conf, self.bus, self.transport, name=full, compute_id=compute_id)
        host.start()
        wait(lambda: host.agent.is_registered or host.refusal, "the host is registered")
        return self.hypervisor(name)

    def rename_host(self, name, new):
        """A machine gets another name: what is on it stays."""
        HYPERVISORS[self._full(new)] = hypervisor = HYPERVISORS.pop(self._full(name))
        hypervisor.name = self._full(new)

    def stop_host(self, name):
        self.hosts.pop(name).stop()

    def beat(self):
        """Let every host give its next sign of life now."""
        for host in list(self.hosts.values()):
            host.agent._periodics[0].wake()

    def reap(self):
        """Let every host look for guests and disks that are nobody's, as it does now and then."""
        for host in self.hosts.values():
            host.agent._reap()

    def calm(self):
        """Take back every fault that has not come to pass."""
        self.boundary.forget()
        bus_of(f"local:///{self.name}").lose_nothing()
        for name in self.hosts:
            self.hypervisor(name).mend()

    def forget(self):
        """Empty the services around a cloud that has no servers, but for their first image."""
        first = next(iter(self.glance.images))
        self.glance.images = {first: self.glance.images[first]}
        services = (self.cinder.volumes, self.cinder.snapshots, self.manila.shares)
        for content in (*services, self.glance.data, self.written, self.made_anew):
            content.clear()

    def hypervisor(self, name="host-1"):
        return HYPERVISORS[self._full(name)]

    def add_network(self):
        """The network that a server of the project gets when its user names none."""
        admin = self.client("admin", "project")
        body = {"network": {"name": "private"}}
        network = admin.post("/v2.0/networks", body, url="http://network").json()["network"]
        subnet = {"network_id": network["id"], "cidr": "10.1.0.0/24", "ip_version": 4}
        assert admin.post("/v2.0/subnets", {"subnet": subnet}, url="http://network").status_code == 201

    def write(self, server_id, content="what its user wrote"):
        """Let a server's guest write to its disk."""
        for name in self.hosts:
            if server_id in self.hypervisor(name).guests:
                self.hypervisor(name).write(server_id, content)
        self.written[server_id] = content

    def guests(self):
        """Guests by uuid, on all hosts."""
        return {uuid: guest for name in list(self.hosts) for uuid, guest in self.hypervisor(name).guests.items()}

    def allocations(self, server_id):
        return self.placement.allocations(server_id).resources

    def client(self, user="user", project="project", version="2.104", roles=None):
        return Client(self, user, project, version, roles)

    @property
    def db(self):
        return self.conductors[0].db

    @property
    def has_nova_network(self):
        return self._neutron is None

    def stand_beside(self, neutron=None, cinder=None, glance=None):
        """Real services take the place of their stand-ins; what earlier tests have left in them goes."""
        for address, service in (("http://network", neutron), ("http://volume", cinder), ("http://image", glance)):
            if service is not None:
                service.stand_beside(*(self.adapters[f"http://{name}"].app for name in ("compute", "placement")))
                self.adapters[address] = RealAdapter(service.address)
                self.transport.mount(address, self.adapters[address])
        self._neutron = neutron or self._neutron
        self.cinder = cinder or self.cinder
        self.glance = glance or self.glance

    def _full(self, name):
        return f"{self.name}-{name}"

    def _mount(self, address, app):
        self.adapters[address] = WsgiAdapter(app)
        self.transport.mount(address, self.adapters[address])


class Client:
    """A user of the Compute API (and, with url=, of the others)."""

    def __init__(self, cloud, user, project, version, roles):
        self.cloud = cloud
        self.project = project
        self.headers = {"X-Auth-Token": f"{user}:{project}", "OpenStack-API-Version": f"compute {version}"}
        if roles is not None:
            self.headers["X-Roles"] = ",".join(roles)

    def request(self, method, path, body=None, headers=None, url="http://compute/v2.1", **options):
        return self.cloud.transport.request(
            method, url + path, json=body, headers={**self.headers, **(headers or {})}, **options
        )

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, body, **options)

    def put(self, path, body=None, **options):
        return self.request("PUT", path, body, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def act(self, server_id, name, argument=None):
        return self.post(f"/servers/{server_id}/action", {name: argument})

    def server(self, server_id):
        answer = self.get(f"/servers/{server_id}")
        return answer.json()["server"] if answer.status_code == 200 else None

    def create_server(self, wait_for="ACTIVE", flavor="m1.tiny", image=None, **options):
        """A server, once it has reached a status (None: at once)."""
        answer = self.post("/servers", {"server": self.wanted(flavor=flavor, image=image, **options)})
        assert answer.status_code == 202, answer.text
        server_id = answer.json()["server"]["id"]
        return self.wait(server_id, wait_for) if wait_for else self.server(server_id)

    def wanted(self, flavor="m1.tiny", image=None, name="one", networks="none", **options):
        image = image or next(iter(self.cloud.glance.images))
        return {"name": name, "flavorRef": flavor, "imageRef": image, "networks": networks, **options}

    def wait(self, server_id, *statuses, timeout_s=PATIENCE_S):
        """The server, once nothing is being done to it and it has one of some statuses."""
        reached = wait(
            lambda: (
                (one := self.server(server_id))
                and one["OS-EXT-STS:task_state"] is None
                and (one["status"] in statuses or one["status"] == "ERROR")
                and one
            ),
            f"server {server_id} is {statuses}: {self.server(server_id)}",
            timeout_s,
        )
        assert reached["status"] in statuses, reached.get("fault", reached)
        return reached

    def wait_gone(self, server_id, timeout_s=PATIENCE_S):
        wait(lambda: self.server(server_id) is None, f"server {server_id} is gone: {self.server(server_id)}", timeout_s)


def wait(condition, what, timeout_s=PATIENCE_S):
    """The condition's value as soon as it is true."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.005
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(pause_s)
        # Who looks too often takes the time from those who are looked at.
        pause_s = min(1.5 * pause_s, 0.05)


def make_templates(directory: Path):
    """Empty, migrated databases, copied for every cloud."""
    path = directory / "template.conf"
    path.write_text(NOVA_CONF.format(name="template", directory=directory))
    conf = configuration.load([], [str(path)])
    sync(conf.database.connection)
    placement.sync_database(conf)
    return directory
