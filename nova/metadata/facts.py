"""Facts about a server that both formats of its metadata contain."""

import base64
import binascii
from collections.abc import Iterator

from oslo_config import cfg

from nova.structs.instance import Instance

_PREFIX_OF_BUS = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd", "fdc": "fd"}


def hostname(instance: Instance, conf: cfg.ConfigOpts) -> str:
    """The host name with [api] dhcp_domain, as DHCP gives it to the guest."""
    domain = conf.api.dhcp_domain
    if not domain or "." in instance.hostname:
        return instance.hostname
    return f"{instance.hostname}.{domain}"


def zone(instance: Instance, conf: cfg.ConfigOpts) -> str:
    """The server's availability zone, or the configured default."""
    return instance.availability_zone or conf.default_availability_zone


def user_data(instance: Instance) -> bytes | None:
    """The user data, decoded from the API's base64."""
    if not instance.user_data:
        return None
    try:
        return base64.b64decode(instance.user_data, validate=False)
    except binascii.Error:
        return instance.user_data.encode()


def fixed_address(instance: Instance) -> str:
    """The first IPv4 address; empty without one."""
    return next((ip.address for vif in instance.vifs for ip in vif.fixed_ips if ip.version == 4), "")


def floating_address(instance: Instance) -> str:
    """The first floating address; empty without one."""
    return next((address for vif in instance.vifs for ip in vif.fixed_ips for address in ip.floating_ips), "")


def security_groups(instance: Instance) -> tuple[str, ...]:
    """The groups' names, as they were requested."""
    return instance.properties.security_groups or (("default",) if instance.vifs else ())


def block_devices(instance: Instance) -> Iterator[tuple[str, str]]:
    """What a disk is for, by EC2's names, and its name in the guest: ami, root, ebs0, ephemeral0, swap.

    Unnamed disks take the letters in the order in which nova-compute gives them out: the image,
    volumes, ephemeral disks, swap.
    """
    properties = instance.image.properties if instance.image else {}
    prefix = _PREFIX_OF_BUS.get(properties.get("hw_disk_bus", "virtio"), "vd")
    names = (f"/dev/{prefix}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    root = instance.properties.root_device_name or f"/dev/{prefix}a"
    yield "ami", root.removeprefix("/dev/")
    yield "root", root
    if instance.image_id is not None:
        next(names)
    volumes = [device for device in instance.block_devices if device.destination == "volume"]
    volumes.sort(key=lambda device: (device.boot_index is None or device.boot_index < 0, device.boot_index or 0))
    for number, device in enumerate(volumes):
        yield f"ebs{number}", device.device_name or next(names)
    if instance.flavor.ephemeral_gb:
        yield "ephemeral0", next(names)
    if instance.flavor.swap_mb:
        yield "swap", next(names)
