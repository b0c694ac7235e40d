"""The cluster whose guests one nova-compute drives: what it has, where its guests' files go, which networks it knows."""

import logging
import re
import threading
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg
from pyVmomi import vim, vmodl

from nova import errors
from nova.clients.ttl_cache import TtlCache
from nova.structs.guest import NodeState
from nova.virt.vmware.session import Session

LOG = logging.getLogger(__name__)

_MIB, _GIB = 1 << 20, 1 << 30
# Their free room chooses a guest's datastore, and is no promise: whether it was enough is seen when the disks are made.
_DATASTORES_S = 10.0
_NETWORKS_S = 60.0
_FILE_SYSTEMS = ("VMFS", "NFS", "NFS41", "vsan", "VVOL")
_TRAITS = ("COMPUTE_NODE", "COMPUTE_NET_ATTACH_INTERFACE")


@dataclass(frozen=True)
class Datastore:
    """One that is open to guests. Sizes in bytes."""

    object: Any
    name: str
    capacity: int
    free: int


class Cluster:
    """The cluster that [vmware] cluster_name names. Looked up once; what changes is asked for each time."""

    def __init__(self, conf: cfg.ConfigOpts, session: Session) -> None:
        self._conf = conf
        self._session = session
        self._lock = threading.Lock()
        self._found: tuple[Any, Any, dict[str, Any]] | None = None
        self._datastores: TtlCache[list[Datastore]] = TtlCache(_DATASTORES_S)
        self._networks: TtlCache[tuple[Any, dict[str, Any]]] = TtlCache(_NETWORKS_S)
        self._regex = _compiled(conf.vmware.datastore_regex)

    @property
    def pool(self) -> Any:
        """The root of its resource pools, to which all its guests belong."""
        return self._find()[2]["resourcePool"]

    @property
    def datacenter(self) -> Any:
        return self._find()[1]

    @property
    def object(self) -> Any:
        return self._find()[0]

    def datacenter_path(self) -> str:
        """The data center's name as the vCenter's file server wants it."""
        return str(self._find()[2]["path"])

    def folder(self) -> Any:
        """The folder of the data center's virtual machines."""
        return self._find()[2]["vmFolder"]

    def datastores(self) -> list[Datastore]:
        """Those that guests may use, the one with the most room first, as they were a moment ago.

        Raises errors.Unavailable when there is none.
        """
        return self._datastores.get("all", self._open_datastores)

    def forget(self) -> None:
        """Ask again: what has been known may have changed."""
        self._datastores.forget()
        self._networks.forget()

    def _open_datastores(self) -> list[Datastore]:
        found = []
        for one, values in self._session.collect([self._having("datastore")], vim.Datastore, ["summary"]):
            summary = values["summary"]
            is_open = summary.accessible and summary.maintenanceMode in (None, "normal")
            if is_open and summary.type in _FILE_SYSTEMS and self._regex.search(summary.name):
                found.append(Datastore(one, summary.name, summary.capacity, summary.freeSpace))
        if not found:
            raise errors.Unavailable(service="The hypervisor", reason="it has no datastore that may be used")
        return sorted(found, key=lambda store: (-store.free, store.name))

    def network(self, name: str) -> tuple[Any, dict[str, Any]]:
        """A network of the cluster by its name, or a distributed port group by its key, and what devices.nic needs of it."""
        return self._networks.get(name, lambda: self._find_network(name))

    def _find_network(self, name: str) -> tuple[Any, dict[str, Any]]:
        for one, values in self._session.collect([self._having("network")], vim.Network, ["name"]):
            if values["name"] == name or one._moId == name:
                return one, self._facts(one, values["name"])
        raise errors.GuestFailed(reason="A network of the server is not known to its hypervisor", detail=name)

    def _facts(self, network: Any, name: str) -> dict[str, Any]:
        if isinstance(network, vim.dvs.DistributedVirtualPortgroup):
            config: Any = self._session.read(lambda _: network.config)
            return {"switch": self._session.read(lambda _: config.distributedVirtualSwitch.uuid)}
        if isinstance(network, vim.OpaqueNetwork):
            summary: Any = self._session.read(lambda _: network.summary)
            return {"id": summary.opaqueNetworkId, "type": summary.opaqueNetworkType}
        return {"name": name}

    def node(self) -> NodeState:
        """The cluster as a hypervisor: the sum of its hosts that are in use."""
        self.forget()
        cluster = self.object
        _, values = self._session.properties([cluster], vim.ClusterComputeResource, ["name", "host"])[0]
        names = ["summary.hardware", "summary.config.product", "runtime.connectionState", "runtime.inMaintenanceMode"]
        hosts = [
            facts
            for _, facts in self._session.properties(values["host"], vim.HostSystem, names)
            if facts["runtime.connectionState"] == "connected" and not facts["runtime.inMaintenanceMode"]
        ]
        stores = self.datastores()
        capacity, free = (sum(getattr(store, name) for store in stores) // _GIB for name in ("capacity", "free"))
        about = self._session.read(lambda content: content.about)
        hardware = [facts["summary.hardware"] for facts in hosts]
        return NodeState(
            hypervisor_hostname=self._name(cluster, values["name"], about),
            hypervisor_type=about.fullName.partition(" ")[0] + " vCenter Server",
            hypervisor_version=_number(about.version),
            host_ip=self._conf.my_ip,
            vcpus=sum(one.numCpuThreads for one in hardware),
            memory_mb=sum(one.memorySize for one in hardware) // _MIB,
            disk_gb=capacity,
            disk_gb_used=capacity - free,
            disk_available_least_gb=free,
            cpu_info=_describe(hardware),
            supported_instances=(("i686", "vmware", "hvm"), ("x86_64", "vmware", "hvm")),
            traits=_TRAITS,
        )

    @staticmethod
    def _name(cluster: Any, name: str, about: Any) -> str:
        # A name that clusters of several vCenters may share is not one for a node.
        return f"{cluster._moId}.{about.instanceUuid or name}"

    def _find(self) -> tuple[Any, Any, dict[str, Any]]:
        with self._lock:
            if self._found is None:
                self._found = self._look_up()
            return self._found

    def _look_up(self) -> tuple[Any, Any, dict[str, Any]]:
        wanted = self._conf.vmware.cluster_name
        root = self._session.read(lambda content: content.rootFolder)
        found = [
            (cluster, values)
            for cluster, values in self._session.collect(
                [_below(root)], vim.ClusterComputeResource, ["name", "resourcePool", "parent"]
            )
            if values["name"] == wanted
        ]
        if len(found) != 1:
            reason = f"it has {len(found) or 'no'} clusters of the name in [vmware] cluster_name"
            raise errors.Unavailable(service="The hypervisor", reason=reason, detail=repr(wanted))
        cluster, values = found[0]
        parent = values["parent"]
        while not isinstance(parent, vim.Datacenter):
            parent = self._session.properties([parent], vim.ManagedEntity, ["parent"])[0][1]["parent"]
        datacenter = parent
        _, facts = self._session.properties([datacenter], vim.Datacenter, ["name", "parent", "vmFolder"])[0]
        # Folders above it are part of its path, but for the root.
        path, parent = facts["name"], facts["parent"]
        while (above := self._session.properties([parent], vim.ManagedEntity, ["name", "parent"])[0][1]).get("parent"):
            path, parent = f"{above['name']}/{path}", above["parent"]
        return cluster, datacenter, values | {"path": path, "vmFolder": facts["vmFolder"]}

    def _having(self, what: str) -> Any:
        """What the cluster has of a kind, by the property that lists it."""
        kinds = vmodl.query.PropertyCollector
        path = kinds.TraversalSpec(name=what, type=vim.ComputeResource, path=what)
        return kinds.ObjectSpec(obj=self.object, skip=True, selectSet=[path])


def _below(root: Any) -> Any:
    """Whatever is in the folders of hosts of every data center."""
    kinds = vmodl.query.PropertyCollector
    again = [kinds.SelectionSpec(name="folders"), kinds.SelectionSpec(name="hosts")]
    return kinds.ObjectSpec(
        obj=root,
        skip=True,
        selectSet=[
            kinds.TraversalSpec(name="folders", type=vim.Folder, path="childEntity", selectSet=again),
            kinds.TraversalSpec(name="hosts", type=vim.Datacenter, path="hostFolder", selectSet=again[:1]),
        ],
    )


def _describe(hardware: list[Any]) -> dict[str, object]:
    return {
        "model": sorted({one.cpuModel for one in hardware}),
        "vendor": sorted({one.vendor for one in hardware}),
        "topology": {
            "cores": sum(one.numCpuCores for one in hardware),
            "sockets": sum(one.numCpuPkgs for one in hardware),
            "threads": sum(one.numCpuThreads for one in hardware),
        },
    }


def _number(version: str) -> int:
    """7.0.3 is 7000003, as libvirt counts too."""
    parts = [int(part) for part in version.split(".")[:3] if part.isdigit()]
    return sum(part * scale for part, scale in zip(parts, (1000000, 1000, 1), strict=False))


def _compiled(pattern: str | None) -> re.Pattern[str]:
    try:
        return re.compile(pattern or "")
    except re.error as error:
        raise errors.Unavailable(
            service="The hypervisor", reason="[vmware] datastore_regex is no pattern", detail=str(error)
        ) from error
