"""The networks of the network host, as the records say.

Guests meet on bridges of this host, which have no addresses here. Whatever has one is in a namespace: a network's DHCP
server and metadata proxy in the network's, a router and its NAT in its own.

One function, converge(), makes the host match the records, whatever its state was before. It runs at
start, after every change, and periodically. Everything it creates is marked, and remove() deletes it.
"""

import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from oslo_config import cfg

from nova import concurrency, errors
from nova.network.host import commands, firewall, hosts_own, plan, router
from nova.network.host.connections import GuestConnections
from nova.network.host.dhcp import DhcpServers
from nova.network.host.metadata_proxy import MetadataProxy
from nova.network.host.namespaces import Namespaces
from nova.network.host.rights import realm_of
from nova.network.host.spaces import Space, network_name, prefix
from nova.rpc.network import NetworkingCalls
from nova.structs.networking import Network

LOG = logging.getLogger(__name__)

T = TypeVar("T")

# Changes within this time cost one run of converge(), which takes at most half of the time, however many changes come.
_GATHER_S = 0.05
# What a ruleset begins each of its tables with.
_TABLE = re.compile(r"table \S+ \S+$")


class LinuxDataplane:
    """Keeps this host's networks as the records say. A component of the daemon."""

    def __init__(self, conf: cfg.ConfigOpts, conductor: NetworkingCalls) -> None:
        self._conf = conf
        self._store = conductor
        realm = realm_of(conf)
        self.owner = f"nova-network {realm}"
        # The first one had all addresses of networks translated once.
        self._host_table, self._filter_table = f"nova-nat-{realm}", f"nova-filter-{realm}"
        self._realm = realm
        self._dhcp = DhcpServers(conf, realm, conductor)
        self._spaces = Namespaces(prefix(realm), self.owner)
        self._metadata = MetadataProxy(conf, conductor)
        self._connections = GuestConnections()
        self._looked_at = -float("inf")
        self._incomplete: set[str] = set()
        self._loaded: dict[str, str] = {}
        self._took_s = 0.0
        self._busy = threading.Lock()
        self._periodic: concurrency.Periodic | None = None

    def start(self) -> None:
        interval = self._conf.network_converge_interval
        self._periodic = concurrency.Periodic(interval, self._converge_later, "networks of this host", at_once=True)

    def stop(self) -> None:
        """Guests keep their networks while nova-network is stopped; metadata they get when it is back."""
        if self._periodic:
            self._periodic.stop()
        self._metadata.stop()
        self._dhcp.stop()

    def changed(self) -> None:
        """Have the host converge soon, without waiting for it; several changes may make one run."""
        if self._periodic:
            self._periodic.wake()

    def converge(self) -> None:
        """Make this host match the records. What fails does not prevent the rest."""
        with self._busy:
            plan_now = self._plan()
            nothing: dict[str, dict[str, Any]] = {}
            known = self._try_for(commands.devices, nothing)
            for work in (
                lambda: self._dhcp.stop_others(plan_now.served, plan_now.routers),
                lambda: self._bridges(plan_now, known),
                lambda: self._spaces.converge(plan_now.spaces, known, self._looks_at_all()),
                lambda: self._forget_devices(plan_now, known),
                lambda: self._host(plan_now),
                lambda: self._filters(plan_now, known),
                lambda: self._dhcp.converge(plan_now.served, plan_now.routers),
                lambda: self._serve_metadata([one.network for one in plan_now.served if one.is_here]),
            ):
                self._try(work)

    def remove(self) -> None:
        """Delete everything converge() created, guests' networks included."""
        with self._busy:
            self._metadata.converge({}, {})
            self._dhcp.remove()
            firewall.remove(self._filter_table)
            for family in ("inet", "netdev"):
                commands.delete_table(family, self._host_table)
            self._spaces.remove()
            for name, device in commands.devices().items():
                if device.get("ifalias") == self.owner:
                    commands.delete_device(name)
            self._loaded.clear()

    def _serve_metadata(self, networks: list[Network]) -> None:
        self._metadata.converge(
            {network.id: network_name(self._realm, network.id) for network in networks},
            {network.id: network.project_id for network in networks if not network.shared},
        )

    def _converge_later(self) -> None:
        time.sleep(max(_GATHER_S, self._took_s))
        began = time.monotonic()
        try:
            self.converge()
        except errors.Unavailable as error:
            LOG.warning("this host's networks stay as they are: %s", error)
        self._took_s = time.monotonic() - began

    def _plan(self) -> "_Plan":
        records = self._read()
        if self._complete(records):
            records = self._read()
        conf = self._conf
        served = plan.serve(records, bool(conf.public_interface))
        routers = router.routed(records, served)
        outside = (conf.reserved_ranges, conf.public_interface, conf.force_snat)
        spaces = [plan.network_space(one, self._realm) for one in served if one.is_here]
        spaces += [router.router_space(one, self._realm, *outside) for one in routers]
        return _Plan(records, served, routers, spaces)

    def _read(self) -> plan.Records:
        nouns = ("network", "subnet", "port", "floatingip", "security_group_rule", "router")
        answers: list[list[Any]] = self._store.networking_of([(noun, {}) for noun in nouns])
        return plan.Records(*answers)

    def _complete(self, records: plan.Records) -> bool:
        """Give records of an earlier release the ports that they lack; whether there were any."""
        lacking: list[Any] = plan.without_ports(records)
        for record in lacking:
            if record.id in self._incomplete:
                continue
            try:
                self._store.change_networking(record)
            except errors.DomainError as error:
                # Said once: an operator must make room, or change the record.
                self._incomplete.add(record.id)
                LOG.error("the %s %s has no address here: %s", record.noun, record.id, error)
        return bool(lacking)

    def _looks_at_all(self) -> bool:
        """Whether it is time to look into all namespaces, and not only into those whose records changed."""
        now = time.monotonic()
        if now - self._looked_at < self._conf.network_converge_interval:
            return False
        self._looked_at = now
        return True

    def _try_for(self, work: Callable[[], T], default: T) -> T:
        outcome = [default]
        self._try(lambda: outcome.__setitem__(0, work()))
        return outcome[0]

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (commands.CommandFailed, OSError) as error:
            LOG.error("this host's networks do not match the records: %s", error)

    def _bridges(self, plan_now: "_Plan", known: dict[str, Any]) -> None:
        for served in plan_now.served:
            self._try(lambda served=served: self._bridge(served, known))  # type: ignore[misc]

    def _forget_devices(self, plan_now: "_Plan", known: dict[str, Any]) -> None:
        """Delete what networks that are gone had here. Ends of cables go last: their namespaces take them along."""
        names = {served.network.bridge for served in plan_now.served}
        names |= {f"nvx{served.network.segmentation_id}" for served in plan_now.served}
        names |= {cable.device for space in plan_now.spaces for cable in space.cables}
        for name, device in known.items():
            if device.get("ifalias") == self.owner and name not in names:
                commands.delete_device(name)

    def _bridge(self, served: plan.Served, known: dict[str, Any]) -> None:
        network, mtu = served.network, plan.bridge_mtu(served.network)
        commands.ensure_bridge(network.bridge, mtu, self.owner, known)
        commands.ensure_addresses(network.bridge, set(served.addresses), known)
        carrier = self._conf.flat_interface
        if network.network_type == "flat" and carrier and network.physical_network == "flat":
            commands.ensure_member(carrier, network.bridge, known)
        # A cloud of one host has no other bridge to join.
        if network.network_type == "vxlan" and network.segmentation_id and carrier:
            overlay = commands.Overlay(self._conf.my_ip, self._conf.vxlan_group)
            name = f"nvx{network.segmentation_id}"
            commands.ensure_vxlan(name, network.segmentation_id, overlay, network.bridge, mtu, self.owner, known)

    def _host(self, plan_now: "_Plan") -> None:
        """Keep this host itself out of guests' networks, and let it lead to the world those whose gateway it is."""
        conf = self._conf
        sealed = [served.network.bridge for served in plan_now.served if not served.addresses]
        open_bridges = [served.network.bridge for served in plan_now.served if served.addresses]
        rules = hosts_own.sealing(self._host_table, sealed)
        rules += hosts_own.ruleset(
            self._host_table, plan_now.served, plan_now.routers, conf.reserved_ranges, conf.force_snat
        )
        self._load(self._host_table, rules, lambda: self._load_host(rules, sealed, open_bridges))

    def _load_host(self, rules: str, sealed: list[str], open_bridges: list[str]) -> None:
        for bridge in [*sealed, *open_bridges]:
            commands.seal(bridge, has_addresses=bridge in open_bridges)
        commands.load_rules(rules)
        if open_bridges:
            commands.set_kernel({"net/ipv4/ip_forward": "1"})

    def _filters(self, plan_now: "_Plan", known: dict[str, Any]) -> None:
        records = plan_now.records
        ports = plan.guarded(records, self._conf.host, known)
        # The host itself is on a bridge with an address: what passes there belongs to its own connections.
        bridges = [served.network.bridge for served in plan_now.served if not served.addresses]
        groups = (plan.rules_by_group(records.rules), plan.members_by_group(records.ports))
        others = firewall.others(known, {served.network.bridge for served in plan_now.served})
        others |= plan.elsewhere(records, self._conf.host)
        parts = (ports, *groups, bridges, others)
        rules = firewall.ruleset(self._filter_table, *parts)
        self._load(self._filter_table, rules, lambda: firewall.apply(self._filter_table, *parts))
        self._connections.follow(ports, *groups, firewall.zones(bridges))

    def _load(self, table: str, rules: str, load: Callable[[], None]) -> None:
        """Load rules that differ from the last ones, or one of whose tables is gone."""
        there = commands.tables()
        is_there = there.issuperset(line for line in rules.splitlines() if _TABLE.match(line))
        if not is_there or self._loaded.get(table) != rules:
            load()
            self._loaded[table] = rules


class _Plan(msgspec.Struct, frozen=True):
    """The records, and what this host should look like for them."""

    records: plan.Records
    served: list[plan.Served]
    routers: list[router.Routed]
    spaces: list[Space]
