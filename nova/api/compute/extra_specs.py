"""Which extra specs of a flavor mean something, and which values they take.

From 2.86 on a spec of a known namespace must be one of these; what is in no known namespace is
the operator's own. Source: user guide, "Extra specs".
"""

import re

from nova import errors

_BOOL = r"(?i:true|false|yes|no|on|off|1|0|t|f|y|n)"
_INT = r"\d+"
_ANY = r".*"
_TRAIT = r"required|forbidden"

# Patterns of whole keys, and of the values that go with them.
_KNOWN = [
    (r"accel:device_profile", _ANY),
    (r"aggregate_instance_extra_specs:.+", _ANY),
    (r"capabilities:.+", _ANY),
    (r"hw:cpu_policy", r"dedicated|shared|mixed"),
    (r"hw:cpu_thread_policy", r"prefer|isolate|require"),
    (r"hw:emulator_threads_policy", r"isolate|share"),
    (r"hw:cpu_realtime", _BOOL),
    (r"hw:cpu_realtime_mask", r"\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*"),
    (r"hw:cpu_dedicated_mask", r"\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*"),
    (r"hw:(cpu|cpu_max)_(sockets|cores|threads)", r"[1-9]\d*"),
    (r"hw:numa_nodes", r"[1-9]\d*"),
    (r"hw:numa_cpus\.\d+", r"\d+((-\d+)?(,\^?\d+(-\d+)?)?)*"),
    (r"hw:numa_mem\.\d+", r"[1-9]\d*"),
    (r"hw:pci_numa_affinity_policy", r"required|preferred|legacy|socket"),
    (r"hw:pci_less", _BOOL),
    (r"hw:mem_page_size", r"large|small|any|\d+([kKMGT]i?)?(b|bit|B)?"),
    (r"hw:mem_encryption", _BOOL),
    (r"hw:mem_encryption_model", r"amd-sev|amd-sev-es"),
    (r"hw:mem_encryption_context", _ANY),
    (r"hw:boot_menu", _BOOL),
    (r"hw:watchdog_action", r"none|pause|poweroff|reset|disabled"),
    (r"hw:pmem", _ANY),
    (r"hw:vif_multiqueue_enabled", _BOOL),
    (r"hw:virtio_packed_ring", _BOOL),
    (r"hw:serial_port_count", _INT),
    (r"hw:pmu", _BOOL),
    (r"hw:tpm_version", r"1\.2|2\.0"),
    (r"hw:tpm_model", r"tpm-tis|tpm-crb"),
    (r"hw:tpm_secret_security", r"user|host|deployment"),
    (r"hw:hide_hypervisor_id", _BOOL),
    (r"hw:locked_memory", _BOOL),
    (r"hw:maxphysaddr_mode", r"passthrough|emulate"),
    (r"hw:maxphysaddr_bits", _INT),
    (r"hw:viommu_model", r"intel|smmuv3|virtio|auto"),
    (r"hw:sound_model", r"sb16|es1370|pcspk|ac97|ich6|ich9|usb|virtio"),
    (r"hw:usb_model", r"piix3-uhci|piix4-uhci|ehci|ich9-ehci1|ich9-uhci1|vt82c686b-uhci|pci-ohci|nec-xhci|qemu-xhci"),
    (r"hw:redirected_usb_ports", _INT),
    (r"hw_rng:allowed", _BOOL),
    (r"hw_rng:rate_(bytes|period)", _INT),
    (r"hw_video:ram_max_mb", _INT),
    (r"os:secure_boot", r"required|disabled|optional"),
    (r"os:(vsmode|hv_.*)", _ANY),
    (r"pci_passthrough:alias", r"[^:]+:\d+(,[^:]+:\d+)*"),
    (r"powervm:.+", _ANY),
    (r"quota:cpu_(period|quota|shares)", r"-?\d+"),
    (r"quota:cpu_shares_level", _ANY),
    (r"quota:cpu_(limit|reservation)", _INT),
    (r"quota:disk_(read|write|total)_(bytes|iops)_sec(_max)?", _INT),
    (r"quota:(disk_io|memory|vif)_(limit|reservation)", _INT),
    (r"quota:(disk_io|memory|vif)_shares_(level|share)", _ANY),
    (r"quota:vif_(inbound|outbound)_(average|burst|peak)", _INT),
    (r"resources[A-Za-z0-9_-]{0,64}:(CUSTOM_[A-Z0-9_]+|[A-Z][A-Z0-9_]*)", _INT),
    (r"trait[A-Za-z0-9_-]{0,64}:(CUSTOM_[A-Z0-9_]+|[A-Z][A-Z0-9_]*)", _TRAIT),
    (r"vmware:.+", _ANY),
]
_COMPILED = [(re.compile(key), re.compile(value)) for key, value in _KNOWN]
# accel, hw, ...: a key that begins with one of these and a colon is ours to check.
_NAMESPACES = frozenset(
    (
        "accel", "aggregate_instance_extra_specs", "capabilities", "hw", "hw_rng", "hw_video", "os", "pci_passthrough",
        "powervm", "quota", "resources", "trait", "vmware",
    )
)  # fmt: skip


def check(specs: dict[str, str]) -> None:
    """Raises Invalid for the first spec that is unknown, or has a value it cannot have."""
    for key, value in specs.items():
        if re.match(r"(resources|trait)[A-Za-z0-9_-]*:", key) is None and key.partition(":")[0] not in _NAMESPACES:
            continue
        if ":" not in key:
            continue
        values = [pattern for name, pattern in _COMPILED if name.fullmatch(key)]
        if not values:
            raise errors.Invalid(f"Validation failed; extra spec '{key}' does not appear to be a valid extra spec.")
        if not values[0].fullmatch(value):
            raise errors.Invalid(f"Validation failed; '{value}' is not a valid value of extra spec '{key}'.")
