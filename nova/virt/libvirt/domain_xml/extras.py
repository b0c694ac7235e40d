"""Small devices: random numbers, watchdog, sound, further serial ports."""

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


def sound(spec: GuestSpec) -> ET.Element | None:
    """The sound card that flavor or image name; None for none."""
    model = spec.flavor.extra_specs.get("hw:sound_model") or image_property(spec, "hw_sound_model")
    return ET.Element("sound", model=model.lower()) if model else None


def further_serials(spec: GuestSpec) -> list[ET.Element]:
    """The serial ports after the first. The image may ask for fewer than the flavor allows, not for more."""
    counts = (spec.flavor.extra_specs.get("hw:serial_port_count"), image_property(spec, "hw_serial_port_count"))
    wanted = min((int(count) for count in counts if count), default=1)
    ports = [ET.Element("serial", type="pty") for _ in range(1, wanted)]
    for number, port in enumerate(ports, 1):
        child(port, "target", port=number)
    return ports
