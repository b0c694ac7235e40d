"""Metadata in the format of EC2 2009-04-04, and what older versions have of it.

Source: Compute user guide, "EC2-compatible metadata", and the EC2 release notes it builds on.
"""

from typing import Any

from oslo_config import cfg

from nova.metadata import facts
from nova.structs.image import Image
from nova.structs.instance import Instance

VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
)
LATEST = "latest"

Tree = dict[str, Any]


def tree(instance: Instance, conf: cfg.ConfigOpts) -> Tree:
    """version -> meta-data, user-data; values are strings, the user's data are bytes."""
    user_data = facts.user_data(instance)
    versions: Tree = {}
    for version in VERSIONS:
        versions[version] = {"meta-data": _meta_data(instance, conf, version)}
        if user_data is not None:
            versions[version]["user-data"] = user_data
    versions[LATEST] = versions[VERSIONS[-1]]
    return versions


def instance_id(instance: Instance) -> str:
    """The server's number as EC2 writes it: i- and eight hexadecimal digits."""
    return f"i-{instance.id:08x}"


def _meta_data(instance: Instance, conf: cfg.ConfigOpts, version: str) -> Tree:
    name = facts.hostname(instance, conf)
    data: Tree = {
        "ami-id": _image_id("ami", instance.image_id),
        "ami-launch-index": str(instance.properties.launch_index),
        "ami-manifest-path": "FIXME",
        "hostname": name,
        "instance-id": instance_id(instance),
        "local-ipv4": facts.fixed_address(instance),
        "reservation-id": instance.reservation_id,
        "security-groups": "\n".join(facts.security_groups(instance)),
    }
    keypair = instance.properties.keypair
    if keypair:
        data["public-keys"] = {"0": {"_name": f"0={keypair.name}", "openssh-key": keypair.public_key}}
    if version >= "2007-01-19":
        data |= {
            "local-hostname": name,
            "public-hostname": name,
            "public-ipv4": facts.floating_address(instance),
        }
    if version >= "2007-08-29":
        data["instance-type"] = instance.flavor.name
    if version >= "2007-12-15":
        data["block-device-mapping"] = dict(facts.block_devices(instance))
        data |= _kernel(instance.image)
    if version >= "2008-02-01":
        data["placement"] = {"availability-zone": facts.zone(instance, conf)}
    if version >= "2008-09-01":
        data["instance-action"] = "none"
    return data


def _kernel(image: Image | None) -> Tree:
    """The ids of kernel and ramdisk, from the image's properties."""
    properties = image.properties if image else {}
    parts = (("kernel-id", "aki", "kernel_id"), ("ramdisk-id", "ari", "ramdisk_id"))
    return {name: _image_id(kind, properties[key]) for name, kind, key in parts if properties.get(key)}


def _image_id(kind: str, image_id: str | None) -> str:
    """EC2's short ids, from the first 32 bits of ours: no table to keep, and the same everywhere."""
    return f"{kind}-{image_id[:8] if image_id else '00000000'}"
