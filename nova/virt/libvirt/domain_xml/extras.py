"""Small devices: random numbers, watchdog."""

import xml.etree.ElementTree as ET

from nova.structs.guest import GuestSpec
from nova.virt.libvirt.domain_xml.facts import Host, child, image_property, is_true


def rng(spec: GuestSpec, host: Host) -> ET.Element | None:
    """A source of random numbers, unless the flavor forbids it."""
    extra = spec.flavor.extra_specs
    if not is_true(extra.get("hw_rng:allowed", "true")) or image_property(spec, "hw_rng_model", "virtio") != "virtio":
        return None
    element = ET.Element("rng", model="virtio")
    if "hw_rng:rate_bytes" in extra:
        child(element, "rate", bytes=extra["hw_rng:rate_bytes"], period=extra.get("hw_rng:rate_period", "1000"))
    child(element, "backend", host.rng_device, model="random")
    return element


def watchdog(spec: GuestSpec) -> ET.Element | None:
    """What happens when the guest stops feeding its watchdog; the image's word wins. None for no watchdog."""
    action = image_property(spec, "hw_watchdog_action") or spec.flavor.extra_specs.get("hw:watchdog_action", "disabled")
    if action == "disabled":
        return None
    return ET.Element("watchdog", model="i6300esb", action=action)
