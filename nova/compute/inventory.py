"""A node's inventory in Placement: what the driver reports, with reservations and allocation ratios."""

import msgspec
from oslo_config import cfg

from nova.structs.guest import Inventory, NodeState
from nova.structs.host import NodeReport


def report(conf: cfg.ConfigOpts, state: NodeState, abilities: tuple[str, ...] = ()) -> NodeReport:
    """The report of a node for the conductor and Placement. abilities: those of the driver, by name."""
    node_state = msgspec.structs.replace(state, abilities=abilities)
    return NodeReport(state=node_state, inventory=inventory(conf, state))


def inventory(conf: cfg.ConfigOpts, state: NodeState) -> dict[str, Inventory]:
    """VCPU, MEMORY_MB and DISK_GB; a class of which there is none is left out.

    Source: configuration reference, *_allocation_ratio, initial_*_allocation_ratio, reserved_host_*.
    """
    inventories = {
        "VCPU": _inventory(
            state.vcpus, conf.reserved_host_cpus, conf.cpu_allocation_ratio or conf.initial_cpu_allocation_ratio
        ),
        "MEMORY_MB": _inventory(
            state.memory_mb,
            conf.reserved_host_memory_mb,
            conf.ram_allocation_ratio or conf.initial_ram_allocation_ratio,
        ),
        "DISK_GB": _inventory(
            state.disk_gb,
            -(-conf.reserved_host_disk_mb // 1024),
            conf.disk_allocation_ratio or conf.initial_disk_allocation_ratio,
        ),
    }
    return {name: entry for name, entry in inventories.items() if entry.total > 0}


def _inventory(total: int, reserved: int, ratio: float) -> Inventory:
    return Inventory(total=total, reserved=min(reserved, total), max_unit=max(total, 1), allocation_ratio=ratio)
