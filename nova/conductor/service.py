"""One conductor: its parts put together, and the table of the calls it answers."""

import functools
from typing import Any

import oslo_messaging
import requests
from oslo_config import cfg

from nova import metrics
from nova.clients import adapters, reachable
from nova.clients.image import Images
from nova.clients.network.client import Networking
from nova.clients.objects import Objects
from nova.clients.placement import PlacementClient
from nova.clients.share import Shares
from nova.clients.volume import Volumes
from nova.conductor import figures, network_view
from nova.conductor.calls import queries
from nova.conductor.calls.aggregates import AggregateCalls
from nova.conductor.calls.annotations import AnnotationCalls
from nova.conductor.calls.catalog import CatalogCalls
from nova.conductor.calls.consoles import ConsoleCalls
from nova.conductor.calls.ec2 import Ec2Calls
from nova.conductor.calls.events import WatchingCalls
from nova.conductor.calls.external import ExternalCalls
from nova.conductor.calls.groups import GroupCalls
from nova.conductor.calls.guests import GuestCalls
from nova.conductor.calls.hosts import HostCalls
from nova.conductor.calls.image_imports import ImageImportCalls
from nova.conductor.calls.migrations import MigrationCalls
from nova.conductor.calls.networks import NetworkingCalls
from nova.conductor.calls.quotas import QuotaCalls
from nova.conductor.calls.servers import ServerCalls
from nova.conductor.calls.steps import EngineCalls
from nova.conductor.core import Core
from nova.conductor.engine.engine import Engine
from nova.conductor.engine.liveness import Liveness
from nova.conductor.engine.step_context import StepContext
from nova.conductor.engine.turn import no_boundary
from nova.conductor.host_questions import HostQuestions
from nova.conductor.image_imports.arrival import Arrivals
from nova.conductor.image_imports.service import ImageImports
from nova.conductor.notifying import Notifying
from nova.conductor.reconcilers import Reconcilers
from nova.conductor.workflows import configured
from nova.conf.notifications import are_wanted
from nova.db import hosts, instances
from nova.db.engine import Database
from nova.readiness import Check
from nova.rpc import compute as compute_interface
from nova.rpc.cert import cert_client
from nova.rpc.compute import compute_client
from nova.rpc.conductor import CALLBACK_TOPIC, TOPIC, ConductorCalls, conductor_client
from nova.rpc.consoleauth import consoleauth_client
from nova.rpc.declaration import methods
from nova.rpc.heartbeat import Heartbeat
from nova.rpc.scheduler import news_client, scheduler_client
from nova.rpc.server import Server

# Every call of ConductorCalls is a query (nova.conductor.calls.queries), or the method of that name in one of these.
CALLS = (
    ServerCalls,
    WatchingCalls,
    MigrationCalls,
    AggregateCalls,
    GroupCalls,
    AnnotationCalls,
    ExternalCalls,
    CatalogCalls,
    QuotaCalls,
    HostCalls,
    EngineCalls,
    GuestCalls,
    Ec2Calls,
)


class Conductor:
    """The conductor of one process. Any number of them share a database and a bus."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        bus: oslo_messaging.Transport,
        transport: requests.Session | None = None,
        boundary: Any = no_boundary,
    ) -> None:
        self.db = open_database(conf, keeps_event_details=are_wanted(conf))
        self._computes = _Computes(bus, self.db)
        step_context = StepContext(
            conf=conf,
            db=self.db,
            scheduler=scheduler_client(bus),
            schedulers=news_client(bus),
            placement=PlacementClient(adapters.service_adapter(conf, "placement", transport)),
            network=Networking(
                adapters.service_adapter(conf, "neutron", transport),
                lambda server_id: self.db.read(lambda c: instances.project_of(c, server_id)),
            ),
            images=Images(adapters.service_adapter(conf, "glance", transport)),
            volumes=Volumes(adapters.service_adapter(conf, "cinder", transport)),
            shares=Shares(adapters.service_adapter(conf, "manila", transport)),
            compute=self._computes.of,
        )
        liveness = Liveness(conf.service_down_time)
        self.engine = Engine(self.db, step_context, configured(conf), self._computes.of, liveness, conf, boundary)
        questions = HostQuestions(self._computes.of, liveness, most=max(conf.conductor.threads // 2, 1))
        self.core = Core(conf, self.db, step_context, self.engine, liveness, self._computes.of, questions, conf.host)
        parts: list[Any] = [cls(self.core) for cls in CALLS]
        parts.append(NetworkingCalls(self.db, functools.partial(network_view.refresh_all, self.core)))
        arrivals = Arrivals(conf, step_context.images, Objects(conf, transport), cert_client(bus))
        self._image_imports = ImageImports(conf, self.db, step_context.images, arrivals)
        parts.append(ImageImportCalls(self.core, self._image_imports))
        parts.append(ConsoleCalls(conf, self.db, questions, consoleauth_client(bus)))
        self.calls = _answering(queries.bind(self.db), parts)
        self._servers = [
            Server(bus, topic, conf.host, ConductorCalls, self.calls, conf.conductor.threads)
            for topic in (TOPIC, CALLBACK_TOPIC)
        ]
        self._reconcilers = Reconcilers(self.core)
        self._heartbeat = Heartbeat(conductor_client(bus), "nova-conductor", conf.host, conf.report_interval)
        self._notifying = Notifying(conf, self.db, boundary)
        self._figures = metrics.Figures(conf, functools.partial(figures.count, self.db, conf))

    def start(self) -> None:
        self.engine.start()
        for server in self._servers:
            server.start()
        self._reconcilers.start()
        self._heartbeat.start()
        self._notifying.start()
        self._figures.start()
        self._image_imports.start()

    def checks(self) -> list[Check]:
        """Whether the database answers, the bus is heard, operations go on, and those are there that they need."""
        neighbours = reachable.checks(self.core.conf, "placement", "glance", "neutron")
        return [self.db.check(), *(one.check() for one in self._servers), self.engine.check(), *neighbours]

    def report(self) -> dict[str, object]:
        """What it holds now, for the state report."""
        return {
            "operations held": self.engine.held(),
            "database pool": self.db.engine.pool.status(),
            **{one.queue: one.heard() for one in self._servers},
        }

    def stop(self) -> None:
        """Operations stay where they are: another conductor, or this one's next start, goes on."""
        self._image_imports.stop()
        self._figures.stop()
        self._notifying.stop()
        self._heartbeat.stop()
        self._reconcilers.stop()
        for server in self._servers:
            server.stop()
        self.engine.stop()
        self.db.close()


class _Computes:
    """The way to each host's nova-compute. A daemon that stands for many hosts has one queue."""

    def __init__(self, bus: oslo_messaging.Transport, db: Database) -> None:
        self._db = db
        self._listeners: dict[str, str] = {}
        self._client = functools.cache(lambda listener: compute_client(bus, listener))

    def of(self, host: str) -> compute_interface.ComputeCalls:
        if host not in self._listeners:
            self._listeners = self._db.read(hosts.listeners)
        return self._client(self._listeners.get(host, host))


def open_database(conf: cfg.ConfigOpts, keeps_event_details: bool = False) -> Database:
    """The database of [database] connection."""
    options = conf.database
    return Database(
        options.connection,
        options.max_pool_size,
        options.max_overflow,
        options.connection_recycle_time,
        options={"keeps_event_details": keeps_event_details},
    )


def _answering(bound: dict[str, Any], parts: list[Any]) -> Any:
    """One object with the calls that the interface declares; one that is missing, or there twice, is an error now."""
    table = {}
    for name in methods(ConductorCalls):
        owners = [getattr(part, name) for part in parts if hasattr(part, name)]
        owners += [bound[name]] if name in bound else []
        if len(owners) != 1:
            raise TypeError(f"{name} of ConductorCalls has {len(owners)} implementations")
        table[name] = staticmethod(owners[0])
    return type("Calls", (), table)()
