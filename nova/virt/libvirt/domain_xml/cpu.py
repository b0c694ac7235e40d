"""The guest's processors: how many, which model, and how they are grouped."""

import xml.etree.ElementTree as ET

from nova.structs.guest import GuestSpec
from nova.virt.libvirt.domain_xml.facts import Host, child, image_property


def vcpu(spec: GuestSpec) -> ET.Element:
    """The number of VCPUs, all of them there from the start."""
    element = ET.Element("vcpu", placement="static")
    element.text = str(spec.flavor.vcpus)
    return element


def cpu(spec: GuestSpec, host: Host) -> ET.Element:
    """Mode none leaves the model to QEMU and keeps the topology."""
    element = ET.Element("cpu")
    if host.cpu_mode != "none":
        element.set("mode", host.cpu_mode)
    if host.cpu_mode == "custom":
        element.set("match", "exact")
        child(element, "model", host.cpu_model, fallback="allow")
    elif host.cpu_mode in ("host-passthrough", "maximum"):
        element.set("check", "none")
    sockets, cores, threads = topology(spec)
    child(element, "topology", sockets=sockets, cores=cores, threads=threads)
    if host.cpu_mode not in ("none",):
        for flag in host.cpu_flags:
            child(element, "feature", policy="disable" if flag.startswith("-") else "require", name=flag.lstrip("+-"))
    return element


def topology(spec: GuestSpec) -> tuple[int, int, int]:
    """Sockets, cores, threads whose product is the number of VCPUs.

    The flavor's values win over the image's; what neither sets is filled up, sockets first. Values
    that cannot be met are dropped, threads first: a topology is a hint, the number of VCPUs is a promise.
    """
    total = spec.flavor.vcpus
    cores, threads, sockets = (_wish(spec, name) for name in ("cores", "threads", "sockets"))
    for have_sockets, have_cores, have_threads in (
        (sockets, cores, threads),
        (sockets, cores, None),
        (sockets, None, None),
        (None, cores, None),
    ):
        fixed = (have_sockets or 1) * (have_cores or 1) * (have_threads or 1)
        if total % fixed:
            continue
        rest = total // fixed
        if have_sockets is None:
            return rest, have_cores or 1, have_threads or 1
        if have_cores is None:
            return have_sockets, rest, have_threads or 1
        if have_threads is None:
            return have_sockets, have_cores, rest
        if rest == 1:
            return have_sockets, have_cores, have_threads
    return total, 1, 1


def _wish(spec: GuestSpec, part: str) -> int | None:
    word = spec.flavor.extra_specs.get(f"hw:cpu_{part}") or image_property(spec, f"hw_cpu_{part}")
    return int(word) if word and word.isdigit() and int(word) > 0 else None
