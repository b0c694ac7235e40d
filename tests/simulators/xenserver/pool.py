"""A pool of hosts, as tests make one and misuse it."""

import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from tests.simulators.xenserver.device_calls import NetworkCalls, VbdCalls, VifCalls, VlanCalls
from tests.simulators.xenserver.front import Front
from tests.simulators.xenserver.host_calls import EventCalls, HostCalls, SessionCalls, TaskCalls
from tests.simulators.xenserver.model import NULL, Failure
from tests.simulators.xenserver.storage_calls import PbdCalls, SrCalls, VdiCalls
from tests.simulators.xenserver.store import Store
from tests.simulators.xenserver.vm_calls import VmCalls

_GIB = 1 << 30


class Pool:
    """A master, and hosts that are its slaves, each with an address of its own on the loopback.

    around(name, make) does each call by make(), which gives the bytes of its answer; when it raises, the connection breaks.
    calls: the names of all calls, in order.
    transfer_failure: what the tasks of imports, which end half-way then, and of exports fail with.
    exported_share: how much of a disk's content an export gives.
    """

    def __init__(
        self,
        hosts: tuple[str, ...] = ("xen1",),
        memory_gb: int = 8,
        disk_gb: int = 100,
        port: int = 0,
        directory: Path | None = None,
        user: str = "root",
        password: str = "secret",
    ) -> None:
        self.directory = directory or Path(tempfile.mkdtemp(prefix="xenserver-"))
        self.store = Store()
        self.luns: dict[tuple[str, str], Path] = {}
        self.around: Callable[[str, Callable[[], bytes]], bytes] = lambda name, make: make()
        self.calls: list[str] = []
        self.transfer_failure: Failure | None = None
        self.exported_share = 1.0
        self.user, self.password = user, password
        port = port or _free_port()
        self.addresses = {name: f"127.0.0.{number}:{port}" for number, name in enumerate(hosts, 1)}
        self.hosts = {name: self._add_host(name, memory_gb) for name in hosts}
        self.storage = self._add_storage("Local storage" if len(hosts) == 1 else "Shared storage", disk_gb)
        self.network = self.store.make("network", name_label="Pool-wide network of eth0", bridge="xenbr0")
        for host in self.hosts.values():
            pif = self.store.make("PIF", device="eth0", network=self.network, host=host, management=True)
            self.store.link("network", self.network, "PIFs", pif)
            self.store.link("host", host, "PIFs", pif)
        self.pool = self.store.make("pool", name_label="pool", master=self.hosts[hosts[0]], default_SR=self.storage)
        self.vms = VmCalls(self.store, self.directory, self.addresses[hosts[0]])
        self.vdis = VdiCalls(self.store, self.directory)
        self.host_calls = HostCalls(self.store, self.vms)
        self._sessions = {name: SessionCalls(self.store, user, password, host) for name, host in self.hosts.items()}
        handlers = {
            "VM": self.vms,
            "VDI": self.vdis,
            "VBD": VbdCalls(self.store, self.vms),
            "VIF": VifCalls(self.store),
            "SR": SrCalls(self.store),
            "PBD": PbdCalls(self.store, self.luns),
            "network": NetworkCalls(self.store),
            "VLAN": VlanCalls(self.store),
            "host": self.host_calls,
            "event": EventCalls(self.store),
            "task": TaskCalls(self.store),
        }
        self._fronts = [Front(self, self.addresses[name], self._sessions[name], handlers) for name in hosts]
        self.elect(hosts[0])
        for front in self._fronts:
            threading.Thread(target=front.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return self.url_of(next(iter(self.hosts)))

    def url_of(self, name: str) -> str:
        return f"http://{self.addresses[name]}"

    def elect(self, name: str) -> None:
        """Make a host the master; sessions end with the old one."""
        self.store.change("pool", self.pool, master=self.hosts[name])
        for host, sessions in self._sessions.items():
            sessions.sessions.clear()
            sessions.slave_of = None if host == name else self.addresses[name].partition(":")[0]

    def lose_sessions(self) -> None:
        """As a toolstack does that is restarted."""
        for sessions in self._sessions.values():
            sessions.sessions.clear()

    def add_lun(self, iqn: str, lun: int, size: int) -> Path:
        """A LUN of an iSCSI target out there; the file that is its content."""
        path = self.directory / f"lun-{len(self.luns)}.img"
        with path.open("wb") as file:
            file.truncate(size)
        self.luns[iqn, str(lun)] = path
        return path

    def add_storage(self, name: str, size_gb: int, host: str) -> str:
        """A storage of one host only."""
        return self._add_storage(name, size_gb, (host,))

    def close(self) -> None:
        """End the guests and stop answering. The directory is the caller's."""
        for front in self._fronts:
            front.shutdown()
            front.server_close()
        self.vms.close()

    def _add_host(self, name: str, memory_gb: int) -> str:
        memory = str(memory_gb * _GIB)
        metrics = self.store.make("host_metrics", memory_total=memory, memory_free=memory)
        version = {"product_version": "8.4.0", "product_brand": "XenServer", "xapi": "24.19", "xen": "4.17.4"}
        processor = {
            "cpu_count": "4",
            "socket_count": "1",
            "vendor": "GenuineIntel",
            "modelname": "Xeon",
            "flags": "fpu vmx",
        }
        host = self.store.make(
            "host", name_label=name, hostname=name, address=self.addresses[name].partition(":")[0], metrics=metrics,
            software_version=version, cpu_info=processor, capabilities=["xen-3.0-x86_64", "hvm-3.0-x86_64"],
        )  # fmt: skip
        domain = {"is_control_domain": True, "power_state": "Running", "memory_static_max": str(_GIB // 2)}
        control = self.store.make(
            "VM", name_label=f"Control domain on host: {name}", resident_on=host, domid="0", **domain
        )
        self.store.link("host", host, "resident_VMs", control)
        return host

    def _add_storage(self, name: str, size_gb: int, hosts: tuple[str, ...] = ()) -> str:
        names = hosts or tuple(self.hosts)
        fields = {"type": "ext" if len(names) == 1 else "nfs", "shared": len(names) > 1}
        storage = self.store.make("SR", name_label=name, physical_size=str(size_gb * _GIB), **fields)
        for host in names:
            fields = {"host": self.hosts[host], "SR": storage}
            pbd = self.store.make("PBD", currently_attached=True, **fields)
            self.store.link("SR", storage, "PBDs", pbd)
            self.store.link("host", self.hosts[host], "PBDs", pbd)
        return storage


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


__all__ = ["NULL", "Pool"]
