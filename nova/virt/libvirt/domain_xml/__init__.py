"""A guest's definition as libvirt wants it: one pure function per device, from spec to element.

Nothing here calls libvirt, reads a file or looks at the host: the same arguments give the same XML.
Source: libvirt's "Domain XML format".
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from nova.structs.guest import GuestSpec
from nova.virt.libvirt.domain_xml import console, cpu, disk, extras, interface, memory, metadata, share, system, tuning
from nova.virt.libvirt.domain_xml.facts import Drive, Host, child


def build(spec: GuestSpec, drives: Sequence[Drive], host: Host, log_path: str, serial_port: int | None = None) -> str:
    """The whole definition. Raises errors.GuestFailed for a port that cannot be plugged."""
    domain = ET.Element("domain", type=host.virt_type)
    child(domain, "name", spec.name)
    child(domain, "uuid", spec.uuid)
    _add(
        domain,
        metadata.metadata(spec),
        memory.memory(spec),
        memory.backing(spec, host),
        cpu.vcpu(spec),
        tuning.cpu_tune(spec),
        tuning.memory_tune(spec),
        system.smbios(spec, host),
        system.operating_system(spec, host),
        system.features(spec, host),
        cpu.cpu(spec, host),
        system.clock(spec, host),
    )
    child(domain, "on_poweroff", "destroy")
    child(domain, "on_reboot", "restart")
    child(domain, "on_crash", "destroy")
    _add(
        child(domain, "devices"),
        *disk.controllers(spec, drives, host),
        *(disk.disk(drive, spec) for drive in drives),
        *(share.share(mounted, host) for mounted in spec.shares),
        *(interface.interface(vif, spec, host) for vif in spec.vifs),
        console.serial(host, log_path, serial_port),
        *extras.further_serials(spec),
        *console.channels(spec, host),
        console.pointer(spec, host),
        *console.graphics(host),
        console.video(spec, host),
        extras.sound(spec),
        extras.watchdog(spec),
        memory.balloon(host),
        extras.rng(spec, host),
    )
    return to_text(domain)


def to_text(element: ET.Element) -> str:
    """The element as libvirt takes it."""
    ET.indent(element)
    return ET.tostring(element, encoding="unicode") + "\n"


def _add(parent: ET.Element, *elements: ET.Element | None) -> None:
    parent.extend(element for element in elements if element is not None)
