"""The values that image properties may have. One that means nothing is refused: nobody would honour it.

Source: Image service, useful image properties. Words are compared without regard to case, as images carry either.
"""

import re
from collections.abc import Mapping

from nova import errors

_BUSES = frozenset({"fdc", "ide", "lxc", "sata", "scsi", "uml", "usb", "virtio", "xen"})
_BOOLEAN = frozenset({"true", "false", "yes", "no", "on", "off", "1", "0", "t", "f", "y", "n"})

_WORDS: dict[str, frozenset[str]] = {
    "hw_cdrom_bus": _BUSES,
    "hw_disk_bus": _BUSES,
    "hw_rescue_bus": _BUSES,
    "hw_rescue_device": frozenset({"cdrom", "disk", "floppy", "fs", "lun"}),
    "hw_firmware_type": frozenset({"bios", "uefi"}),
    "hw_input_bus": frozenset({"usb", "virtio"}),
    "hw_pointer_model": frozenset({"usbtablet"}),
    "hw_rng_model": frozenset({"virtio"}),
    "hw_scsi_model": frozenset(
        {"auto", "buslogic", "ibmvscsi", "lsilogic", "lsisas1068", "lsisas1078", "virtio-scsi", "vmpvscsi"}
    ),
    "hw_sound_model": frozenset({"ac97", "es1370", "ich6", "ich9", "pcspk", "sb16", "usb", "virtio"}),
    "hw_vif_model": frozenset(
        {
            "e1000", "e1000e", "igb", "lan9118", "ne2k_pci", "netfront", "pcnet", "rtl8139", "spapr-vlan", "virtio",
            "virtuale1000", "virtuale1000e", "virtualpcnet32", "virtualsriovethernetcard", "virtualvmxnet",
            "virtualvmxnet3", "vmxnet3",
        }
    ),
    "hw_video_model": frozenset({"bochs", "cirrus", "gop", "none", "qxl", "vga", "virtio", "vmvga", "xen"}),
    "hw_vm_mode": frozenset({"exe", "hvm", "uml", "xen"}),
    "hw_watchdog_action": frozenset({"disabled", "none", "pause", "poweroff", "reset"}),
    "hw_usb_model": frozenset(
        {
            "ehci", "ich9-ehci1", "ich9-uhci1", "nec-xhci", "pci-ohci", "piix3-uhci", "piix4-uhci", "qemu-xhci",
            "vt82c686b-uhci",
        }
    ),
    "img_config_drive": frozenset({"mandatory", "optional"}),
    "os_secure_boot": frozenset({"disabled", "optional", "required"}),
    "os_type": frozenset({"linux", "windows"}),
    **dict.fromkeys(
        (
            "hw_boot_menu", "hw_pmu", "hw_qemu_guest_agent", "hw_time_hpet", "hw_vif_multiqueue_enabled", "hw_virtio_packed_ring", "hw_vmcoreinfo",
            "img_hide_hypervisor_id", "os_require_quiesce",
        ),
        _BOOLEAN,
    ),
}  # fmt: skip
_NUMBERS = (
    "hw_cpu_cores", "hw_cpu_max_cores", "hw_cpu_max_sockets", "hw_cpu_max_threads", "hw_cpu_sockets",
    "hw_cpu_threads", "hw_numa_nodes", "hw_serial_port_count", "hw_video_ram", "os_shutdown_timeout",
)  # fmt: skip
_NUMBER = re.compile(r"[0-9]{1,9}")


def check(properties: Mapping[str, str]) -> None:
    """Raises Invalid for the first value that is none of its property's."""
    for name, words in _WORDS.items():
        value = properties.get(name)
        if value is not None and str(value).strip().lower() not in words:
            _refuse(name, value, f"it is one of {', '.join(sorted(words))}")
    for name in _NUMBERS:
        value = properties.get(name)
        if value is not None and not _NUMBER.fullmatch(str(value).strip()):
            _refuse(name, value, "it is a number")


def wants_config_drive(properties: Mapping[str, str]) -> bool:
    """Whether an image works only with a config drive."""
    return str(properties.get("img_config_drive", "")).strip().lower() == "mandatory"


def _refuse(name: str, value: object, why: str) -> None:
    raise errors.Invalid(f"Invalid image metadata. Error: {name}={str(value)[:64]}: {why}.")
