"""The mainboard: machine type, firmware, boot, SMBIOS, features and clock."""

import xml.etree.ElementTree as ET

from nova.structs.guest import GuestSpec
from nova.virt.libvirt.domain_xml.facts import Host, child, image_property, is_true, is_windows, machine_type

_WINDOWS_SPINLOCK_RETRIES = 8191


def operating_system(spec: GuestSpec, host: Host) -> ET.Element:
    """Machine type and firmware, and the kernel of an image that brings its own."""
    element = ET.Element("os")
    if image_property(spec, "hw_firmware_type") == "uefi":
        element.set("firmware", "efi")
    child(element, "type", "hvm", arch=host.arch, machine=_machine(spec, host))
    if is_secure(spec):
        firmware = child(element, "firmware")
        child(firmware, "feature", enabled="yes", name="secure-boot")
        child(element, "loader", secure="yes")
    if spec.kernel_path:
        child(element, "kernel", spec.kernel_path)
        if spec.ramdisk_path:
            child(element, "initrd", spec.ramdisk_path)
        child(element, "cmdline", image_property(spec, "os_command_line") or "console=tty0 console=ttyS0 root=/dev/vda")
    choice = image_property(spec, "hw_boot_menu") or spec.flavor.extra_specs.get("hw:boot_menu")
    if is_true(choice):
        child(element, "bootmenu", enable="yes")
    child(element, "smbios", mode="sysinfo")
    return element


def is_secure(spec: GuestSpec) -> bool:
    """Whether the guest must boot signed code only: os:secure_boot of the flavor, then of the image."""
    wish = spec.flavor.extra_specs.get("os:secure_boot") or image_property(spec, "os_secure_boot")
    return wish == "required"


def smbios(spec: GuestSpec, host: Host) -> ET.Element:
    """What cloud-init in the guest recognises an OpenStack cloud by is the product name."""
    element = ET.Element("sysinfo", type="smbios")
    system = child(element, "system")
    entries = {
        "manufacturer": "OpenStack Foundation",
        "product": "OpenStack Nova",
        "version": "1.0.0",
        "serial": spec.uuid if host.smbios_serial == "unique" else host.smbios_serial,
        "uuid": spec.uuid,
        "family": "Virtual Machine",
    }
    for name, text in entries.items():
        if text:
            child(system, "entry", text, name=name)
    return element


def features(spec: GuestSpec, host: Host) -> ET.Element:
    """ACPI, secure boot's SMM, and the Hyper-V interface for Windows guests under KVM."""
    element = ET.Element("features")
    child(element, "acpi")
    child(element, "apic")
    if is_secure(spec):
        child(element, "smm", state="on")
    if is_true(image_property(spec, "hw_vmcoreinfo")):
        child(element, "vmcoreinfo", state="on")
    if is_windows(spec) and host.virt_type == "kvm":
        hyperv = child(element, "hyperv")
        for name in ("relaxed", "vapic", "vpindex", "runtime", "synic", "reset", "frequencies", "tlbflush", "ipi"):
            child(hyperv, name, state="on")
        child(hyperv, "spinlocks", state="on", retries=_WINDOWS_SPINLOCK_RETRIES)
    extra = spec.flavor.extra_specs
    hides = extra.get("hw:hide_hypervisor_id") or extra.get("hide_hypervisor_id")
    if is_true(hides or image_property(spec, "img_hide_hypervisor_id")):
        child(child(element, "kvm"), "hidden", state="on")
    if (counts := extra.get("hw:pmu") or image_property(spec, "hw_pmu")) is not None:
        child(element, "pmu", state="on" if is_true(counts) else "off")
    return element


def clock(spec: GuestSpec, host: Host) -> ET.Element:
    """Windows guests expect local time, others UTC."""
    element = ET.Element("clock", offset="localtime" if is_windows(spec) else "utc")
    child(element, "timer", name="pit", tickpolicy="delay")
    child(element, "timer", name="rtc", tickpolicy="catchup")
    child(element, "timer", name="hpet", present="yes" if is_true(image_property(spec, "hw_time_hpet")) else "no")
    if is_windows(spec) and host.virt_type == "kvm":
        child(element, "timer", name="hypervclock", present="yes")
    return element


def _machine(spec: GuestSpec, host: Host) -> str:
    chosen = machine_type(spec, host)
    # Secure boot needs SMM, which the pc machine does not have.
    return "q35" if is_secure(spec) and chosen == "pc" else chosen
