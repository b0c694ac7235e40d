"""The networks of the network host: bridges with gateways, DHCP, NAT and filters, as the records say.

One function, converge(), makes the host match the records, whatever its state was before. It runs at
start, after every change, and periodically. Everything it creates is marked, and remove() deletes it.
"""

import hashlib
import ipaddress
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from nova import concurrency, errors
from nova.network.host import commands, firewall, nat, plan
from nova.network.host.dhcp import DhcpServers
from nova.rpc.network import NetworkingCalls

LOG = logging.getLogger(__name__)

# Changes within this time cost one run of converge(), which takes at most half of the time, however many changes come.
_GATHER_S = 0.05


class LinuxDataplane:
    """Keeps this host's networks as the records say. A component of the daemon."""

    def __init__(self, conf: cfg.ConfigOpts, conductor: NetworkingCalls) -> None:
        self._conf = conf
        self._store = conductor
        self._dhcp = DhcpServers(conf)
        # Two clouds on one machine differ in networks_path, and do not touch what is not theirs.
        realm = hashlib.sha256(os.path.realpath(conf.networks_path).encode()).hexdigest()[:6]
        self.owner = f"nova-network {realm}"
        self._nat_table, self._filter_table = f"nova-nat-{realm}", f"nova-filter-{realm}"
        self._loaded: dict[str, str] = {}
        self._took_s = 0.0
        self._busy = threading.Lock()
        self._periodic: concurrency.Periodic | None = None

    def start(self) -> None:
        interval = self._conf.network_converge_interval
        self._periodic = concurrency.Periodic(interval, self._converge_later, "networks of this host", at_once=True)

    def stop(self) -> None:
        """Guests keep their networks while nova-network is stopped."""
        if self._periodic:
            self._periodic.stop()

    def changed(self) -> None:
        if self._periodic:
            self._periodic.wake()

    def converge(self) -> None:
        """Make this host match the records. What fails does not prevent the rest."""
        with self._busy:
            records = self._read()
            wanted = plan.serve(records, bool(self._conf.public_interface))
            for work in (
                lambda: self._bridges(wanted),
                lambda: self._public_addresses(records),
                lambda: self._dhcp.converge(wanted),
                lambda: self._nat(wanted, records),
                lambda: self._filters(records),
            ):
                self._try(work)

    def remove(self) -> None:
        """Delete everything converge() created, guests' networks included."""
        with self._busy:
            self._dhcp.remove()
            firewall.remove(self._filter_table)
            commands.delete_table("inet", self._nat_table)
            for name, device in commands.devices().items():
                if device.get("ifalias") == self.owner:
                    commands.delete_device(name)
            self._loaded.clear()

    def _converge_later(self) -> None:
        time.sleep(max(_GATHER_S, self._took_s))
        began = time.monotonic()
        try:
            self.converge()
        except errors.Unavailable as error:
            LOG.warning("this host's networks stay as they are: %s", error)
        self._took_s = time.monotonic() - began

    def _read(self) -> plan.Records:
        nouns = ("network", "subnet", "port", "floatingip", "security_group_rule")
        networks, subnets, ports, floating_ips, rules = self._store.networking_of([(noun, {}) for noun in nouns])
        return plan.Records(networks=networks, subnets=subnets, ports=ports, floating_ips=floating_ips, rules=rules)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (commands.CommandFailed, OSError) as error:
            LOG.error("this host's networks do not match the records: %s", error)

    def _bridges(self, wanted: list[plan.Served]) -> None:
        commands.set_kernel("net/ipv4/ip_forward", "1")
        known = commands.devices()
        for served in wanted:
            self._try(lambda served=served: self._bridge(served, known))  # type: ignore[misc]
        names = {served.network.bridge for served in wanted}
        vnis = {f"nvx{served.network.segmentation_id}" for served in wanted}
        for name, device in known.items():
            if device.get("ifalias") == self.owner and name not in names | vnis:
                commands.delete_device(name)

    def _bridge(self, served: plan.Served, known: dict[str, Any]) -> None:
        network = served.network
        commands.ensure_bridge(network.bridge, network.mtu, self.owner, known)
        commands.ensure_addresses(network.bridge, self._addresses(served), known)
        if self._metadata()[0].startswith("127."):
            commands.set_kernel(f"net/ipv4/conf/{network.bridge}/route_localnet", "1")
        carrier = self._conf.flat_interface
        if network.network_type == "flat" and carrier and network.physical_network == "flat":
            commands.ensure_member(carrier, network.bridge, known)
        # A cloud of one host has no other bridge to join.
        if network.network_type == "vxlan" and network.segmentation_id and carrier:
            overlay = commands.Overlay(self._conf.my_ip, self._conf.vxlan_group)
            name = f"nvx{network.segmentation_id}"
            commands.ensure_vxlan(name, network.segmentation_id, overlay, network.bridge, network.mtu, self.owner)

    def _addresses(self, served: plan.Served) -> set[str]:
        """This host's addresses on a network, floating ones too where no interface leads out of the cloud."""
        addresses = set(served.addresses)
        if served.network.is_external and not self._conf.public_interface:
            for port in served.ports:
                if port.device_owner == "network:floatingip":
                    addresses |= {
                        f"{fixed_ip.ip_address}/32" for fixed_ip in port.fixed_ips if "." in fixed_ip.ip_address
                    }
        return addresses

    def _public_addresses(self, records: plan.Records) -> None:
        """Put floating IPs on public_interface, if it is set; its other addresses stay."""
        device = self._conf.public_interface
        if not device:
            return
        external = {network.id for network in records.networks if network.is_external}
        ranges = [ipaddress.ip_network(subnet.cidr) for subnet in records.subnets if subnet.network_id in external]
        held = commands.addresses(device)
        wanted = {f"{floating_ip.floating_ip_address}/32" for floating_ip in records.floating_ips}
        for address in wanted - held:
            commands.run("ip", "address", "replace", address, "dev", device)
        for address in held - wanted:
            ip, _, length = address.partition("/")
            if length == "32" and any(ipaddress.ip_address(ip) in net for net in ranges):
                commands.run("ip", "address", "del", address, "dev", device)

    def _nat(self, wanted: list[plan.Served], records: plan.Records) -> None:
        rules = nat.ruleset(self._nat_table, wanted, records.floating_ips, self._metadata(), self._conf.force_snat)
        self._load(self._nat_table, rules, lambda: commands.load_rules(rules))

    def _filters(self, records: plan.Records) -> None:
        ports = plan.guarded(records, self._conf.host)
        parts = (ports, plan.rules_by_group(records.rules), plan.members_by_group(records.ports))
        rules = firewall.ruleset(self._filter_table, *parts)
        self._load(self._filter_table, rules, lambda: firewall.apply(self._filter_table, *parts))

    def _load(self, table: str, rules: str, load: Callable[[], None]) -> None:
        """Load rules that differ from the last ones, or whose table is gone."""
        is_there = f"table inet {table}\n" in commands.run("nft", "list", "tables")
        if not is_there or self._loaded.get(table) != rules:
            load()
            self._loaded[table] = rules

    def _metadata(self) -> tuple[str, int]:
        return socket.gethostbyname(self._conf.metadata_host), self._conf.metadata_port
