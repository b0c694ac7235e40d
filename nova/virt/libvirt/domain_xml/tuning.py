"""Shares and limits of processor and memory, from a flavor's quota: extra specs.

Source: user guide, "Flavors", extra specs in the namespace quota.
"""

import xml.etree.ElementTree as ET

from nova.structs.guest import GuestSpec
from nova.virt.libvirt.domain_xml.facts import child

_CPU = {"cpu_shares": "shares", "cpu_period": "period", "cpu_quota": "quota"}
_MEMORY = {
    "memory_limit": "hard_limit",
    "memory_reservation": "min_guarantee",
    "memory_shares_limit": "soft_limit",
}
_DISK = (
    "read_bytes_sec",
    "read_iops_sec",
    "write_bytes_sec",
    "write_iops_sec",
    "total_bytes_sec",
    "total_iops_sec",
    "read_bytes_sec_max",
    "write_bytes_sec_max",
    "total_bytes_sec_max",
    "read_iops_sec_max",
    "write_iops_sec_max",
    "total_iops_sec_max",
    "size_iops_sec",
)


def cpu_tune(spec: GuestSpec) -> ET.Element | None:
    """Shares, period and quota; None when the flavor sets none of them."""
    return _from_quota(spec, "cputune", _CPU)


def memory_tune(spec: GuestSpec) -> ET.Element | None:
    """Limits in MiB; None when the flavor sets none."""
    element = _from_quota(spec, "memtune", _MEMORY)
    for limit in element if element is not None else ():
        limit.set("unit", "MiB")
    return element


def disk_tune(spec: GuestSpec) -> ET.Element | None:
    """Bytes and requests per second, for each disk; None when the flavor sets no limit."""
    return _from_quota(spec, "iotune", {f"disk_{name}": name for name in _DISK})


def bandwidth(spec: GuestSpec) -> ET.Element | None:
    """Limits of a network device, in KiB/s and KiB."""
    element = ET.Element("bandwidth")
    for direction in ("inbound", "outbound"):
        limits = {
            name: spec.flavor.extra_specs[f"quota:vif_{direction}_{name}"]
            for name in ("average", "peak", "burst")
            if f"quota:vif_{direction}_{name}" in spec.flavor.extra_specs
        }
        # libvirt takes no peak and no burst without an average.
        if "average" in limits:
            child(element, direction, **limits)
    return element if len(element) else None


def _from_quota(spec: GuestSpec, tag: str, names: dict[str, str]) -> ET.Element | None:
    element = ET.Element(tag)
    for name, limit in names.items():
        value = spec.flavor.extra_specs.get(f"quota:{name}")
        if value is not None:
            child(element, limit, value)
    return element if len(element) else None
