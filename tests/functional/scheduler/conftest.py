"""A scheduler on the real Placement service, in this process, over a database of its own."""

import datetime
import itertools
import shutil
import threading
import time
import uuid

import msgspec
import pytest
import requests
from keystoneauth1 import adapter, session, token_endpoint
from oslo_config import cfg

from nova import concurrency, placement
from nova import conf as configuration
from nova.clients.placement import PlacementClient
from nova.rpc.bus import connect
from nova.rpc.scheduler import NEWS_TOPIC, TOPIC, SchedulerCalls, SchedulerNews, news_client
from nova.rpc.server import Server
from nova.scheduler.service import Scheduler
from nova.structs.flavor import Flavor
from nova.structs.guest import Inventory, NodeState
from nova.structs.host import Aggregate, HostLoad, HostState, HostView
from nova.structs.schedule import Decision, PlacementRequest
from tests.functional.wsgi_adapter import WsgiAdapter

ENDPOINT = "http://placement"


class Conductor:
    """What the scheduler asks of a conductor, answered from memory, with versions as the real one has."""

    def __init__(self):
        self._lock = threading.Lock()
        self._version = 0
        self._states = {}
        self.loads = {}

    def put(self, state: HostState) -> int:
        with self._lock:
            self._version += 1
            self._states[state.provider_uuid] = (self._version, state)
            return self._version

    def remove(self, provider_uuid: str) -> int:
        with self._lock:
            self._version += 1
            del self._states[provider_uuid]
            return self._version

    def host_view(self, since: int) -> HostView:
        with self._lock:
            changed = tuple(state for version, state in self._states.values() if version > since)
            return HostView(version=self._version, changed=changed, all_nodes=tuple(self._states))

    def host_loads(self) -> dict[str, HostLoad]:
        return self.loads


class Cloud:
    """Hosts, their inventory in Placement, and a scheduler that knows them."""

    def __init__(self, conf: cfg.ConfigOpts, client: PlacementClient):
        self.conf = conf
        self.placement = client
        self.conductor = Conductor()
        self.hosts: dict[str, HostState] = {}
        self.bus = connect(conf)
        self.now = time.monotonic
        self._schedulers: list[tuple[Scheduler, Server, Server]] = []
        self._scheduler: Scheduler | None = None

    @property
    def scheduler(self) -> Scheduler:
        if self._scheduler is None:
            self._scheduler = self.start_scheduler()
        return self._scheduler

    def start_scheduler(self) -> Scheduler:
        """One more, which knows the others, and they it."""
        scheduler = Scheduler(self.conf, self.conductor, self.placement, news_client(self.bus), lambda: self.now())
        name = f"scheduler-{len(self._schedulers)}"
        calls = Server(self.bus, TOPIC, name, SchedulerCalls, scheduler)
        news = Server(self.bus, NEWS_TOPIC, name, SchedulerNews, scheduler)
        for part in (calls, news, scheduler):
            part.start()
        self._schedulers.append((scheduler, calls, news))
        others = len(self._schedulers) - 1
        all_know = concurrency.wait_for(
            lambda: all(len(one.peers.others()) == others for one, *_ in self._schedulers), 90
        )
        assert all_know
        return scheduler

    def stop(self) -> None:
        while self._schedulers:
            self.stop_last_scheduler()

    def stop_last_scheduler(self) -> None:
        for part in self._schedulers.pop():
            part.stop()

    def add_host(self, name: str, vcpus: int = 8, memory_mb: int = 8192, disk_gb: int = 100, traits=(), **state):
        host = a_host(name, vcpus, memory_mb, disk_gb, **state)
        self.placement.set_inventory(host.provider_uuid, host.node, inventory_of(host), traits)
        self.hosts[name] = host
        self.conductor.put(host)
        return host

    def add_hosts(self, sizes: dict[str, int], vcpus: int = 8) -> None:
        """Many hosts with so much memory, with few requests to Placement."""
        hosts = [a_host(name, vcpus, memory_mb, 100) for name, memory_mb in sizes.items()]
        inventories = {}
        for host in hosts:
            self.placement._ask("POST", "/resource_providers", {"uuid": host.provider_uuid, "name": host.node})
            amounts = {name: {"total": had.total} for name, had in inventory_of(host).items()}
            inventories[host.provider_uuid] = {"inventories": amounts, "resource_provider_generation": 0}
        http = requests.Session()
        http.mount(ENDPOINT, self.placement_transport)
        answer = http.post(
            f"{ENDPOINT}/reshaper",
            json={"inventories": inventories, "allocations": {}},
            headers={"X-Auth-Token": "nova:service", "X-Roles": "service", "OpenStack-API-Version": "placement 1.39"},
        )
        assert answer.status_code == 204, answer.text
        for host in hosts:
            self.hosts[host.host] = host
            self.conductor.put(host)

    def change_host(self, name: str, **changes) -> None:
        """The conductor hears something of a host, and tells the scheduler."""
        self.hosts[name] = msgspec.structs.replace(self.hosts[name], **changes)
        self.scheduler.hosts_changed(self.conductor.put(self.hosts[name]))

    def remove_host(self, name: str) -> None:
        version = self.conductor.remove(self.hosts.pop(name).provider_uuid)
        self.scheduler.hosts_changed(version)

    def select(self, **fields) -> Decision:
        return self.scheduler.select(self.request(**fields))

    @staticmethod
    def request(**fields) -> PlacementRequest:
        return a_request(**fields)

    def used(self, name: str) -> dict[str, int]:
        """What is allocated from a host, over all consumers."""
        total: dict[str, int] = {}
        for resources in self.placement.provider_allocations(self.hosts[name].provider_uuid).values():
            for kind, amount in resources.items():
                total[kind] = total.get(kind, 0) + amount
        return total


def a_host(name: str, vcpus: int, memory_mb: int, disk_gb: int, **state) -> HostState:
    node = NodeState(
        hypervisor_hostname=f"{name}.example.org",
        hypervisor_type="QEMU",
        hypervisor_version=7002000,
        host_ip="192.0.2.1",
        vcpus=vcpus,
        memory_mb=memory_mb,
        disk_gb=disk_gb,
        supported_instances=(("x86_64", "qemu", "hvm"),),
    )
    fields = {"zone": "nova", "provider_uuid": str(uuid.uuid4())} | state
    return HostState(host=name, node=node.hypervisor_hostname, state=node, **fields)


def inventory_of(host: HostState) -> dict[str, Inventory]:
    amounts = {"VCPU": host.state.vcpus, "MEMORY_MB": host.state.memory_mb, "DISK_GB": host.state.disk_gb}
    return {name: Inventory(total=amount) for name, amount in amounts.items()}


_numbers = itertools.count(1)


def a_request(vcpus: int = 1, memory_mb: int = 512, disk_gb: int = 1, **fields) -> PlacementRequest:
    flavor = fields.pop("flavor", None) or Flavor(
        id="1", name="m1.tiny", vcpus=vcpus, memory_mb=memory_mb, root_gb=disk_gb
    )
    defaults = {
        "instance_id": str(uuid.UUID(int=next(_numbers))),
        "project_id": "p1",
        "user_id": "u1",
        "flavor": flavor,
        "resources": flavor.resources(),
    }
    return PlacementRequest(**(defaults | fields))


@pytest.fixture
def conf(tmp_path, templates):
    shutil.copy(templates / "placement.db", tmp_path)
    # Schedulers of other tests are on other buses.
    file = tmp_path / "nova.conf"
    file.write_text(f"[DEFAULT]\ntransport_url = local://scheduling-{next(_numbers)}\n")
    loaded = configuration.load([], [str(file)])
    loaded.set_override("connection", f"sqlite:///{tmp_path}/placement.db", group="placement_database")
    loaded.set_override("auth_strategy", "noauth2", group="api")
    return loaded


@pytest.fixture
def transport(conf):
    return WsgiAdapter(placement.application(conf))


@pytest.fixture
def client(transport):
    http = requests.Session()
    http.mount(ENDPOINT, transport)
    auth = token_endpoint.Token(ENDPOINT, "admin")
    return PlacementClient(adapter.Adapter(session.Session(auth=auth, session=http), service_type="placement"))


@pytest.fixture
def cloud(conf, client, transport):
    made = Cloud(conf, client)
    made.placement_transport = transport
    yield made
    made.stop()


@pytest.fixture
def an_aggregate():
    def build(**metadata):
        number = next(_numbers)
        created = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        return Aggregate(
            id=number,
            uuid=str(uuid.UUID(int=number)),
            name=f"aggregate-{number}",
            created_at=created,
            metadata=metadata,
        )

    return build
