"""What a person sees of a guest: screens, keyboard and pointer, serial port and its log."""

import xml.etree.ElementTree as ET

from nova.structs.guest import GuestSpec
from nova.virt.libvirt.domain_xml.facts import Host, child, image_property


def graphics(host: Host) -> list[ET.Element]:
    """The guest's screens; QEMU takes free ports."""
    elements = []
    for kind, address in (("vnc", host.vnc_listen), ("spice", host.spice_listen)):
        if address is not None:
            element = ET.Element("graphics", type=kind, autoport="yes", listen=address)
            child(element, "listen", type="address", address=address)
            elements.append(element)
    return elements


def video(spec: GuestSpec, host: Host) -> ET.Element | None:
    """The display adapter; None for a guest without a screen."""
    if host.vnc_listen is None and host.spice_listen is None:
        return None
    default = "virtio" if host.spice_listen is None else "qxl"
    model = image_property(spec, "hw_video_model") or default
    element = ET.Element("video")
    child(element, "model", type=model)
    memory_mb = image_property(spec, "hw_video_ram")
    limit_mb = spec.flavor.extra_specs.get("hw_video:ram_max_mb", "0")
    if memory_mb and memory_mb.isdigit() and 0 < int(memory_mb) <= int(limit_mb) and model in ("vga", "qxl", "cirrus"):
        element[0].set("vram", str(int(memory_mb) * 1024))
    return element


def pointer(spec: GuestSpec, host: Host) -> ET.Element | None:
    """A tablet, so that the pointer in the browser and in the guest are at the same place."""
    if host.vnc_listen is None and host.spice_listen is None:
        return None
    model = image_property(spec, "hw_pointer_model") or image_property(spec, "hw_input_bus") or "usbtablet"
    return ET.Element("input", type="tablet", bus="virtio" if model == "virtio" else "usb")


def serial(host: Host, log_path: str, port: int | None) -> ET.Element:
    """The first serial port, logged to a file; with a port, a console proxy can also connect to it."""
    if port is None:
        element = ET.Element("serial", type="pty")
    else:
        element = ET.Element("serial", type="tcp")
        child(element, "source", mode="bind", host=host.serial_listen or "127.0.0.1", service=port)
        child(element, "protocol", type="raw")
    child(element, "log", file=log_path, append="on")
    child(element, "target", port=0)
    return element


def channels(spec: GuestSpec, host: Host) -> list[ET.Element]:
    """Ways to agents inside the guest: QEMU's, where the image has one, and SPICE's."""
    elements = []
    if (image_property(spec, "hw_qemu_guest_agent") or "").lower() in ("yes", "true", "1", "on"):
        element = ET.Element("channel", type="unix")
        child(element, "target", type="virtio", name="org.qemu.guest_agent.0")
        elements.append(element)
    if host.spice_listen is not None and host.has_spice_agent:
        element = ET.Element("channel", type="spicevmc")
        child(element, "target", type="virtio", name="com.redhat.spice.0")
        elements.append(element)
    return elements
