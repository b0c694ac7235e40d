"""The classes of the management API that clients here use: each field's type, who sets it, and its default.

Source: XenServer management API reference. An int travels as text, because XML-RPC's has 32 bits.
"""

import enum
from dataclasses import dataclass
from typing import Any

NULL = "OpaqueRef:NULL"


class Failure(Exception):
    """What the API answers instead of a value: a code and its parameters, all text."""

    def __init__(self, code: str, *parameters: object) -> None:
        super().__init__(code, *map(str, parameters))


class Access(enum.Enum):
    FIXED = enum.auto()  # set by the constructor
    OPEN = enum.auto()  # set by the constructor, and by set_
    OWN = enum.auto()  # set by the hypervisor alone


class _Required:
    pass


REQUIRED = _Required()


@dataclass(frozen=True)
class Field:
    """kind: str, int, bool, float, map, set, or the name of the class that a reference names ("set VM": several)."""

    kind: str
    access: Access = Access.OWN
    default: Any = REQUIRED

    def check(self, value: object) -> bool:
        kind, _, element = self.kind.partition(" ")
        if kind == "set":
            return isinstance(value, list) and all(Field(element or "str").check(entry) for entry in value)
        if kind == "int":
            return isinstance(value, str) and value.lstrip("-").isdigit()
        if kind == "map":
            return isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)
        python = {"str": str, "bool": bool, "float": float}.get(kind)
        if python is not None:
            return isinstance(value, python)
        return isinstance(value, str) and value.startswith("OpaqueRef:")


_DEFAULTS: dict[str, Any] = {"str": "", "int": "0", "bool": False, "float": 0.0, "map": {}, "set": []}


def _own(kind: str, default: Any = None) -> Field:
    word = kind.partition(" ")[0]
    return Field(kind, Access.OWN, _DEFAULTS.get(word, NULL) if default is None else default)


def _fixed(kind: str, default: Any = REQUIRED) -> Field:
    return Field(kind, Access.FIXED, default)


def _open(kind: str, default: Any = REQUIRED) -> Field:
    return Field(kind, Access.OPEN, default)


_MAP, _SET = _open("map", {}), _open("set", [])
_OPERATIONS = {"allowed_operations": _own("set"), "current_operations": _own("map")}
_LABEL = {"name_label": _open("str"), "name_description": _open("str", "")}
_QOS = {"qos_algorithm_type": _open("str"), "qos_algorithm_params": _open("map")}

CLASSES: dict[str, dict[str, Field]] = {
    "VM": _LABEL
    | _OPERATIONS
    | {
        "power_state": _own("str", "Halted"),
        "user_version": _open("int"),
        "is_a_template": _open("bool"),
        "is_a_snapshot": _own("bool"),
        "is_control_domain": _own("bool"),
        "suspend_VDI": _own("VDI"),
        "resident_on": _own("host"),
        "affinity": _open("host"),
        "memory_static_max": _fixed("int"),
        "memory_dynamic_max": _fixed("int"),
        "memory_dynamic_min": _fixed("int"),
        "memory_static_min": _fixed("int"),
        "VCPUs_params": _open("map"),
        "VCPUs_max": _fixed("int"),
        "VCPUs_at_startup": _fixed("int"),
        "actions_after_shutdown": _open("str"),
        "actions_after_reboot": _open("str"),
        "actions_after_crash": _open("str"),
        "PV_bootloader": _open("str"),
        "PV_kernel": _open("str"),
        "PV_ramdisk": _open("str"),
        "PV_args": _open("str"),
        "PV_bootloader_args": _open("str"),
        "PV_legacy_args": _open("str"),
        "HVM_boot_policy": _open("str"),
        "HVM_boot_params": _open("map"),
        "platform": _open("map"),
        "PCI_bus": _open("str"),
        "other_config": _open("map"),
        "recommendations": _open("str"),
        "domain_type": _open("str", "unspecified"),
        "xenstore_data": _MAP,
        "blocked_operations": _MAP,
        "tags": _SET,
        "domid": _own("int", "-1"),
        "consoles": _own("set console"),
        "VIFs": _own("set VIF"),
        "VBDs": _own("set VBD"),
        "snapshots": _own("set VM"),
        "metrics": _own("VM_metrics"),
        "guest_metrics": _own("VM_guest_metrics"),
    },
    "VDI": _LABEL
    | _OPERATIONS
    | {
        "SR": _fixed("SR"),
        "VBDs": _own("set VBD"),
        "snapshots": _own("set VDI"),
        "virtual_size": _fixed("int"),
        "physical_utilisation": _own("int"),
        "type": _fixed("str"),
        "sharable": _fixed("bool"),
        "read_only": _fixed("bool"),
        "other_config": _open("map"),
        "xenstore_data": _MAP,
        "sm_config": _MAP,
        "tags": _SET,
        "location": _own("str"),
        "managed": _own("bool", True),
        "missing": _own("bool"),
        "is_a_snapshot": _own("bool"),
        "snapshot_of": _own("VDI"),
        "is_tools_iso": _own("bool"),
    },
    "VBD": _OPERATIONS
    | _QOS
    | {
        "VM": _fixed("VM"),
        "VDI": _fixed("VDI"),
        "device": _own("str"),
        "userdevice": _open("str"),
        "bootable": _open("bool"),
        "mode": _fixed("str"),
        "type": _open("str"),
        "unpluggable": _open("bool", True),
        "empty": _fixed("bool"),
        "other_config": _open("map"),
        "currently_attached": _own("bool"),
    },
    "VIF": _OPERATIONS
    | _QOS
    | {
        "device": _fixed("str"),
        "network": _fixed("network"),
        "VM": _fixed("VM"),
        "MAC": _fixed("str"),
        "MTU": _fixed("int"),
        "other_config": _open("map"),
        "currently_attached": _own("bool"),
        "locking_mode": _fixed("str", "network_default"),
        "ipv4_allowed": _fixed("set", []),
        "ipv6_allowed": _fixed("set", []),
    },
    "SR": _LABEL
    | _OPERATIONS
    | {
        "VDIs": _own("set VDI"),
        "PBDs": _own("set PBD"),
        "virtual_allocation": _own("int"),
        "physical_utilisation": _own("int"),
        "physical_size": _own("int"),
        "type": _own("str"),
        "content_type": _own("str", "user"),
        "shared": _own("bool"),
        "other_config": _MAP,
        "tags": _SET,
        "sm_config": _MAP,
    },
    "PBD": {
        "host": _fixed("host"),
        "SR": _fixed("SR"),
        "device_config": _fixed("map"),
        "currently_attached": _own("bool"),
        "other_config": _MAP,
    },
    "host": _LABEL
    | _OPERATIONS
    | {
        "enabled": _own("bool", True),
        "software_version": _own("map"),
        "capabilities": _own("set"),
        "cpu_info": _own("map"),
        "hostname": _own("str"),
        "address": _own("str"),
        "resident_VMs": _own("set VM"),
        "PIFs": _own("set PIF"),
        "PBDs": _own("set PBD"),
        "metrics": _own("host_metrics"),
        "host_CPUs": _own("set"),
        "memory_overhead": _own("int"),
        "other_config": _MAP,
        "tags": _SET,
    },
    "host_metrics": {"memory_total": _own("int"), "memory_free": _own("int"), "live": _own("bool", True)},
    "pool": _LABEL
    | {
        "master": _own("host"),
        "default_SR": _open("SR"),
        "ha_enabled": _own("bool"),
        "other_config": _MAP,
    },
    "network": _LABEL
    | _OPERATIONS
    | {
        "VIFs": _own("set VIF"),
        "PIFs": _own("set PIF"),
        "MTU": _open("int", "1500"),
        "other_config": _open("map"),
        "bridge": _fixed("str", ""),
        "managed": _fixed("bool", True),
        "tags": _SET,
    },
    "PIF": {
        "device": _own("str"),
        "network": _own("network"),
        "host": _own("host"),
        "VLAN": _own("int", "-1"),
        "physical": _own("bool", True),
        "management": _own("bool"),
        "currently_attached": _own("bool", True),
    },
    "VLAN": {"tagged_PIF": _own("PIF"), "untagged_PIF": _own("PIF"), "tag": _own("int")},
    "console": {"protocol": _own("str", "rfb"), "location": _own("str"), "VM": _own("VM"), "other_config": _MAP},
    "task": {
        "name_label": _own("str"),
        "status": _own("str", "pending"),
        "progress": _own("float"),
        "type": _own("str"),
        "result": _own("str"),
        "error_info": _own("set"),
        "other_config": _MAP,
    },
    "VM_metrics": {"VCPUs_number": _own("int"), "memory_actual": _own("int")},
    "VM_guest_metrics": {"networks": _own("map"), "PV_drivers_version": _own("map"), "live": _own("bool")},
}

CONSTRUCTED = frozenset({"VM", "VDI", "VBD", "VIF", "PBD", "network"})
"""Classes that clients make objects of by their records."""

ENUMS = {
    ("VBD", "mode"): {"RO", "RW"},
    ("VBD", "type"): {"CD", "Disk", "Floppy"},
    ("VM", "actions_after_shutdown"): {"destroy", "restart"},
    ("VM", "actions_after_reboot"): {"destroy", "restart"},
    ("VM", "actions_after_crash"): {"destroy", "coredump_and_destroy", "restart", "coredump_and_restart", "preserve"},
    ("VM", "domain_type"): {"hvm", "pv", "pv_in_pvh", "unspecified"},
    ("VDI", "type"): {"system", "user", "ephemeral", "suspend", "crashdump", "metadata"},
    ("VIF", "locking_mode"): {"network_default", "locked", "unlocked", "disabled"},
}


def check(class_name: str, name: str, value: object) -> None:
    """Raises Failure for a value that the field cannot have."""
    if not CLASSES[class_name][name].check(value):
        raise Failure("FIELD_TYPE_ERROR", name)
    allowed = ENUMS.get((class_name, name))
    if allowed is not None and value not in allowed:
        raise Failure("INTERNAL_ERROR", f"{class_name}.{name} has no value {value!r}")


def construct(class_name: str, record: object) -> dict[str, Any]:
    """A whole record from one that a client gave. Fields a client does not set are ignored, as the real one does."""
    if not isinstance(record, dict):
        raise Failure("FIELD_TYPE_ERROR", "record")
    whole: dict[str, Any] = {}
    for name, field in CLASSES[class_name].items():
        given = field.access is not Access.OWN and name in record
        if given:
            check(class_name, name, record[name])
        elif field.default is REQUIRED:
            raise Failure("INTERNAL_ERROR", f"the record of the {class_name} lacks {name}")
        whole[name] = record[name] if given else field.default
    return whole


def blank(class_name: str, **fields: Any) -> dict[str, Any]:
    """A record as the hypervisor makes it by itself."""
    empty = {
        name: _DEFAULTS.get(field.kind.partition(" ")[0], NULL) if field.default is REQUIRED else field.default
        for name, field in CLASSES[class_name].items()
    }
    return empty | fields
