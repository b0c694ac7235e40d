"""One conductor: its parts put together, and the table of the calls it answers."""

import functools
from typing import Any

import oslo_messaging
import requests
from oslo_config import cfg

from nova import identity
from nova.compute import interface as compute_interface
from nova.conductor import client, network_view
from nova.conductor.calls.aggregates import AggregateCalls
from nova.conductor.calls.annotations import AnnotationCalls
from nova.conductor.calls.catalog import CatalogCalls
from nova.conductor.calls.consoles import ConsoleCalls
from nova.conductor.calls.external import ExternalCalls
from nova.conductor.calls.groups import GroupCalls
from nova.conductor.calls.guests import GuestCalls
from nova.conductor.calls.hosts import HostCalls
from nova.conductor.calls.migrations import MigrationCalls
from nova.conductor.calls.networks import NetworkingCalls
from nova.conductor.calls.quotas import QuotaCalls
from nova.conductor.calls.servers import ServerCalls
from nova.conductor.calls.steps import EngineCalls
from nova.conductor.calls.usage import UsageCalls
from nova.conductor.calls.watching import WatchingCalls
from nova.conductor.client import TOPIC
from nova.conductor.cloud import Cloud
from nova.conductor.core import Core
from nova.conductor.engine import Engine
from nova.conductor.interface import ConductorCalls
from nova.conductor.liveness import Liveness
from nova.conductor.notifying import Notifying
from nova.conductor.reconcilers import Reconcilers
from nova.conductor.turn import no_boundary
from nova.conductor.workflows import WORKFLOWS
from nova.conf.notifications import are_wanted
from nova.console import interface as console_interface
from nova.db import hosts
from nova.db.database import Database
from nova.heartbeat import Heartbeat
from nova.image.client import Images
from nova.messaging import rpc
from nova.network.client import Networking
from nova.placement_client import PlacementClient
from nova.scheduler import interface as scheduler_interface
from nova.share.client import Shares
from nova.volume.client import Volumes

# Every call of ConductorCalls is answered by the method of that name in one of these.
CALLS = (
    ServerCalls,
    WatchingCalls,
    MigrationCalls,
    AggregateCalls,
    GroupCalls,
    AnnotationCalls,
    UsageCalls,
    ExternalCalls,
    CatalogCalls,
    QuotaCalls,
    HostCalls,
    EngineCalls,
    GuestCalls,
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
        self.db = open_database(conf, keeps_circumstances=are_wanted(conf))
        self._computes = _Computes(bus, self.db)
        cloud = Cloud(
            conf=conf,
            db=self.db,
            scheduler=scheduler_interface.over_bus(bus),
            placement=PlacementClient(identity.adapter(conf, "placement", transport)),
            network=Networking(identity.adapter(conf, "neutron", transport)),
            images=Images(identity.adapter(conf, "glance", transport)),
            volumes=Volumes(identity.adapter(conf, "cinder", transport)),
            shares=Shares(identity.adapter(conf, "manila", transport)),
            compute=self._computes.of,
        )
        liveness = Liveness(conf.service_down_time)
        self.engine = Engine(self.db, cloud, WORKFLOWS, self._computes.of, liveness, conf, boundary)
        self.core = Core(conf, self.db, cloud, self.engine, liveness, self._computes.of, conf.host)
        parts = [cls(self.core) for cls in CALLS]
        parts.append(NetworkingCalls(self.db, functools.partial(network_view.refresh_all, self.core)))
        parts.append(ConsoleCalls(conf, self.db, self._computes.of, console_interface.over_bus(bus)))
        self.calls = _answering(parts)
        self._server = rpc.Server(bus, TOPIC, conf.host, ConductorCalls, self.calls, conf.conductor.threads)
        self._reconcilers = Reconcilers(self.core)
        self._heartbeat = Heartbeat(client.over_bus(bus), "nova-conductor", conf.host, conf.report_interval)
        self._notifying = Notifying(conf, self.db, boundary)

    def start(self) -> None:
        self.engine.start()
        self._server.start()
        self._reconcilers.start()
        self._heartbeat.start()
        self._notifying.start()

    def checks(self) -> dict[str, bool]:
        """Whether the database answers, the bus is heard, and no operation waits for a conductor in vain."""
        return {"database": self.db.answers(), **self._server.checks(), **self.engine.checks()}

    def stop(self) -> None:
        self._notifying.stop()
        self._heartbeat.stop()
        self._reconcilers.stop()
        self._server.stop()
        self.engine.stop()
        self.db.close()


class _Computes:
    """The way to each host's nova-compute. A daemon that stands for many hosts has one queue."""

    def __init__(self, bus: oslo_messaging.Transport, db: Database) -> None:
        self._db = db
        self._listeners: dict[str, str] = {}
        self._client = functools.cache(lambda listener: compute_interface.on_host(bus, listener))

    def of(self, host: str) -> compute_interface.ComputeCalls:
        if host not in self._listeners:
            self._listeners = self._db.read(hosts.listeners)
        return self._client(self._listeners.get(host, host))


def open_database(conf: cfg.ConfigOpts, keeps_circumstances: bool = False) -> Database:
    """The database of [database] connection."""
    options = conf.database
    return Database(
        options.connection,
        options.max_pool_size,
        options.max_overflow,
        options.connection_recycle_time,
        keeps_circumstances,
    )


def _answering(parts: list[Any]) -> Any:
    """One object with the methods of all parts that the interface declares; a missing one is an error now."""
    table = {}
    for name in rpc.methods(ConductorCalls):
        owners = [part for part in parts if hasattr(part, name)]
        if len(owners) != 1:
            raise TypeError(f"{name} of ConductorCalls has {len(owners)} implementations")
        table[name] = staticmethod(getattr(owners[0], name))
    return type("Calls", (), table)()
