"""What the domain XML is made from besides the guest's spec: this host, and the guest's disks as QEMU opens them."""

import xml.etree.ElementTree as ET

import msgspec

from nova.structs.guest import GuestSpec

METADATA_NAMESPACE = "urn:nova:guest:1"


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What a definition depends on that is the host's and its operator's, not the guest's.

    listen addresses are None where that kind of console is off.
    """

    virt_type: str = "qemu"
    arch: str = "x86_64"
    machine_types: dict[str, str] = {}
    pcie_ports: int = 12
    cpu_mode: str = "host-model"
    cpu_model: str | None = None
    cpu_flags: tuple[str, ...] = ()
    vnc_listen: str | None = "127.0.0.1"
    spice_listen: str | None = None
    has_spice_agent: bool = True
    serial_listen: str | None = None
    rng_device: str = "/dev/urandom"
    memory_statistics_s: int = 10
    max_queues: int = 256
    smbios_serial: str | None = None
    has_memory_in_files: bool = False
    share_base: str = "/var/lib/nova/mnt"


class Drive(msgspec.Struct, frozen=True, kw_only=True):
    """One disk as QEMU is to open it.

    type: file, block or network. For network, path is the name inside the protocol, hosts are its
    servers ("address:port") and secret is the libvirt secret of user.
    """

    target: str
    bus: str
    path: str
    type: str = "file"
    format: str = "raw"
    device: str = "disk"
    is_read_only: bool = False
    boot_order: int | None = None
    serial: str | None = None
    cache: str | None = None
    discard: str | None = None
    protocol: str | None = None
    hosts: tuple[str, ...] = ()
    user: str | None = None
    secret: str | None = None
    is_shareable: bool = False


def image_property(spec: GuestSpec, name: str, default: str | None = None) -> str | None:
    """A property of the guest's image; default for a guest without an image."""
    return spec.image.properties.get(name, default) if spec.image is not None else default


def has_packed_rings(spec: GuestSpec) -> bool:
    """Whether virtio devices are to use packed rings: the flavor's word, then the image's."""
    return is_true(
        spec.flavor.extra_specs.get("hw:virtio_packed_ring") or image_property(spec, "hw_virtio_packed_ring")
    )


def is_true(value: str | None) -> bool:
    """Whether a flavor's or image's text means yes."""
    return str(value).strip().lower() in ("1", "t", "true", "yes", "on", "y")


def child(parent: ET.Element, tag: str, text: str | int | None = None, **attributes: str | int) -> ET.Element:
    """Add an element to parent. A trailing underscore of an attribute is Python's, not XML's."""
    element = ET.SubElement(parent, tag, {k.rstrip("_"): str(v) for k, v in attributes.items()})
    if text is not None:
        element.text = str(text)
    return element


def machine_type(spec: GuestSpec, host: Host) -> str:
    """The image's hw_machine_type, else the configured one of this architecture, else pc."""
    return image_property(spec, "hw_machine_type") or host.machine_types.get(host.arch) or "pc"


def has_pcie(spec: GuestSpec, host: Host) -> bool:
    """Whether the machine type has PCI Express, as only q35 has."""
    return "q35" in machine_type(spec, host)


def is_windows(spec: GuestSpec) -> bool:
    """Whether the image says that the guest is Windows (os_type)."""
    return image_property(spec, "os_type") == "windows"
