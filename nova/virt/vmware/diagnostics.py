"""Counters of a guest, in the shape the Compute API has had for them since 2.48. What the vCenter does not count is None."""

from typing import Any

from pyVmomi import vim

from nova.structs.instance import PowerState
from nova.virt.vmware.building import CONFIG_DRIVE, RESCUE_DRIVE, find_cd
from nova.virt.vmware.machine import Machine
from nova.virt.vmware.session import Session

_STATE_WORDS = {PowerState.RUNNING: "running", PowerState.SHUTDOWN: "shutdown", PowerState.SUSPENDED: "suspended"}
_NO_DISK = dict.fromkeys(("errors_count", "read_bytes", "read_requests", "write_bytes", "write_requests"))
_NO_NIC = {f"{way}_{what}": None for way in ("rx", "tx") for what in ("octets", "packets", "errors", "drop", "rate")}


def read(session: Session, machine: Machine) -> dict[str, Any]:
    """The vCenter keeps rates over intervals and no sums: only the memory in use is told."""
    nics = [one for one in machine.devices if isinstance(one, vim.vm.device.VirtualEthernetCard)]
    hardware = machine.config.hardware
    found = session.properties([machine.object], vim.VirtualMachine, ["summary.quickStats.guestMemoryUsage"])
    used = next((values.get("summary.quickStats.guestMemoryUsage") for _, values in found), None)
    return {
        "state": _STATE_WORDS[machine.power_state],
        "driver": "vmwareapi",
        "hypervisor": "esxi",
        "hypervisor_os": "esxi",
        "uptime": None,
        "config_drive": any(find_cd(machine, name) is not None for name in (CONFIG_DRIVE, RESCUE_DRIVE)),
        "num_cpus": hardware.numCPU,
        "num_nics": len(nics),
        "num_disks": len(machine.disks),
        "cpu_details": [{"id": number, "time": None, "utilisation": None} for number in range(hardware.numCPU)],
        "nic_details": [{"mac_address": nic.macAddress} | _NO_NIC for nic in nics],
        "disk_details": [dict(_NO_DISK) for _ in machine.disks],
        "memory_details": {"maximum": hardware.memoryMB, "used": used},
    }
