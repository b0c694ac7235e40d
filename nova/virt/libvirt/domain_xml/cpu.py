"""The guest's processors: how many, which model, and how they are grouped."""

import xml.etree.ElementTree as ET

from nova.structs import topology
from nova.structs.guest import GuestSpec
from nova.virt.libvirt.domain_xml.facts import Host, child


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
    specs, properties = spec.flavor.extra_specs, spec.image.properties if spec.image else {}
    chosen = topology.choose(spec.flavor.vcpus, specs, properties)
    if chosen is not None:
        child(element, "topology", **chosen._asdict())
    if (mode := specs.get("hw:maxphysaddr_mode") or properties.get("hw_maxphysaddr_mode")) is not None:
        bits = specs.get("hw:maxphysaddr_bits") or properties.get("hw_maxphysaddr_bits")
        child(element, "maxphysaddr", mode=mode, **({"bits": bits} if bits else {}))
    if host.cpu_mode not in ("none",):
        for flag in host.cpu_flags:
            child(element, "feature", policy="disable" if flag.startswith("-") else "require", name=flag.lstrip("+-"))
    return element
