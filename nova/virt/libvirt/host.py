"""Facts about this host: virtualization type, CPU, capacity, traits, use."""

import logging
import os
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import libvirt
import os_traits
from oslo_config import cfg

from nova import concurrency, errors
from nova.structs.guest import NodeState
from nova.virt.libvirt import disk_calls
from nova.virt.libvirt.connection import Connection
from nova.virt.libvirt.domain_xml.facts import Host

LOG = logging.getLogger(__name__)

_GIB = 1 << 30
# libvirt's word for a feature where it is not the trait's.
_FEATURE_TRAITS = {"aes": "AESNI", "pclmuldq": "CLMUL", "pclmulqdq": "CLMUL", "fma": "FMA3", "pni": "SSE3"} | {
    "sha-ni": "SHA",
    "bmi1": "BMI",
    "rtm": "TSX",
    "svm": "AMD_SVM",
    "vmx": "INTEL_VMX",
    "pcid": "INTEL_PCID",
}
_ABILITIES = (
    "COMPUTE_NODE",
    "COMPUTE_IMAGE_TYPE_QCOW2",
    "COMPUTE_IMAGE_TYPE_RAW",
    "COMPUTE_IMAGE_TYPE_ISO",
    "COMPUTE_IMAGE_TYPE_AMI",
    "COMPUTE_CONFIG_DRIVE_REGENERATION",
    "COMPUTE_DEVICE_TAGGING",
    "COMPUTE_NET_ATTACH_INTERFACE",
    "COMPUTE_NET_ATTACH_INTERFACE_WITH_TAG",
    "COMPUTE_NET_VIRTIO_PACKED",
    "COMPUTE_RESCUE_BFV",
    "COMPUTE_SAME_HOST_COLD_MIGRATE",
    "COMPUTE_VOLUME_ATTACH",
    "COMPUTE_VOLUME_ATTACH_WITH_TAG",
    "COMPUTE_VOLUME_EXTEND",
    "COMPUTE_VOLUME_MULTI_ATTACH",
    "COMPUTE_NET_VIF_MODEL_VIRTIO",
    "COMPUTE_NET_VIF_MODEL_E1000",
    "COMPUTE_NET_VIF_MODEL_E1000E",
    "COMPUTE_NET_VIF_MODEL_RTL8139",
    "COMPUTE_NET_VIF_MODEL_PCNET",
    "COMPUTE_NET_VIF_MODEL_NE2K_PCI",
    "COMPUTE_NET_VIF_MODEL_VMXNET3",
)

# QEMU of a PC has them all; libvirt does not list them.
_SOUND_MODELS = ("SB16", "ES1370", "PCSPK", "AC97", "ICH6", "ICH9", "USB")


def choose_virt_type(requested: str, cpu_flags: set[str], can_kvm: bool) -> str:
    """kvm only where the processor has hardware virtualization and libvirt offers it.

    Source: install guide, "Determine whether your compute node supports hardware acceleration". /dev/kvm
    alone proves nothing.
    """
    if requested == "kvm" and not (cpu_flags & {"vmx", "svm"} and can_kvm):
        LOG.warning("this processor offers no hardware virtualization: guests are emulated (virt_type qemu)")
        return "qemu"
    return requested


def read_cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """The flags of the first processor in /proc/cpuinfo."""
    for line in cpuinfo.read_text().splitlines():
        name, _, words = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(words.split())
    return set()


class HostFacts:
    """The part of this host that stays as long as its libvirtd runs, read once."""

    def __init__(self, connection: Connection, conf: cfg.ConfigOpts) -> None:
        self._connection = connection
        self._conf = conf
        _check_memory(conf)
        capabilities = ET.fromstring(connection.read("getCapabilities"))
        self.arch = capabilities.findtext("host/cpu/arch", "x86_64")
        self._guests = _supported_guests(capabilities)
        virt_type = choose_virt_type(
            conf.libvirt.virt_type, read_cpu_flags(), (self.arch, "kvm", "hvm") in self._guests
        )
        # libvirt lists kvm for a /dev/kvm that no guest could use.
        self._guests = {guest for guest in self._guests if virt_type == "kvm" or guest[1] != "kvm"}
        self._domain = ET.fromstring(self._read_domain_capabilities(virt_type))
        self.xml = self._xml_host(virt_type)
        self.traits = self._find_traits()
        self._cpu_info = _describe_cpu(capabilities)

    def node(self) -> NodeState:
        """This host now."""
        memory_mb, free_mb = _read_memory_mb()
        disk = self.disk_space()
        total, free = disk.f_frsize * disk.f_blocks, disk.f_frsize * disk.f_bavail
        return NodeState(
            hypervisor_hostname=self._connection.read("getHostname"),
            hypervisor_type=self._connection.read("getType"),
            hypervisor_version=self._connection.read("getVersion"),
            host_ip=self._conf.my_ip,
            share_ip=self._conf.my_shared_fs_storage_ip,
            vcpus=len(os.sched_getaffinity(0)),
            memory_mb=self._conf.libvirt.file_backed_memory or memory_mb,
            memory_mb_used=memory_mb - free_mb,
            disk_gb=total // _GIB,
            disk_gb_used=(total - free) // _GIB,
            disk_available_least_gb=(free - self._promised_bytes()) // _GIB,
            cpu_info=self._cpu_info,
            supported_instances=tuple(sorted(self._guests)),
            traits=self.traits,
            uptime=_read_uptime(),
        )

    def disk_space(self) -> os.statvfs_result:
        """The file system of guests' disks. Raises errors.Unavailable when it does not answer."""
        return disk_calls.look(self._conf.instances_path)

    def _read_domain_capabilities(self, virt_type: str) -> str:
        machine = _machine_types(self._conf).get(self.arch)
        text: str = self._connection.read("getDomainCapabilities", None, self.arch, machine, virt_type)
        return text

    def _xml_host(self, virt_type: str) -> Host:
        conf = self._conf
        mode, model = self._choose_cpu(virt_type)
        return Host(
            virt_type=virt_type,
            arch=self.arch,
            machine_types=_machine_types(conf),
            pcie_ports=conf.libvirt.num_pcie_ports or 12,
            cpu_mode=mode,
            cpu_model=model,
            cpu_flags=tuple(conf.libvirt.cpu_model_extra_flags),
            vnc_listen=conf.vnc.server_listen if conf.vnc.enabled else None,
            spice_listen=conf.spice.server_listen if conf.spice.enabled else None,
            has_spice_agent=conf.spice.agent_enabled,
            serial_listen=conf.my_ip if conf.serial_console.enabled else None,
            rng_device=conf.libvirt.rng_dev_path,
            memory_statistics_s=conf.libvirt.mem_stats_period_seconds,
            max_queues=conf.libvirt.max_queues or 256,
            smbios_serial=_smbios_serial(conf.libvirt.sysinfo_serial),
            has_memory_in_files=conf.libvirt.file_backed_memory > 0,
            share_base=conf.libvirt.nfs_mount_point_base,
        )

    def _choose_cpu(self, virt_type: str) -> tuple[str, str | None]:
        """CPU mode and model. A mode this host does not offer is an error at start, not for each guest."""
        mode = self._conf.libvirt.cpu_mode or "host-model"
        offered = {m.get("name") for m in self._domain.findall("cpu/mode[@supported='yes']")}
        if mode == "none" or (self._conf.libvirt.cpu_mode is None and mode not in offered):
            return "none", None
        if mode not in offered:
            raise _misconfigured(f"[libvirt] cpu_mode {mode} is not offered for virt_type {virt_type} here")
        if mode != "custom":
            return mode, None
        usable = {m.text for m in self._domain.findall("cpu/mode[@name='custom']/model[@usable='yes']")}
        for model in self._conf.libvirt.cpu_models:
            if model in usable:
                return "custom", model
        raise _misconfigured("none of [libvirt] cpu_models is usable on this host")

    def _find_traits(self) -> tuple[str, ...]:
        """What guests here can have, as names of os-traits."""
        traits = {*_ABILITIES, *(f"HW_CPU_X86_{name}" for name in map(_trait_name, self._guest_cpu_features()))}
        devices = {
            "COMPUTE_STORAGE_BUS": "devices/disk/enum[@name='bus']/value",
            "COMPUTE_GRAPHICS_MODEL": "devices/video/enum[@name='modelType']/value",
        }
        if self.xml.arch == "x86_64":
            traits |= {f"COMPUTE_SOUND_MODEL_{model}" for model in _SOUND_MODELS}
            traits |= {"COMPUTE_USB_MODEL_QEMU_XHCI", "COMPUTE_USB_MODEL_NEC_XHCI"}
        if self._conf.libvirt.live_migration_permit_auto_converge:
            traits.add("COMPUTE_MIGRATE_AUTO_CONVERGE")
        for prefix, path in devices.items():
            traits |= {f"{prefix}_{(value.text or '').upper()}" for value in self._domain.findall(path)}
        traits.add("COMPUTE_FIRMWARE_BIOS")
        if self._conf.libvirt.file_backed_memory:
            traits.add("COMPUTE_MEM_BACKING_FILE")
        drivers = "devices/filesystem[@supported='yes']/enum[@name='driverType']/value"
        if any(value.text == "virtiofs" for value in self._domain.findall(drivers)):
            traits.add("COMPUTE_STORAGE_VIRTIO_FS")
        traits.add(f"COMPUTE_ARCH_{self.arch.upper()}")
        if self._domain.findtext("os/enum[@name='firmware']/value") == "efi":
            traits.add("COMPUTE_FIRMWARE_UEFI")
        return tuple(sorted(traits & set(os_traits.get_traits())))

    def _guest_cpu_features(self) -> set[str]:
        """The features of the best processor a guest can be given."""
        mode = self._domain.find("cpu/mode[@name='host-model']")
        if mode is None or mode.get("supported") != "yes":
            return set()
        mode.tag, mode.attrib = "cpu", {}
        arguments = (None, self.arch, None, self.xml.virt_type, [ET.tostring(mode, encoding="unicode")])
        flags = libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
        try:
            expanded = ET.fromstring(self._connection.read("baselineHypervisorCPU", *arguments, flags))
        except errors.GuestFailed as error:
            LOG.warning("the processor's features are not known: %s", error)
            return set()
        return {f.get("name", "") for f in expanded.findall("feature") if f.get("policy") != "disable"}

    def _promised_bytes(self) -> int:
        """What guests' disks may still grow by."""
        promised = 0
        # A guest that is busy, with a migration for one, must not hold up the report of its host.
        flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
        for _, stats in self._connection.read("getAllDomainStats", libvirt.VIR_DOMAIN_STATS_BLOCK, flags):
            for number in range(stats.get("block.count", 0)):
                capacity = stats.get(f"block.{number}.capacity", 0)
                promised += max(0, capacity - stats.get(f"block.{number}.allocation", capacity))
        return promised


def _check_memory(conf: cfg.ConfigOpts) -> None:
    """Source: admin guide, "File-backed memory". Raises errors.Unavailable."""
    ratio = conf.ram_allocation_ratio or conf.initial_ram_allocation_ratio
    if conf.libvirt.file_backed_memory and (ratio != 1.0 or conf.reserved_host_memory_mb):
        raise _misconfigured(
            "[libvirt] file_backed_memory needs ram_allocation_ratio = 1.0 and reserved_host_memory_mb = 0"
        )


def _misconfigured(detail: str) -> errors.Unavailable:
    return errors.Unavailable(service="nova-compute", reason="its configuration does not fit its host", detail=detail)


def _machine_types(conf: cfg.ConfigOpts) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in conf.libvirt.hw_machine_type or ())
    return {arch.strip(): machine.strip() for arch, _, machine in pairs}


def _smbios_serial(kind: str) -> str | None:
    """Source: configuration reference, [libvirt] sysinfo_serial."""
    machine_id, hardware = Path("/etc/machine-id"), Path("/sys/class/dmi/id/product_uuid")
    sources = {"os": (machine_id,), "hardware": (hardware,), "auto": (machine_id, hardware)}
    for path in sources.get(kind, ()):
        if path.is_file() and (text := path.read_text().strip()):
            return text
    return "unique" if kind == "unique" else None


def _supported_guests(capabilities: ET.Element) -> set[tuple[str, str, str]]:
    """(architecture, hypervisor, kind of machine) of every guest this host can run."""
    return {
        (arch.get("name", ""), domain.get("type", ""), guest.findtext("os_type", "hvm"))
        for guest in capabilities.findall("guest")
        for arch in guest.findall("arch")
        for domain in arch.findall("domain")
    }


def _describe_cpu(capabilities: ET.Element) -> dict[str, Any]:
    """The shape of cpu_info in the Compute API's hypervisors."""
    cpu = capabilities.find("host/cpu")
    if cpu is None:
        return {}
    topology = cpu.find("topology")
    numbers = {} if topology is None else {k: int(v) for k, v in topology.attrib.items() if v.isdigit()}
    cells = len(capabilities.findall("host/topology/cells/cell")) or 1
    return {
        "arch": cpu.findtext("arch", ""),
        "model": cpu.findtext("model", ""),
        "vendor": cpu.findtext("vendor", ""),
        "topology": {"cells": cells} | {k: numbers.get(k, 1) for k in ("sockets", "cores", "threads")},
        "features": sorted(f.get("name", "") for f in cpu.findall("feature")),
    }


def _trait_name(feature: str) -> str:
    return _FEATURE_TRAITS.get(feature) or "".join(c for c in feature if c.isalnum() or c == "_").upper()


def _read_memory_mb() -> tuple[int, int]:
    """Total and free MiB. libvirt's own figure leaves out memory that was plugged in later."""
    facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(facts[name].split()[0]) // 1024 for name in ("MemTotal", "MemAvailable"))
    return total, free


def _read_uptime() -> str:
    try:
        completed = concurrency.run_blocking(subprocess.run, ["uptime"], capture_output=True, text=True, timeout=60)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return str(completed.stdout).strip()
