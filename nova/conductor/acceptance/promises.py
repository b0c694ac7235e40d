"""What flavors and images may promise that this release does not build: refused, where ignoring it would hurt.

Somebody who asks for encrypted memory, a TPM or a processor of his own relies on it. What is only a matter of speed
or of taste is not listed. Source: user guide, "Extra specs"; Image service, useful image properties.
"""

import re
from collections.abc import Mapping

from nova import errors
from nova.structs import topology
from nova.structs.flavor import Flavor
from nova.structs.image import Image

_NO = frozenset({"false", "no", "off", "0", "f", "n", ""})

# An extra spec and an image property, and the values that ask for nothing.
_NOT_BUILT: tuple[tuple[str | None, str | None, frozenset[str]], ...] = (
    ("hw:mem_encryption", "hw_mem_encryption", _NO),
    ("hw:mem_encryption_context", "hw_mem_encryption_context", frozenset()),
    ("hw:mem_encryption_model", "hw_mem_encryption_model", frozenset()),
    ("hw:tpm_version", "hw_tpm_version", frozenset()),
    ("hw:tpm_model", "hw_tpm_model", frozenset()),
    ("hw:tpm_secret_security", "hw_tpm_secret_security", frozenset()),
    ("hw:ephemeral_encryption", "hw_ephemeral_encryption", _NO),
    ("hw:ephemeral_encryption_format", "hw_ephemeral_encryption_format", frozenset()),
    (None, "hw_ephemeral_encryption_secret_uuid", frozenset()),
    ("hw:firmware_stateless", "hw_firmware_stateless", _NO),
    ("hw:locked_memory", "hw_locked_memory", _NO),
    ("hw:cpu_policy", "hw_cpu_policy", frozenset({"shared"})),
    ("hw:cpu_thread_policy", "hw_cpu_thread_policy", frozenset({"prefer"})),
    ("hw:emulator_threads_policy", "hw_emulator_threads_policy", frozenset({"share"})),
    ("hw:cpu_realtime", None, _NO),
    ("hw:pmem", None, frozenset()),
    ("hw:numa_nodes", "hw_numa_nodes", frozenset({"1"})),
    ("hw:pci_numa_affinity_policy", "hw_pci_numa_affinity_policy", frozenset({"legacy", "preferred"})),
    ("hw:cpu_dedicated_mask", None, frozenset()),
    ("hw:cpu_realtime_mask", "hw_cpu_realtime_mask", frozenset()),
    ("hw:redirected_usb_ports", "hw_redirected_usb_ports", frozenset({"0"})),
    (None, "hw_emulation_architecture", frozenset()),
    # A PC has at most four, and the first has the guest's log.
    ("hw:serial_port_count", "hw_serial_port_count", frozenset("1234")),
    ("hw:viommu_model", "hw_viommu_model", frozenset()),
    ("pci_passthrough:alias", None, frozenset()),
    ("accel:device_profile", None, frozenset()),
    (None, "hw_ipxe_boot", _NO),
    (None, "os_require_quiesce", _NO),
)
# What a NUMA node has of processors and memory.
_OF_NODES = re.compile(r"hw[:_]numa_(cpus|mem)(\.\d+)?")
_ADDRESS_MODES = ("emulate", "passthrough")
_ADDRESS_BITS = re.compile(r"[1-9][0-9]?")


def check(flavor: Flavor, image: Image | None) -> None:
    """Raises Invalid for the first promise that nobody would keep. image None: the server boots from a volume."""
    properties = image.properties if image is not None else {}
    if topology.choose(flavor.vcpus, flavor.extra_specs, properties) is None:
        raise errors.Invalid(f"{flavor.vcpus} processors cannot be grouped below the maxima of flavor and image.")
    for spec, name, harmless in _NOT_BUILT:
        for source, key, value in (
            (f"extra spec of flavor {flavor.id}", spec, flavor.extra_specs.get(spec or "")),
            ("property of the image", name, properties.get(name or "")),
        ):
            if value is not None and value.strip().lower() not in harmless:
                raise _not_built(str(key), value, source)
    for source, given in (
        (f"extra spec of flavor {flavor.id}", flavor.extra_specs),
        ("property of the image", properties),
    ):
        for key in filter(_OF_NODES.fullmatch, given):
            raise _not_built(key, given[key], source)
    _check_addresses(flavor.extra_specs, properties)


def _check_addresses(specs: Mapping[str, str], properties: Mapping[str, str]) -> None:
    """Raises Invalid for a size of physical addresses that no guest can have."""
    chosen = {}
    for name in ("maxphysaddr_mode", "maxphysaddr_bits"):
        values = {value for value in (specs.get(f"hw:{name}"), properties.get(f"hw_{name}")) if value is not None}
        if len(values) > 1:
            raise errors.Invalid(f"hw_{name} of the image contradicts hw:{name} of the flavor.")
        chosen[name] = next(iter(values), None)
    mode, bits = chosen.values()
    if mode is not None and mode not in _ADDRESS_MODES:
        raise errors.Invalid(f"hw_maxphysaddr_mode is one of {', '.join(_ADDRESS_MODES)}.")
    if bits is not None and not _ADDRESS_BITS.fullmatch(bits):
        raise errors.Invalid("hw_maxphysaddr_bits is a number of at most two digits.")
    if (bits is None) == (mode == "emulate"):
        raise errors.Invalid("maxphysaddr_bits goes with maxphysaddr_mode=emulate, and this with those.")


def _not_built(key: str, value: str, source: str) -> errors.Invalid:
    return errors.Invalid(f"{key}={value[:64]}, {source}, is not supported by this release.")
