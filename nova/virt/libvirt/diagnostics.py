"""Counters of a guest, in the shape the Compute API has had for them since 2.48."""

import xml.etree.ElementTree as ET
from typing import Any

import libvirt

from nova.structs.instance import PowerState
from nova.virt.libvirt import power
from nova.virt.libvirt.connection import Proxy

_STATE_WORDS = {
    PowerState.NOSTATE: "pending",
    PowerState.RUNNING: "running",
    PowerState.PAUSED: "paused",
    PowerState.SHUTDOWN: "shutdown",
    PowerState.CRASHED: "crashed",
    PowerState.SUSPENDED: "suspended",
}


def read(domain: Proxy, host_type: str) -> dict[str, Any]:
    """virt_type: what guests here run with. The uptime is not libvirt's to know: the conductor adds it."""
    definition = domain.XMLDesc(0)
    stats = _stats(domain)
    cpus = [number for number in range(stats.get("vcpu.maximum", 0)) if f"vcpu.{number}.state" in stats]
    return {
        "state": _STATE_WORDS[power.read_state(domain)],
        "driver": "libvirt",
        "hypervisor": host_type,
        "hypervisor_os": "linux",
        "uptime": None,
        "config_drive": "disk.config" in definition,
        "num_cpus": stats.get("vcpu.current", 0),
        "num_nics": stats.get("net.count", 0),
        "num_disks": stats.get("block.count", 0),
        "cpu_details": [{"id": n, "time": stats.get(f"vcpu.{n}.time", 0), "utilisation": None} for n in cpus],
        "nic_details": [_nic(stats, number, _macs(definition)) for number in range(stats.get("net.count", 0))],
        "disk_details": [_disk(stats, number) for number in range(stats.get("block.count", 0))],
        "memory_details": _memory(stats),
    }


def _stats(domain: Proxy) -> dict[str, Any]:
    kinds = (
        libvirt.VIR_DOMAIN_STATS_VCPU
        | libvirt.VIR_DOMAIN_STATS_BALLOON
        | libvirt.VIR_DOMAIN_STATS_INTERFACE
        | libvirt.VIR_DOMAIN_STATS_BLOCK
    )
    rows: list[tuple[Proxy, dict[str, Any]]] = domain.connect().domainListGetStats([domain], kinds)
    return rows[0][1]


def _macs(definition: str) -> list[str]:
    return [mac.get("address", "") for mac in ET.fromstring(definition).findall("devices/interface/mac")]


def _nic(stats: dict[str, Any], number: int, macs: list[str]) -> dict[str, Any]:
    words = {"octets": "bytes", "packets": "pkts", "errors": "errs", "drop": "drop"}
    counters = {
        f"{way}_{ours}": stats.get(f"net.{number}.{way}.{theirs}", 0)
        for way in ("rx", "tx")
        for ours, theirs in words.items()
    }
    mac = macs[number] if number < len(macs) else ""
    return {"mac_address": mac, "rx_rate": None, "tx_rate": None, **counters}


def _disk(stats: dict[str, Any], number: int) -> dict[str, Any]:
    words = {
        "read_bytes": "rd.bytes",
        "read_requests": "rd.reqs",
        "write_bytes": "wr.bytes",
        "write_requests": "wr.reqs",
    }
    counters = {ours: stats.get(f"block.{number}.{theirs}", 0) for ours, theirs in words.items()}
    return {**counters, "errors_count": 0}


def _memory(stats: dict[str, Any]) -> dict[str, int]:
    """MiB. Without a balloon driver in the guest, what the guest takes of the host."""
    total = stats.get("balloon.current", 0)
    unused = stats.get("balloon.unused")
    used = total - unused if unused is not None else min(total, stats.get("balloon.rss", 0))
    return {"maximum": stats.get("balloon.maximum", total) // 1024, "used": used // 1024}
