"""The networks of a compute host's guests: bridges joined with those of other hosts, and filters.

nova-compute uses it where nova-network serves the Networking API; a Neutron has agents of its own.
On the network host nova-network does all this itself, so a cloud of one host needs none of it.
"""

import hashlib
import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from keystoneauth1.adapter import Adapter
from oslo_config import cfg

from nova import concurrency, errors
from nova.clients.network.http import NetworkingHttp
from nova.clients.ttl_cache import TtlCache
from nova.network.host import commands, firewall, hosts_own, plan
from nova.network.host.connections import GuestConnections
from nova.structs.network import Vif
from nova.structs.networking import SecurityGroupRule

LOG = logging.getLogger(__name__)

Json = dict[str, Any]

_ARRIVES_WITHIN_S = 3600
_VXLAN = "nvx"
# What of a rule decides which packets pass.
_RULE_FIELDS = (
    *("security_group_id", "direction", "ethertype", "protocol", "port_range_min", "port_range_max"),
    *("remote_ip_prefix", "remote_group_id"),
)


class HostNetworks:
    """Keeps a compute host's bridges and filters as its ports need them."""

    def __init__(self, conf: cfg.ConfigOpts, adapter: Adapter, name: str) -> None:
        self._conf = conf
        self._http = NetworkingHttp(adapter)
        self._name = name
        realm = hashlib.sha256(name.encode()).hexdigest()[:6]
        self.owner, self._table = f"nova-compute {realm}", f"nova-compute-{realm}"
        self._loaded = ""
        self._connections = GuestConnections()
        self._guarded: set[str] = set()
        # Ports of guests on their way here, which are bound elsewhere until they have arrived.
        self._expected: TtlCache[str] = TtlCache(_ARRIVES_WITHIN_S)
        self._busy = threading.Lock()
        self._periodic: concurrency.Periodic | None = None

    @property
    def is_needed(self) -> bool:
        """Without an interface that joins hosts there is one host, and nova-network is on it."""
        return bool(self._conf.flat_interface)

    def start(self) -> None:
        """Does nothing unless is_needed."""
        if self.is_needed:
            interval = self._conf.security_group_refresh_interval
            self._periodic = concurrency.Periodic(interval, self._refresh, "security groups", at_once=True)

    def stop(self) -> None:
        """Guests keep their networks and filters while nova-compute is away."""
        if self._periodic:
            self._periodic.stop()

    def prepare(self, vifs: Iterable[Vif]) -> None:
        """Before a guest starts: create and join its bridges, and put its filters in force.

        Raises errors.GuestFailed, errors.Unavailable.
        """
        bridged = [vif for vif in vifs if vif.vif_type == "bridge" and "network_type" in vif.details]
        if not bridged or not self.is_needed:
            return
        conf = self._conf
        overlay = commands.Overlay(conf.my_ip, conf.vxlan_group)
        try:
            # Whoever looks for bridges that nobody needs must know of these first.
            with self._busy:
                for vif in bridged:
                    self._expected.put(vif.port_id, vif.port_id)
                    name = str(vif.details["bridge_name"])
                    commands.carry(name, dict(vif.details), vif.mtu, conf.flat_interface, overlay, self.owner)
                self._apply()
        except (commands.CommandFailed, OSError) as error:
            raise errors.GuestFailed(reason="The guest's networks cannot be created", detail=str(error)) from error

    def apply_security_groups(self) -> None:
        """Load the filters that this host's ports need, and delete the bridges that none does.

        Raises commands.CommandFailed, errors.Unavailable.
        """
        with self._busy:
            self._apply()

    def _apply(self) -> None:
        ports = self._ports()
        groups = sorted({group for port in ports for group in port["security_groups"]})
        rules = self._rules(groups)
        remote = {rule.remote_group_id for of_group in rules.values() for rule in of_group if rule.remote_group_id}
        guarded = _guarded(ports)
        here = commands.devices()
        bridges = self._bridges({port.bridge for port in guarded}, here)
        others = firewall.others(here, {*bridges, *self._own_bridges(here)})
        parts = (guarded, rules, self._members(sorted(remote)), bridges, others)
        text = firewall.ruleset(self._table, *parts) + hosts_own.sealing(self._table, bridges)
        if text != self._loaded or f"table inet {self._table}" not in commands.tables():
            for bridge in bridges:
                commands.seal(bridge)
            commands.load_rules(hosts_own.sealing(self._table, bridges))
            firewall.apply(self._table, *parts)
            self._loaded = text
        self._connections.follow(*parts[:3], firewall.zones(bridges))
        self._guarded = {port["id"] for port in ports}

    def _own_bridges(self, here: Mapping[str, Json]) -> set[str]:
        """Those that this daemon joins with other hosts', be they in need or not."""
        carriers = {name for name, device in here.items() if device.get("ifalias") == self.owner}
        return carriers | {
            str(here[name].get("master")) for name in (*carriers, self._conf.flat_interface) if name in here
        }

    def _bridges(self, needed: set[str], here: Mapping[str, Json]) -> list[str]:
        """The bridges of this host's ports. Those that this daemon made for ports which have all gone go, too."""
        members: dict[str, set[str]] = {}
        for name, device in here.items():
            members.setdefault(str(device.get("master", "")), set()).add(name)
        for name, device in here.items():
            if device.get("ifalias") != self.owner or name in needed or name.startswith(_VXLAN):
                continue
            carriers = {one for one in members.get(name, ()) if here[one].get("ifalias") == self.owner}
            # A guest that is still there keeps its network, whatever became of its port.
            if members.get(name, set()) <= carriers | {self._conf.flat_interface}:
                for one in (*carriers, name):
                    commands.delete_device(one)
        return sorted(needed & here.keys())

    def remove(self) -> None:
        """Delete this host's filters and bridges."""
        firewall.remove(self._table)
        commands.delete_table("netdev", self._table)
        for name, device in commands.devices().items():
            if device.get("ifalias") == self.owner:
                commands.delete_device(name)

    def _refresh(self) -> None:
        try:
            self.apply_security_groups()
        except (commands.CommandFailed, errors.Unavailable) as error:
            LOG.warning("security groups stay as they are: %s", error)

    def _ports(self) -> list[Json]:
        """The ports bound to this host, those that are expected, and those that still have a device here."""
        bound = self._http.find("ports", {"binding:host_id": self._name})
        here = commands.devices()
        kept = {port_id for port_id in self._guarded if firewall.device_of(port_id) in here}
        others = (kept | set(self._expected.values())) - {port["id"] for port in bound}
        if others:
            bound += self._http.find("ports", {"id": sorted(others)})
        return list(bound)

    def _rules(self, groups: list[str]) -> Mapping[str, list[SecurityGroupRule]]:
        if not groups:
            return {}
        rules = self._http.find("security_group_rules", {"security_group_id": groups})
        return plan.rules_by_group(
            SecurityGroupRule(id=rule["id"], project_id="", **{name: rule[name] for name in _RULE_FIELDS})
            for rule in rules
        )

    def _members(self, groups: list[str]) -> dict[str, set[str]]:
        members: dict[str, set[str]] = {group: set() for group in groups}
        if not groups:
            return members
        query = {"security_groups": groups, "fields": ["fixed_ips", "allowed_address_pairs", "security_groups"]}
        for port in self._http.find("ports", query):
            for group in set(port["security_groups"]) & members.keys():
                members[group].update(one["ip_address"] for one in (*port["fixed_ips"], *port["allowed_address_pairs"]))
        return members


def _guarded(ports: Iterable[Json]) -> list[firewall.Guarded]:
    return [
        firewall.Guarded(
            port_id=port["id"],
            device=firewall.device_of(port["id"]),
            bridge=str(port["binding:vif_details"].get("bridge_name", "")),
            macs=tuple({port["mac_address"], *(pair["mac_address"] for pair in port["allowed_address_pairs"])}),
            addresses=tuple(
                [fixed_ip["ip_address"] for fixed_ip in port["fixed_ips"]]
                + [pair["ip_address"] for pair in port["allowed_address_pairs"]]
            ),
            own_addresses=tuple(fixed_ip["ip_address"] for fixed_ip in port["fixed_ips"]),
            groups=tuple(port["security_groups"]),
            is_filtered=port["port_security_enabled"],
        )
        for port in ports
        if port.get("binding:vif_details")
    ]
