"""The guest's memory: size, page size, balloon."""

import xml.etree.ElementTree as ET

from nova.structs.guest import GuestSpec
from nova.virt.libvirt.domain_xml.facts import Host, child, image_property

_UNITS_KB = {"KB": 1, "KIB": 1, "MB": 1024, "MIB": 1024, "GB": 1024 * 1024, "GIB": 1024 * 1024}


def memory(spec: GuestSpec) -> ET.Element:
    """The flavor's memory, in MiB."""
    element = ET.Element("memory", unit="MiB")
    element.text = str(spec.flavor.memory_mb)
    return element


def backing(spec: GuestSpec, host: Host) -> ET.Element | None:
    """Huge pages, where flavor or image ask for them; files, where the operator wants that; None leaves memory to the host.

    Source: admin guide, "File-backed memory" and "Manage shares": the server of a share reads the guest's memory.
    """
    wish = spec.flavor.extra_specs.get("hw:mem_page_size") or image_property(spec, "hw_mem_page_size")
    is_small = wish in (None, "small", "any")
    if is_small and not host.has_memory_in_files:
        return None
    element = ET.Element("memoryBacking")
    if is_small:
        child(element, "source", type="file")
        child(element, "access", mode="shared")
        child(element, "discard")
        return element
    pages = child(element, "hugepages")
    if wish != "large":
        child(pages, "page", size=_size_kb(str(wish)), unit="KiB")
    if spec.shares:
        child(element, "access", mode="shared")
    return element


def balloon(host: Host) -> ET.Element:
    """The device through which the guest reports how much memory it uses."""
    element = ET.Element("memballoon", model="virtio")
    if host.memory_statistics_s > 0:
        child(element, "stats", period=host.memory_statistics_s)
    return element


def _size_kb(text: str) -> int:
    digits = text.rstrip("KMGIBkmgib ")
    return int(digits) * _UNITS_KB.get(text[len(digits) :].strip().upper() or "KB", 1)
