"""DHCP and DNS for guests: one dnsmasq per network, in its namespace, which knows every port before its guest asks.

A router that has IPv6 subnets has one, too, which does no more than advertise it to their guests.

A server outlives nova-network, which finds it again by its pid file. It reads hosts and options again
on SIGHUP; other changes, and an old lease of an address that another port has now, need a new process. Its directory is
nova-network's; its leases and its pid are in run/ below, which is its own.
"""

import contextlib
import ipaddress
import logging
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from oslo_config import cfg

from nova import concurrency
from nova.network.host import commands, namespaces
from nova.network.host.leases import Leases
from nova.network.host.plan import Served
from nova.network.host.router import Routed
from nova.network.host.spaces import network_name, router_name
from nova.privileged import dhcp as privileged
from nova.privileged.separation import call
from nova.privileged.sockets import METADATA
from nova.rpc.network import NetworkingCalls
from nova.structs.networking import Port, Subnet

LOG = logging.getLogger(__name__)

_IPV6_RANGE = {"slaac": "ra-only", "dhcpv6-stateless": "ra-stateless", "dhcpv6-stateful": "static"}
_STOPPED_WITHIN_S = 5.0
# What the names of ports without one begin with.
_ADDRESS = "host-"
_OTHER_WATCHERS = 1024
_PAUSES_S = (0.05, 0.2, 0.5, 1.0)


class _Server(msgspec.Struct, frozen=True):
    """One dnsmasq: its files' directory, its namespace, its own options, and what its files hold."""

    directory: Path
    namespace: str
    command: tuple[str, ...]
    hosts: str
    options: str
    # MAC by address: whose lease another's address must not be.
    owners: dict[str, str]
    # (MAC, address) of each lease that is recorded for it; None where it keeps a file of its own.
    recorded: Sequence[tuple[str, str]] | None = None
    # Whether it may have told of leases while nobody listened.
    is_unheard: bool = False


class DhcpServers:
    """The DHCP servers of this host, in networks_path. realm is part of their namespaces' names."""

    def __init__(self, conf: cfg.ConfigOpts, realm: str, conductor: NetworkingCalls) -> None:
        self._conf = conf
        self._realm = realm
        self._root = Path(os.path.abspath(conf.networks_path))
        self._leases = Leases(self._root, realm, conductor) if conf.dhcpbridge else None
        self._has_heard = False

    def stop_others(self, plan: Iterable[Served], routers: Iterable[Routed] = ()) -> None:
        """End the servers that are not wanted, without which their namespaces are kept alive."""
        wanted = {one.network.bridge for one in plan if one.has_dhcp} | {
            _router_directory(one) for one in routers if one.advertised
        }
        others = [directory for directory in self._directories() if directory.name not in wanted]
        # All end at once, and are waited for one by one.
        for directory in others:
            if _pid(directory) is not None:
                _tell(directory, "end")
        for directory in others:
            _stop(directory)
            _remove(directory)

    def converge(self, plan: Iterable[Served], routers: Iterable[Routed] = ()) -> None:
        """Run one server, which knows the ports, for each network with DHCP. What fails does not prevent the rest."""
        with_dhcp = [served for served in plan if served.has_dhcp]
        recorded = self._recorded(with_dhcp)
        servers = [self._of_network(served, recorded) for served in with_dhcp]
        servers += [self._of_router(routed) for routed in routers if routed.advertised]
        # Each watches its name servers' file, of which a kernel lets a user have few.
        commands.raise_kernel("fs/inotify/max_user_instances", len(servers) + _OTHER_WATCHERS)
        for server in servers:
            try:
                _converge(server)
            except (commands.CommandFailed, OSError) as error:
                LOG.error("the DHCP server in %s does not run: %s", server.namespace, error)
        self._has_heard = True

    def stop(self) -> None:
        """Servers live on."""
        if self._leases:
            self._leases.stop()

    def remove(self) -> None:
        """Stop all servers of this host, and the listening to them."""
        self.stop_others(())
        if self._leases:
            self._leases.remove()

    def _recorded(self, plan: Iterable[Served]) -> dict[str, list[tuple[str, str]]] | None:
        """(MAC, address) of the leases that are recorded, by network; None where servers keep them themselves."""
        if self._leases is None:
            return None
        recorded: dict[str, list[tuple[str, str]]] = {}
        for lease in self._leases.converge({served.network.bridge: served.network.id for served in plan}):
            if lease.mac_address:
                recorded.setdefault(lease.network_id, []).append((lease.mac_address, lease.ip_address))
        return recorded

    def _directories(self) -> list[Path]:
        return [path.parent for path in self._root.glob("*/dnsmasq.command")] if self._root.is_dir() else []

    def _of_network(self, served: Served, recorded: Mapping[str, list[tuple[str, str]]] | None) -> _Server:
        directory = self._root / served.network.bridge
        directory.mkdir(parents=True, exist_ok=True)
        named = named_ports(served, _names(directory))
        lines = [line for port in served.ports for line in host_lines(port, served, self._conf, port.id in named)]
        return _Server(
            directory=directory,
            namespace=network_name(self._realm, served.network.id),
            command=tuple(self._command(served)),
            hosts="".join(f"{line}\n" for line in lines),
            options="".join(f"{line}\n" for line in option_lines(served, self._conf)),
            owners={ip.ip_address: port.mac_address for port in served.ports for ip in port.fixed_ips},
            recorded=None if recorded is None else recorded.get(served.network.id, ()),
            is_unheard=recorded is not None and not self._has_heard,
        )

    def _of_router(self, routed: Routed) -> _Server:
        directory = self._root / _router_directory(routed)
        directory.mkdir(parents=True, exist_ok=True)
        # It knows no port, and so gives nobody an address: that is the network's own server's.
        command = ["--port=0", "--enable-ra"]
        for leg, subnet in routed.advertised:
            command += [f"--interface={leg.device}", *_range(subnet, self._conf.dhcp_lease_time)]
        return _Server(directory, router_name(self._realm, routed.router.id), tuple(command), "", "", {})

    def _command(self, served: Served) -> list[str]:
        conf = self._conf
        command = [
            f"--interface={served.device}",
            f"--conf-file={conf.dnsmasq_config_file}",
            # A client that asks for its former address is refused at once, not after a timeout.
            "--dhcp-authoritative",
        ]
        if conf.dhcpbridge:
            command += ["--leasefile-ro", f"--dhcp-script={conf.dhcpbridge}"]
        if conf.api.dhcp_domain:
            command += [f"--domain={conf.api.dhcp_domain}"]
        if conf.dns_server:
            command += ["--no-resolv", *(f"--server={server}" for server in conf.dns_server)]
        room = 0
        for subnet in served.subnets:
            if subnet.enable_dhcp and subnet.id in served.server_addresses:
                command += _range(subnet, conf.dhcp_lease_time)
                room += min(ipaddress.ip_network(subnet.cidr).num_addresses, 2**24)
        if any(subnet.ipv6_ra_mode for subnet in served.subnets):
            # A prefix and no way out: that is advertised by routers.
            command += ["--enable-ra", f"--ra-param={served.device},60,0"]
        command.append(f"--dhcp-lease-max={room}")
        return command


def _router_directory(routed: Routed) -> str:
    return f"router-{routed.router.id}"


def _converge(server: _Server) -> None:
    directory = server.directory
    changed = _write(directory / "hosts", server.hosts)
    changed |= _write(directory / "options", server.options)
    # Another namespace of the same name, in whose place somebody has deleted one, has another number.
    words = [*server.command, f"{server.namespace} {namespaces.inode(server.namespace)}"]
    is_other = _write(directory / "dnsmasq.command", "\n".join(words))
    leases = _leases(directory) if server.recorded is None else ""
    held = _read_leases(leases) if server.recorded is None else server.recorded
    if is_other or _pid(directory) is None or _blocks(held, server.owners):
        _stop(directory)
        _start(server, _kept(leases, server.owners))
    elif changed or server.is_unheard:
        # It tells of all its leases then, too.
        _tell(directory, "read again")


def named_ports(served: Served, held: Collection[tuple[str, str]]) -> set[str]:
    """The ids of the ports whose names are theirs on this network. held: (name, MAC) as they are now.

    Ports of one project may share a name. Of several projects that share a network one has it: the network's own, or who has
    it now, or whose port came first. Nobody else's port is called like the address of another.
    """
    by_name: dict[str, list[Port]] = {}
    for port in served.ports:
        name = port.dns_name.lower()
        own = [_address_name(ip.ip_address) for ip in port.fixed_ips]
        if name and (port.project_id == served.network.project_id or not name.startswith(_ADDRESS) or name in own):
            by_name.setdefault(name, []).append(port)
    named = set()
    for name, ports in by_name.items():
        holding = [port for port in ports if (name, port.mac_address) in held]
        owners = [port for port in ports if port.project_id == served.network.project_id]
        project_id = (owners or holding or ports)[0].project_id
        named |= {port.id for port in ports if port.project_id == project_id}
    return named


def _names(directory: Path) -> set[tuple[str, str]]:
    """(name, MAC) of the ports that a server knows."""
    with contextlib.suppress(OSError):
        lines = (line.split(",") for line in (directory / "hosts").read_text().splitlines())
        return {(words[-2].lower(), words[0]) for words in lines if len(words) > 2}
    return set()


def _address_name(address: str) -> str:
    return _ADDRESS + address.replace(".", "-").replace(":", "-")


def host_lines(port: Port, served: Served, conf: cfg.ConfigOpts, is_named: bool = True) -> list[str]:
    """The lines about a port in the server's hosts file: MAC, addresses, name. is_named: its own, not its address's."""
    with_dhcp = {subnet.id for subnet in served.subnets if subnet.enable_dhcp}
    lines = []
    for fixed_ip in port.fixed_ips:
        address = fixed_ip.ip_address
        if fixed_ip.subnet_id not in with_dhcp or address in served.server_addresses.values():
            continue
        name = (port.dns_name if is_named else "") or _address_name(address)
        tag = f",set:port-{port.id}" if port.extra_dhcp_opts else ""
        lines.append(f"{port.mac_address}{tag},{name},{f'[{address}]' if ':' in address else address}")
    return lines


def option_lines(served: Served, conf: cfg.ConfigOpts) -> list[str]:
    """The DHCP options of each subnet and each port."""
    lines = []
    for subnet in served.subnets:
        server = served.server_addresses.get(subnet.id)
        if subnet.ip_version != 4 or not subnet.enable_dhcp or server is None:
            if subnet.ip_version == 6 and subnet.dns_nameservers:
                servers = ",".join(f"[{address}]" for address in subnet.dns_nameservers)
                lines.append(f"tag:{_tag(subnet)},option6:dns-server,{servers}")
            continue
        routes = [(route.destination, route.nexthop) for route in subnet.host_routes]
        if not any(destination == f"{METADATA}/32" for destination, _ in routes):
            routes.append((f"{METADATA}/32", server))
        if subnet.gateway_ip:
            routes.append(("0.0.0.0/0", subnet.gateway_ip))
        # Clients that know option 121 use it instead of the router option; Windows knows it as 249.
        text = ",".join(part for route in routes for part in route)
        lines.append(f"tag:{_tag(subnet)},option:router{f',{subnet.gateway_ip}' if subnet.gateway_ip else ''}")
        lines.append(f"tag:{_tag(subnet)},121,{text}")
        lines.append(f"tag:{_tag(subnet)},249,{text}")
        lines.append(f"tag:{_tag(subnet)},option:dns-server,{','.join(subnet.dns_nameservers) or server}")
        lines.append(f"tag:{_tag(subnet)},option:mtu,{served.network.mtu}")
    for port in served.ports:
        for option in port.extra_dhcp_opts:
            if option["opt_value"] is not None:
                word = "option6" if option.get("ip_version") == 6 else "option"
                name = str(option["opt_name"])
                word = name if name.isdigit() else f"{word}:{name}"
                lines.append(f"tag:port-{port.id},{word},{option['opt_value']}")
    return lines


def _range(subnet: Subnet, lease_s: int) -> list[str]:
    net = ipaddress.ip_network(subnet.cidr)
    if subnet.ip_version == 4:
        return [f"--dhcp-range=set:{_tag(subnet)},{net.network_address},static,{net.netmask},{lease_s}s"]
    if not subnet.ipv6_ra_mode and not subnet.ipv6_address_mode:
        return []
    mode = _IPV6_RANGE[subnet.ipv6_address_mode or subnet.ipv6_ra_mode or "slaac"]
    return [f"--dhcp-range=set:{_tag(subnet)},{net.network_address},{mode},{net.prefixlen},{lease_s}s"]


def _tag(subnet: Subnet) -> str:
    return f"subnet-{subnet.id}"


def _leases(directory: Path) -> str:
    """What a server wrote down, if it did. One of an earlier release wrote beside its hosts."""
    for path in (directory / "run/leases", directory / "leases"):
        with contextlib.suppress(OSError):
            return path.read_text()
    return ""


def _blocks(held: Iterable[tuple[str, str]], owners: Mapping[str, str]) -> bool:
    """Whether an old lease (MAC, address) holds an address that is another port's now."""
    return any(owners.get(address, mac) != mac for mac, address in held)


def _kept(leases: str, owners: Mapping[str, str]) -> str:
    lines = leases.splitlines(keepends=True)
    return "".join(line for line in lines if len(line.split()) < 3 or owners.get(line.split()[2]) == line.split()[1])


def _read_leases(leases: str) -> list[tuple[str, str]]:
    """(MAC, address) of each IPv4 lease: the second and third word of a line."""
    words = [line.split() for line in leases.splitlines()]
    return [(line[1], line[2]) for line in words if len(line) >= 4 and ":" in line[1]]


def _tell(directory: Path, what: str) -> None:
    call(privileged.signal_dhcp, str(directory.parent), directory.name, what)


def _pid(directory: Path) -> int | None:
    """The process id of this directory's running server."""
    for path in (directory / "run/pid", directory / "pid"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(path.read_text())
            if f"--pid-file={path}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return pid
    return None


def _stop(directory: Path) -> None:
    pid = _pid(directory)
    if pid is None:
        return
    _tell(directory, "end")
    if not concurrency.wait_for(lambda: not _holds_sockets(pid), _STOPPED_WITHIN_S):
        LOG.warning("dnsmasq %s ignores SIGTERM", pid)
        _tell(directory, "die")
        concurrency.wait_for(lambda: not _holds_sockets(pid), _STOPPED_WITHIN_S)


def _holds_sockets(pid: int) -> bool:
    """A process that ends first loses its command line, then its sockets, and is a zombie then."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    return False


def _remove(directory: Path) -> None:
    call(privileged.forget_dhcp, str(directory.parent), directory.name)
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def _write(path: Path, text: str) -> bool:
    """Write a file, and whether that changed it."""
    if path.exists() and path.read_text() == text:
        return False
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(path)
    return True


def _start(server: _Server, leases: str) -> None:
    """Start a server. One that has just died may still hold its addresses: then try again a little later."""
    where = (str(server.directory.parent), server.directory.name, server.namespace)
    for pause_s in (*_PAUSES_S, None):
        try:
            call(privileged.start_dhcp, *where, list(server.command), leases)
            return
        except commands.CommandFailed as error:
            if "Address already in use" not in str(error) or pause_s is None:
                raise
        time.sleep(pause_s)
