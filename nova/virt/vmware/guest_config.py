"""The part of a guest that is no device: processors, memory, shares of them, firmware. From its spec, and asking nobody."""

from typing import Any

from pyVmomi import vim

from nova import errors
from nova.structs.guest import GuestSpec
from nova.virt.vmware.machines import SHELF_OPTION, machine_name, mark_option

_LEVELS = ("low", "normal", "high", "custom")
_KNOWN = ("vmware:hw_version",)
_FIRMWARE = {"bios": "bios", "uefi": "efi"}


def check(spec: GuestSpec, host: str) -> None:
    """Refuse what this driver would not honour, before anything is made. Raises errors.HostRefused."""
    extra_specs = spec.flavor.extra_specs
    for key in extra_specs:
        if key.startswith("vmware:") and key not in _KNOWN:
            raise errors.HostRefused(host=host, reason=f"it does not know the extra spec '{key}'")
    if (policy := extra_specs.get("hw:cpu_policy", "shared")) != "shared":
        raise errors.HostRefused(host=host, reason=f"it has no CPUs for the policy '{policy}'")
    if spec.shares:
        raise errors.HostRefused(host=host, reason="it cannot mount shares")
    if spec.kernel_path is not None:
        raise errors.HostRefused(host=host, reason="it boots no kernel that is beside its image")


def describe(spec: GuestSpec, name: str, identity: str, mark: Any, vmx_path: str) -> Any:
    """A new machine without devices. name: on the shelf."""
    config = size(spec)
    config.name = machine_name(spec.display_name, name)
    config.uuid, config.instanceUuid = spec.uuid, identity
    config.guestId = property_of(spec, "vmware_ostype", "otherGuest64")
    config.files = vim.vm.FileInfo(vmPathName=vmx_path)
    config.extraConfig = [vim.option.OptionValue(key=SHELF_OPTION, value=name), mark_option(mark)]
    if version := spec.flavor.extra_specs.get("vmware:hw_version"):
        config.version = version
    firmware = property_of(spec, "hw_firmware_type", "bios")
    if firmware not in _FIRMWARE:
        raise errors.GuestFailed(reason=f"There is no firmware of the type '{firmware}'")
    config.firmware = _FIRMWARE[firmware]
    if property_of(spec, "os_secure_boot", "disabled") == "required":
        config.bootOptions = vim.vm.BootOptions(efiSecureBootEnabled=True)
    return config


def size(spec: GuestSpec) -> Any:
    """Processors and memory of the flavor's size. Raises errors.GuestFailed for extra specs that cannot be."""
    extra_specs = spec.flavor.extra_specs
    config = vim.vm.ConfigSpec(numCPUs=spec.flavor.vcpus, memoryMB=spec.flavor.memory_mb)
    cores = extra_specs.get("hw:cpu_cores") or property_of(spec, "hw_cpu_cores", "1")
    if not cores.isdigit() or int(cores) < 1 or spec.flavor.vcpus % int(cores):
        raise errors.GuestFailed(reason=f"{spec.flavor.vcpus} processors cannot be made of sockets with {cores} cores")
    config.numCoresPerSocket = int(cores)
    config.cpuAllocation = _allocation(extra_specs, "cpu")
    config.memoryAllocation = _allocation(extra_specs, "memory")
    return config


def property_of(spec: GuestSpec, name: str, default: str) -> str:
    """A property of the guest's image."""
    return spec.image.properties.get(name, default) if spec.image is not None else default


def _allocation(extra_specs: dict[str, str], kind: str) -> Any:
    """Limit and reservation in MHz or MiB, and shares. Source: flavor documentation, "VMware vSphere" quotas."""
    level = extra_specs.get(f"quota:{kind}_shares_level", "normal")
    if level not in _LEVELS:
        raise errors.GuestFailed(reason=f"quota:{kind}_shares_level is none of {', '.join(_LEVELS)}")
    shares = _number(extra_specs, f"quota:{kind}_shares_share", 0)
    return vim.ResourceAllocationInfo(
        limit=_number(extra_specs, f"quota:{kind}_limit", -1),
        reservation=_number(extra_specs, f"quota:{kind}_reservation", 0),
        shares=vim.SharesInfo(level=level, shares=shares),
    )


def _number(extra_specs: dict[str, str], key: str, default: int) -> int:
    try:
        return int(extra_specs.get(key, default))
    except ValueError:
        raise errors.GuestFailed(reason=f"{key} is no number") from None
