"""A server's record with everything a guest may know of it."""

import base64
import datetime

import msgspec

from nova.conf import load
from nova.structs.flavor import Flavor
from nova.structs.image import Image
from nova.structs.instance import BlockDevice, Instance, KeypairRef, Properties, VmState
from nova.structs.network import FixedIp, Subnet, Vif

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ user@example"
IMAGE_ID = "70a599e0-31e7-49b7-b260-868f441e862b"
SUBNET = Subnet(id="s4", cidr="10.0.0.0/24", gateway="10.0.0.1", dns=("9.9.9.9", "1.1.1.1"))
VIF = Vif(
    port_id="cd9f6d46-4a3a-43ab-a466-994af9db96fc",
    network_id="99e88329-f20d-4741-9593-25bf07847b16",
    network_label="private",
    mac="fa:16:3e:9c:bf:3d",
    mtu=1450,
    fixed_ips=(FixedIp(address="10.0.0.5", version=4, subnet_id="s4", floating_ips=("203.0.113.7",)),),
    subnets=(SUBNET,),
)


def server(properties: dict[str, object] | None = None, **fields: object) -> Instance:
    """A server as a user would boot it; fields replace what it has."""
    known: dict[str, object] = {
        "launch_index": 1,
        "root_device_name": "/dev/vda",
        "keypair": KeypairRef(name="mykey", type="ssh", public_key=KEY),
        "security_groups": ("web", "default"),
    }
    values: dict[str, object] = {
        "id": 20,
        "uuid": "d8e02d56-2648-49a3-bf97-6be8f1204f38",
        "project_id": "f7ac731cc11f40efbc03a9f9e1d1d21f",
        "user_id": "u",
        "name": "Test server",
        "hostname": "test",
        "vm_state": VmState.ACTIVE,
        "flavor": Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=64, root_gb=1),
        "created_at": datetime.datetime(2026, 1, 1),
        "image_id": IMAGE_ID,
        "image": Image(id=IMAGE_ID),
        "availability_zone": "zone-1",
        "reservation_id": "r-abcdefgh",
        "metadata": {"role": "webserver"},
        "vifs": (VIF,),
        "user_data": base64.b64encode(b"#!/bin/sh\necho hello\n").decode(),
        "properties": Properties(**{**known, **(properties or {})}),
    }
    return Instance(**{**values, **fields})


def vif(**fields: object) -> Vif:
    return msgspec.structs.replace(VIF, **fields)


def volume(**fields: object) -> BlockDevice:
    return BlockDevice(**{"id": "b", "source": "volume", "destination": "volume", **fields})


def conf(tmp_path, text: str = ""):
    path = tmp_path / "nova.conf"
    path.write_text(text)
    return load(files=[str(path)])
