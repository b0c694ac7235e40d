"""From a guest's spec to the record of its VM, and its devices' places. Source: management API reference, VM."""

from nova import errors
from nova.structs.guest import Disk, GuestSpec
from nova.virt.xenserver.identity import Record
from nova.virt.xenserver.session import NULL

_MIB = 1 << 20
ROOT, RESCUE, SWAP, CONFIG_DRIVE, FIRST_OTHER = "0", "1", "2", "3", 4
"""Places (userdevice) of a guest's disks. A guest finds its config drive where others on XenServer do."""
_MODES = {"hvm": "hvm", "hv": "hvm", "xen": "pv", "pv": "pv"}


def vm_record(spec: GuestSpec, default_os_type: str) -> Record:
    """The record of a VM for VM.create. Raises errors.HostRefused for what this hypervisor cannot do."""
    properties = spec.image.properties if spec.image is not None else {}
    is_hvm = vm_mode(spec) == "hvm"
    is_windows = properties.get("os_type", default_os_type) == "windows"
    memory = str(spec.flavor.memory_mb * _MIB)
    return {
        "name_label": spec.name,
        "name_description": spec.display_name,
        "user_version": "0",
        "is_a_template": False,
        "affinity": NULL,
        "memory_static_min": "0",
        "memory_dynamic_min": memory,
        "memory_dynamic_max": memory,
        "memory_static_max": memory,
        "VCPUs_params": _cpu_params(spec),
        "VCPUs_max": str(spec.flavor.vcpus),
        "VCPUs_at_startup": str(spec.flavor.vcpus),
        "actions_after_shutdown": "destroy",
        "actions_after_reboot": "restart",
        "actions_after_crash": "destroy",
        "PV_bootloader": "" if is_hvm else "pygrub",
        "PV_kernel": "",
        "PV_ramdisk": "",
        "PV_args": "",
        "PV_bootloader_args": "",
        "PV_legacy_args": "",
        "HVM_boot_policy": "BIOS order" if is_hvm else "",
        "HVM_boot_params": {"order": "cd"} if is_hvm else {},
        "domain_type": "hvm" if is_hvm else "pv",
        "platform": _platform(is_windows),
        "PCI_bus": "",
        "other_config": {},
        "recommendations": "",
    }


def vm_mode(spec: GuestSpec) -> str:
    """hvm or pv, by the image's property hw_vm_mode, which was called vm_mode."""
    properties = spec.image.properties if spec.image is not None else {}
    mode = (properties.get("hw_vm_mode") or properties.get("vm_mode") or "hvm").lower()
    if mode not in _MODES:
        raise errors.HostRefused(host=_host(spec), reason=f"it has no guests of the mode '{mode}'")
    return _MODES[mode]


def check(spec: GuestSpec) -> None:
    """Raises errors.HostRefused, before anything is made, for what would not be honoured."""
    vm_mode(spec)
    extra_specs = spec.flavor.extra_specs
    policy = extra_specs.get("hw:cpu_policy", "shared")
    if policy != "shared":
        raise errors.HostRefused(host=_host(spec), reason=f"it has no CPUs for the policy '{policy}'")
    if spec.kernel_path is not None or spec.shares:
        raise errors.HostRefused(host=_host(spec), reason="its guests have no kernels and no shares from outside")
    if len(spec.vifs) > 7 or len(places(spec.disks)) > 12:
        raise errors.HostRefused(host=_host(spec), reason="its guests have at most 7 network devices and 12 disks")
    if spec.image is not None and spec.image.disk_format == "iso":
        raise errors.ImageInvalid(
            image_id=spec.image.id, reason="XenServer boots guests from disks, not from ISO images"
        )


def disk_names(disks: tuple[Disk, ...]) -> dict[str, Disk]:
    """The disks that are made for the guest, by name: root, swap, ephemeral0, ephemeral1 ..."""
    names: dict[str, Disk] = {}
    for disk in disks:
        if disk.kind == "volume":
            continue
        stem = disk.kind if disk.kind in ("root", "swap") else f"{disk.kind}0"
        while stem in names:
            stem = f"{disk.kind}{len(names)}"
        names[stem] = disk
    return names


def places(disks: tuple[Disk, ...]) -> dict[str, str]:
    """The place of each of those disks, and of a volume that the guest boots from (under its volume's id)."""
    boots = next((d for d in disks if d.kind == "volume" and d.boot_index == 0 and d.volume is not None), None)
    found = {}
    if boots is not None and boots.volume is not None:
        found[str(boots.volume.volume_id)] = ROOT
    others = iter(range(FIRST_OTHER, 100))
    for name in disk_names(disks):
        fixed = {"root": ROOT, "swap": SWAP}.get(name)
        found[name] = fixed if fixed is not None and fixed not in found.values() else str(next(others))
    return found


def _cpu_params(spec: GuestSpec) -> dict[str, str]:
    """The guest's share of a busy processor. Source: extra specs quota:cpu_shares; 256 is Xen's own default."""
    shares = spec.flavor.extra_specs.get("quota:cpu_shares", "")
    return {"weight": shares} if shares.isdigit() else {}


def _platform(is_windows: bool) -> dict[str, str]:
    always = {"nx": "true", "acpi": "1", "apic": "true", "pae": "true", "stdvga": "0"}
    return always | {"viridian": "true" if is_windows else "false", "timeoffset": "0"}


def _host(spec: GuestSpec) -> str:
    return spec.disks_id.host if spec.disks_id is not None else ""
