"""RunInstances in the words of the Compute API: the body of a request for servers.

It goes through the Compute API's own checks, so that what holds for servers there holds here.
"""

import binascii
from base64 import b64decode
from typing import Any

import msgspec

from nova.api.compute import servers
from nova.api.compute.versions import MAXIMUM
from nova.api.ec2 import errors
from nova.api.ec2.call import Call
from nova.api.ec2.subnets import network_of
from nova.http.schema import checker
from nova.structs.ec2 import ClientToken
from nova.structs.flavor import Flavor
from nova.structs.requests import BuildRequest

Json = dict[str, Any]

# EC2's names of the first disk, and ours.
_ROOTS = frozenset(("/dev/sda", "/dev/sda1", "/dev/xvda", "/dev/vda", "sda", "sda1", "xvda", "vda"))
_DEFAULT_TYPE = "m1.small"
_LONGEST_TOKEN = 64
_EBS = {"VolumeSize": "volume_size", "VolumeType": "volume_type"}

_check = checker(servers.CREATE, MAXIMUM, False)


def build_request(call: Call) -> BuildRequest:
    """Raises BadRequest, ImageNotFound, KeypairNotFound and what the Compute API's servers.create does."""
    given = call.given
    if not 1 <= given["MinCount"] <= given["MaxCount"]:
        raise errors.bad_value("MinCount", given["MinCount"], "It is between 1 and MaxCount.")
    if "ImageId" not in given:
        raise errors.missing_parameter("ImageId")
    image_id = call.ids.target("ami", given["ImageId"])
    call.services.images.get(image_id, call.context)
    if "KeyName" in given:
        call.conductor.keypair(call.context.user_id, given["KeyName"])
    tags = call.wanted_tags("instance")
    networks, groups = _networks(call)
    fields: Json = {
        "name": tags.get("Name", "").strip()[:200] or "server",
        "flavorRef": flavor_named(call, given.get("InstanceType", _DEFAULT_TYPE)).id,
        "imageRef": image_id,
        "min_count": given["MinCount"],
        "max_count": given["MaxCount"],
        "metadata": tags,
        "networks": networks or "none",
        "security_groups": [{"name": group} for group in groups],
        "key_name": given.get("KeyName"),
        "user_data": _user_data(given.get("UserData")),
        "availability_zone": given.get("Placement", {}).get("AvailabilityZone"),
        "block_device_mapping_v2": [_device(call, each, image_id) for each in given.get("BlockDeviceMappings", ())],
    }
    body = _check({"server": {key: value for key, value in fields.items() if value not in (None, [])}})
    call.request.body = body
    build = servers.build_request(call.request, body["server"])
    # Without any the server is on whatever the project has.
    return msgspec.structs.replace(build, networks=build.networks or None, client_token=_token(call))


def flavor_named(call: Call, name: str) -> Flavor:
    """EC2's instance types are flavors, by name. Raises BadRequest."""
    for flavor in call.conductor.flavors(call.context):
        if flavor.name == name:
            return flavor
    raise errors.bad_value("InstanceType", name, "There is no such instance type.")


def _token(call: Call) -> ClientToken | None:
    token = call.given.get("ClientToken")
    if token is None:
        return None
    if not (token.isascii() and token.isprintable() and 0 < len(token) <= _LONGEST_TOKEN):
        raise errors.bad_value("ClientToken", token, f"It has {_LONGEST_TOKEN} ASCII characters at most.")
    return ClientToken(token=token, request=call.digest())


def _user_data(text: str | None) -> str | None:
    if not text:
        return None
    try:
        b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.BadRequest("The user data are not valid base64.", "InvalidUserData.Malformed") from error
    return text


def _device(call: Call, mapping: Json, image_id: str) -> Json:
    """One mapping. A root disk with Ebs is a volume made of the image."""
    ebs, name = mapping.get("Ebs"), mapping.get("DeviceName")
    if "NoDevice" in mapping:
        return {"device_name": name, "no_device": True, "source_type": "blank"}
    if ebs is None:
        if not mapping.get("VirtualName", "").startswith("ephemeral"):
            raise errors.BadRequest("A mapping has Ebs, NoDevice or an ephemeral VirtualName.", "MissingParameter")
        return {"device_name": name, "source_type": "blank", "destination_type": "local", "boot_index": -1}
    device: Json = {ours: ebs[key] for key, ours in _EBS.items() if key in ebs}
    device |= {"destination_type": "volume", "delete_on_termination": ebs.get("DeleteOnTermination", True)}
    if "SnapshotId" in ebs:
        snapshot_id = call.ids.target("snap", ebs["SnapshotId"])
        call.services.volumes.snapshot(snapshot_id, call.context)
        return device | {"source_type": "snapshot", "uuid": snapshot_id, "device_name": name, "boot_index": -1}
    if name in _ROOTS:
        return device | {"source_type": "image", "uuid": image_id, "boot_index": 0}
    return device | {"source_type": "blank", "device_name": name, "boot_index": -1}


def _networks(call: Call) -> tuple[list[Json], list[str]]:
    """The networks of the request, and the security groups of its interfaces. Raises BadRequest."""
    given = call.given
    interfaces = given.get("NetworkInterfaces")
    if interfaces is None:
        wanted = {"SubnetId": given.get("SubnetId"), "PrivateIpAddress": given.get("PrivateIpAddress")}
        if wanted["PrivateIpAddress"] and not wanted["SubnetId"]:
            raise errors.BadRequest("PrivateIpAddress needs a SubnetId.", "InvalidParameterCombination")
        return ([_interface(call, wanted)] if wanted["SubnetId"] else []), _groups(call, given)
    if {"SubnetId", "PrivateIpAddress", "SecurityGroupIds", "SecurityGroups"} & given.keys():
        raise errors.BadRequest(
            "Subnet, address and groups stand in NetworkInterfaces when that is given.", "InvalidParameterCombination"
        )
    ordered = sorted(interfaces, key=lambda each: each.get("DeviceIndex", 0))
    if [each.get("DeviceIndex", 0) for each in ordered] != list(range(len(ordered))):
        raise errors.bad_value("NetworkInterface.DeviceIndex", "", "They count from 0.")
    chosen = {tuple(each.get("Groups", ())) for each in ordered if "NetworkInterfaceId" not in each}
    if len(chosen) > 1:
        raise errors.unsupported("NetworkInterface.SecurityGroupId", "different ones for each interface")
    groups = _groups(call, {"SecurityGroupIds": list(next(iter(chosen), ()))})
    return [_interface(call, each) for each in ordered], groups


def _interface(call: Call, wanted: Json) -> Json:
    port = wanted.get("NetworkInterfaceId")
    # Ports of the user's own stay, those made for a server go with it.
    if wanted.get("DeleteOnTermination", port is None) is not (port is None):
        raise errors.unsupported("NetworkInterface.DeleteOnTermination", wanted["DeleteOnTermination"])
    if port is not None:
        return {"port": call.ids.target("eni", port)}
    if not wanted.get("SubnetId"):
        raise errors.missing_parameter("NetworkInterface.SubnetId")
    network_id = network_of(call, wanted["SubnetId"], wanted.get("PrivateIpAddress"))
    address = wanted.get("PrivateIpAddress")
    return {"uuid": network_id, **({"fixed_ip": address} if address else {})}


def _groups(call: Call, given: Json) -> list[str]:
    """The ids of groups that are given by id and by name. Raises SecurityGroupNotFound."""
    groups, project_id = call.services.network.security_groups, call.project_id
    by_id = [groups.get(project_id, target)["id"] for target in call.ids.targets("sg", given.get("SecurityGroupIds", ())).values()]  # fmt: skip
    return [*by_id, *(groups.id_of(project_id, name) for name in given.get("SecurityGroups", ()))]
