"""Counters of a guest, in the shape the Compute API has had for them since 2.48. What the pool does not count is None."""

from typing import Any

from nova import errors
from nova.virt.xenserver import blueprint
from nova.virt.xenserver.devices import Devices
from nova.virt.xenserver.identity import Vm
from nova.virt.xenserver.session import Session

_STATE_WORDS = {"Running": "running", "Paused": "paused", "Halted": "shutdown", "Suspended": "suspended"}
_NO_DISK = dict.fromkeys(("errors_count", "read_bytes", "read_requests", "write_bytes", "write_requests"))
_NO_NIC = dict.fromkeys(f"{way}_{what}" for way in ("rx", "tx") for what in ("octets", "packets", "errors", "drop"))


def read(session: Session, vm: Vm, devices: Devices) -> dict[str, Any]:
    """The pool keeps rates and no sums: octets per second, and a processor's use in percent."""
    record, disks, vifs = vm.record, devices.disks_of(vm), devices.vifs_of(vm)
    processors = int(record["VCPUs_at_startup"])
    return {
        "state": _STATE_WORDS.get(record["power_state"], "pending"),
        "driver": "xenapi",
        "hypervisor": "xen",
        "hypervisor_os": "linux",
        "uptime": None,
        "config_drive": any(r["userdevice"] == blueprint.CONFIG_DRIVE for _, r in disks.values()),
        "num_cpus": processors,
        "num_nics": len(vifs),
        "num_disks": len(disks),
        "cpu_details": [
            {"id": n, "time": None, "utilisation": _rounded(_rate(session, vm, f"cpu{n}"), 100)}
            for n in range(processors)
        ],
        "nic_details": [
            {
                "mac_address": vif["MAC"],
                **_NO_NIC,
                "rx_rate": _rounded(_rate(session, vm, f"vif_{vif['device']}_rx")),
                "tx_rate": _rounded(_rate(session, vm, f"vif_{vif['device']}_tx")),
            }
            for vif in vifs.values()
        ],
        "disk_details": [dict(_NO_DISK) for _ in disks],
        "memory_details": {"maximum": int(record["memory_static_max"]) >> 20, "used": _used_mb(session, vm)},
    }


def _rate(session: Session, vm: Vm, source: str) -> float | None:
    """The last value of a data source; None where the pool has none, as for a guest that is off."""
    try:
        return float(session.call("VM.query_data_source", vm.ref, source))
    except errors.GuestFailed:
        return None


def _used_mb(session: Session, vm: Vm) -> int | None:
    total, free = _rate(session, vm, "memory"), _rate(session, vm, "memory_internal_free")
    return None if total is None else int((total - (free or 0) * 1024) / (1 << 20))


def _rounded(value: float | None, factor: int = 1) -> int | None:
    return None if value is None else round(value * factor)
