"""This host in the pool: which of its objects it is, where new disks go, and what it has."""

import logging
import urllib.parse
from typing import Any

from oslo_config import cfg

from nova import errors
from nova.structs.guest import NodeState
from nova.virt.xenserver.identity import Record
from nova.virt.xenserver.session import NULL, Session

LOG = logging.getLogger(__name__)

_MIB, _GIB = 1 << 20, 1 << 30
_TRAITS = ("COMPUTE_NODE", "COMPUTE_DEVICE_TAGGING", "COMPUTE_NET_ATTACH_INTERFACE", "COMPUTE_VOLUME_ATTACH")


class HostFacts:
    """Looked up once, and again when a session begins anew."""

    def __init__(self, session: Session, conf: cfg.ConfigOpts, host: str) -> None:
        self._session = session
        self._conf = conf
        self._host = host
        self._ref: str | None = None
        self._storage: str | None = None

    def ref(self) -> str:
        """The pool's object of this host. Raises errors.Unavailable when none, or not one only, can be meant."""
        if self._ref is None:
            self._ref = self._find()
        return self._ref

    def storage(self) -> str:
        """The repository for guests' disks, by [xenserver] sr_matching_filter. Raises errors.Unavailable."""
        if self._storage is None:
            self._storage = self._find_storage()
        return self._storage

    def pool_uuid(self) -> str:
        pools: dict[str, Record] = self._session.call("pool.get_all_records")
        return str(next(iter(pools.values()))["uuid"])

    def look_again(self) -> None:
        """What an operator has changed in the pool counts from now on."""
        self._ref = self._storage = None

    def check(self) -> None:
        """Raises errors.Unavailable while guests here cannot be reached."""
        record: Record = self._session.call("host.get_record", self.ref())
        if not self._session.call("host_metrics.get_live", record["metrics"]):
            raise _unavailable("it is not alive", f"host {record['hostname']}")

    def node(self) -> NodeState:
        """This host now: from its record, its metrics and the repository's."""
        record: Record = self._session.call("host.get_record", self.ref())
        metrics: Record = self._session.call("host_metrics.get_record", record["metrics"])
        storage: Record = self._session.call("SR.get_record", self.storage())
        total, used = int(storage["physical_size"]), int(storage["physical_utilisation"])
        memory, free = int(metrics["memory_total"]), int(metrics["memory_free"])
        return NodeState(
            hypervisor_hostname=record["hostname"],
            hypervisor_type="XenServer",
            hypervisor_version=_version(record["software_version"].get("product_version", "")),
            host_ip=record["address"] or self._conf.my_ip,
            vcpus=int(record["cpu_info"].get("cpu_count", "0")),
            memory_mb=memory // _MIB,
            memory_mb_used=(memory - free) // _MIB,
            disk_gb=total // _GIB,
            disk_gb_used=used // _GIB,
            disk_available_least_gb=max(0, total - max(used, int(storage["virtual_allocation"]))) // _GIB,
            cpu_info=_cpu_info(record["cpu_info"]),
            supported_instances=_supported(record["capabilities"]),
            traits=_TRAITS,
        )

    def _find(self) -> str:
        records: dict[str, Record] = self._session.call("host.get_all_records")
        name = urllib.parse.urlsplit(self._session.url).hostname or ""
        for wanted in (name, self._host):
            found = [
                ref for ref, r in records.items() if wanted in (r["address"], r["hostname"], r["name_label"], r["uuid"])
            ]
            if len(found) == 1:
                return found[0]
        if len(records) == 1:
            return next(iter(records))
        names = ", ".join(sorted(record["hostname"] for record in records.values()))
        raise _unavailable("it has no host for this nova-compute", f"neither {name} nor {self._host} is one of {names}")

    def _find_storage(self) -> str:
        """Source: configuration reference, [xenserver] sr_matching_filter: default-sr:true or other-config:KEY=VALUE."""
        kind, _, wanted = self._conf.xenserver.sr_matching_filter.partition(":")
        if kind == "other-config":
            key, _, value = wanted.partition("=")
            records: dict[str, Record] = self._session.call("SR.get_all_records")
            found = [ref for ref, record in records.items() if record["other_config"].get(key) == value]
        else:
            pools: dict[str, Record] = self._session.call("pool.get_all_records")
            found = [record["default_SR"] for record in pools.values() if record["default_SR"] != NULL]
        for ref in found:
            for pbd in self._session.call("SR.get_PBDs", ref):
                record = self._session.call("PBD.get_record", pbd)
                if record["host"] == self.ref() and record["currently_attached"]:
                    return ref
        raise _unavailable("it has no storage for guests", f"[xenserver] sr_matching_filter {kind}:{wanted}")


def _version(text: str) -> int:
    """As the Compute API counts: 8.4.0 is 8004000."""
    numbers = [int(word) if word.isdigit() else 0 for word in text.split(".")[:3]]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major * 1_000_000 + minor * 1000 + patch


def _cpu_info(facts: dict[str, str]) -> dict[str, Any]:
    sockets = int(facts.get("socket_count", "1")) or 1
    cores = int(facts.get("cpu_count", "1")) // sockets
    return {
        "arch": "x86_64",
        "model": facts.get("modelname", ""),
        "vendor": facts.get("vendor", ""),
        "features": sorted(facts.get("flags", "").split()),
        "topology": {"sockets": sockets, "cores": cores, "threads": 1},
    }


def _supported(capabilities: list[str]) -> tuple[tuple[str, str, str], ...]:
    """From words such as hvm-3.0-x86_64 and xen-3.0-x86_64."""
    found = set()
    for word in capabilities:
        kind, _, arch = word.split("-", 2) if word.count("-") >= 2 else ("", "", "")
        if kind in ("hvm", "xen"):
            found.add(({"x86_32p": "i686"}.get(arch, arch), "xen", kind))
    return tuple(sorted(found))


def _unavailable(reason: str, detail: str) -> errors.Unavailable:
    return errors.Unavailable(service="The hypervisor", reason=reason, detail=detail)
