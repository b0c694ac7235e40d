"""One nova-compute: its hosts with their drivers, its agent, its RPC server."""

import oslo_messaging
import requests
from oslo_config import cfg

from nova.clients import adapters, reachable
from nova.clients.image import Images
from nova.clients.placement import PlacementClient
from nova.compute.agent import Agent
from nova.compute.compute_id import ComputeId
from nova.compute.host import Host
from nova.compute.image_cache import ImageCache
from nova.compute.image_cleaning import ImageCleaning
from nova.compute.plugging import Plugging
from nova.compute.starting import Starting
from nova.network.host.agent import HostNetworks
from nova.readiness import Check
from nova.rpc.compute import ComputeCalls, topic
from nova.rpc.conductor import conductor_client
from nova.rpc.server import Server
from nova.virt import loader

# Drivers whose guests, or none, are plugged into networks by somebody else.
_GUESTS_ELSEWHERE = ("fake.FakeDriver", "vmwareapi.VMwareVCDriver", "xenapi.XenAPIDriver")


class Compute:
    """nova-compute as conf describes it. name replaces [DEFAULT] host, for several in one process. compute_id: which
    machine this is; None where hosts are made up."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        bus: oslo_messaging.Transport,
        transport: requests.Session | None = None,
        name: str | None = None,
        compute_id: ComputeId | None = None,
    ) -> None:
        self.name = name or conf.host
        self._conf = conf
        images = Images(adapters.service_adapter(conf, "glance", transport))
        drivers = {host: loader.load(conf, host) for host in _host_names(conf, self.name)}
        cache = ImageCache.from_conf(conf, images, drivers[self.name].disk_formats)
        self._networks = _host_networks(conf, self.name, transport)
        plugging = _plugging(conf, transport)
        starting = Starting(conf.state_path)
        hosts = {
            host: Host(conf, host, driver, cache, images, self._networks, plugging=plugging, starting=starting)
            for host, driver in drivers.items()
        }
        self._image_cleaning = ImageCleaning(conf, cache, hosts[self.name].driver)
        self.agent = Agent(
            conf,
            self.name,
            hosts,
            conductor_client(bus),
            PlacementClient(adapters.service_adapter(conf, "placement", transport)),
            compute_id,
        )
        self._server = Server(bus, topic(self.name), self.name, ComputeCalls, self.agent)

    def start(self) -> None:
        """Begin to listen, then announce the hosts. Neither the bus nor the conductor need be there yet."""
        if self._networks is not None:
            self._networks.start()
        self._server.start()
        self.agent.start()
        self._image_cleaning.start()

    def checks(self) -> list[Check]:
        """Whether the bus is heard, the hypervisors work, the hosts are known, and those are there that this needs."""
        neighbours = reachable.checks(self._conf, "placement", "glance", "neutron")
        return [self._server.check(), *self.agent.checks(), *neighbours]

    def report(self) -> dict[str, object]:
        """What it holds now, for the state report."""
        return {"steps held": self.agent.held(), self._server.queue: self._server.heard()}

    @property
    def refusal(self) -> str | None:
        """Why this daemon must not work; None while it may."""
        return self.agent.refusal

    def stop(self) -> None:
        """Stop listening, then finish the steps under way."""
        self._image_cleaning.stop()
        self._server.stop()
        self.agent.stop()
        if self._networks is not None:
            self._networks.stop()


def _host_networks(conf: cfg.ConfigOpts, name: str, transport: requests.Session | None) -> HostNetworks | None:
    """None for a driver whose guests have no network devices on this host."""
    if conf.compute_driver in _GUESTS_ELSEWHERE:
        return None
    return HostNetworks(conf, adapters.service_adapter(conf, "neutron", transport), name)


def _plugging(conf: cfg.ConfigOpts, transport: requests.Session | None) -> Plugging | None:
    """None for a driver whose guests' ports are plugged by somebody else, or by nobody."""
    if conf.compute_driver in _GUESTS_ELSEWHERE:
        return None
    adapter = adapters.service_adapter(conf, "neutron", transport)
    return Plugging(adapter, conf.vif_plugging_timeout, conf.vif_plugging_is_fatal)


def _host_names(conf: cfg.ConfigOpts, name: str) -> list[str]:
    """The hosts this daemon stands for: one, but for the fake driver."""
    count = conf.fake_hosts if conf.compute_driver == "fake.FakeDriver" else 1
    return [name, *(f"{name}-{number}" for number in range(2, count + 1))]
