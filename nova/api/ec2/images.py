"""Images. Source: EC2 API reference, "AMIs"."""

from typing import Any

from nova.api.compute import image_actions
from nova.api.ec2 import errors, image_imports
from nova.api.ec2.call import Call
from nova.api.ec2.declaration import Listing, action
from nova.api.ec2.ids import not_found
from nova.api.ec2.listing import path
from nova.structs.image import Image
from nova.structs.image_import import ImageImport

Item = dict[str, Any]

_STATES = {
    "active": "available",
    "queued": "pending",
    "saving": "pending",
    "uploading": "pending",
    "importing": "pending",
    "deactivated": "disabled",
    "killed": "failed",
}
_PREFIXES = {"aki": "kernel", "ari": "ramdisk", "ami": "machine"}
_LIST = "os_compute_api:servers:detail"
_CREATE = "os_compute_api:servers:create_image"


@action(
    "DescribeImages",
    policy=_LIST,
    takes=("Owners", "ExecutableUsers"),
    holds={"IncludeDeprecated": (True, False), "IncludeDisabled": (True,)},
    lists=Listing(
        "Images",
        "ImageId",
        "ImageIds",
        "ami",
        {
            "image-id": path("ImageId"),
            "name": path("Name"),
            "description": path("Description"),
            "state": path("State"),
            "is-public": path("Public"),
            "owner-id": path("OwnerId"),
            "image-type": path("ImageType"),
            "architecture": path("Architecture"),
            "root-device-type": path("RootDeviceType"),
            "root-device-name": path("RootDeviceName"),
            "virtualization-type": path("VirtualizationType"),
            "kernel-id": path("KernelId"),
            "ramdisk-id": path("RamdiskId"),
            "creation-date": path("CreationDate"),
        },
    ),
)
def describe(call: Call) -> list[Item]:
    """The images that the Image service shows to the caller."""
    owners = {call.project_id if owner == "self" else owner for owner in call.given.get("Owners", ())}
    users = set(call.given.get("ExecutableUsers", ()))
    images = [image for image in call.services.images.list(call.context) if not owners or image.owner in owners]
    if users - {"all", "self"}:
        raise errors.unsupported("ExecutableBy", sorted(users - {"all", "self"})[0])
    if users == {"all"}:
        images = [image for image in images if image.visibility == "public"]
    shown = _items(call, images)
    if (owners and call.project_id not in owners) or "all" in users:
        return shown
    return _with_imports(call, shown)


def _with_imports(call: Call, shown: list[Item]) -> list[Item]:
    """Those on their way say how far they are; those that failed are shown, and are in the Image service no more."""
    imports = {each.request.image.id: each for each in image_imports.shown(call)}
    if not imports:
        return shown
    by_id = {item["ImageId"]: item for item in shown}
    ids, tags = _ids(call, [each.request.image for each in imports.values()]), call.tags()
    for each in imports.values():
        item = _item(each.request.image, ids, tags)
        listed = by_id.get(item["ImageId"])
        if listed is None or listed["State"] != "available":
            by_id[item["ImageId"]] = item | _of_import(each)
    return list(by_id.values())


def _of_import(each: ImageImport) -> Item:
    """What the Image service does not know of an image that has not arrived."""
    code, text = ("Client.ImportFailed", each.reason) if each.state == "failed" else ("pending", each.step or "waiting")
    return {
        "State": each.state,
        "OwnerId": each.project_id,
        "CreationDate": f"{each.created_at.isoformat(timespec='seconds')}Z",
        "StateReason": {"Code": code, "Message": text or ""},
    }


def _ids(call: Call, images: list[Image]) -> dict[str | None, str | None]:
    parts = [image.properties.get(name) for image in images for name in ("kernel_id", "ramdisk_id")]
    return call.ids.many("ami", [*(image.id for image in images), *parts])


def _items(call: Call, images: list[Image]) -> list[Item]:
    ids, tags = _ids(call, images), call.tags()
    return [_item(image, ids, tags) for image in images]


def _item(image: Image, ids: dict[str | None, str | None], tags: dict[str, list[dict[str, str]]]) -> Item:
    kind = image.container_format if image.container_format in ("aki", "ari") else "ami"
    ec2_id = str(ids[image.id])
    properties = image.properties
    return {
        "ImageId": ec2_id.replace("ami-", f"{kind}-", 1),
        "Name": image.name or ec2_id,
        "ImageLocation": properties.get("image_location") or f"{image.owner or ''}/{image.name}",
        "Description": properties.get("description"),
        "State": _STATES.get(image.status, "invalid"),
        "OwnerId": image.owner or "",
        "Public": image.visibility == "public",
        "CreationDate": image.created_at or "",
        "ImageType": _PREFIXES[kind],
        "Architecture": properties.get("hw_architecture") or properties.get("architecture") or "x86_64",
        "KernelId": _renamed(ids.get(properties.get("kernel_id")), "aki"),
        "RamdiskId": _renamed(ids.get(properties.get("ramdisk_id")), "ari"),
        "RootDeviceName": properties.get("root_device_name") or "/dev/vda",
        "RootDeviceType": "ebs" if properties.get("block_device_mapping") else "instance-store",
        "VirtualizationType": "hvm",
        "BlockDeviceMappings": [],
        "Tags": tags.get(ec2_id, []),
    }


def _renamed(ec2_id: str | None, kind: str) -> str | None:
    return None if ec2_id is None else ec2_id.replace("ami-", f"{kind}-", 1)


def own(call: Call, ec2_id: str) -> Image:
    """An image of the caller's project. Raises BadRequest (AuthFailure) for one that is only shown to it."""
    image: Image = call.services.images.get(call.ids.target("ami", image_imports.as_ami(ec2_id)), call.context)
    if image.owner != call.project_id:
        if image.visibility == "private":
            raise not_found("ami", ec2_id)
        raise errors.BadRequest(f"Not authorized for image: {ec2_id}", "AuthFailure")
    return image


@action(
    "CreateImage",
    policy=_CREATE,
    takes=("InstanceId", "Name", "Description", "TagSpecifications"),
    holds={"NoReboot": (True,)},
)
def create(call: Call) -> Item:
    """An image of a server as it runs: it is not stopped for it, so that NoReboot may be given or left out."""
    server = call.server(call.given["InstanceId"])
    tags = call.wanted_tags("image")
    facts = {"description": call.given["Description"]} if call.given.get("Description") else {}
    name = call.given["Name"]
    if not name.strip() or len(name) > 255:
        raise errors.bad_value("Name", name)
    reply = image_actions.create_image.handler(call.on(server, {"name": name, "metadata": facts}))
    ec2_id = call.ids.one("ami", reply.value)
    call.tag(ec2_id, tags)
    return {"ImageId": ec2_id}


@action("DeregisterImage", policy=_CREATE, takes=("ImageId",))
def deregister(call: Call) -> Item:
    """Delete an image of the project's own; one that is on its way goes nowhere any more."""
    ec2_id = call.given["ImageId"]
    if not image_imports.cancel(call, call.ids.target("ami", image_imports.as_ami(ec2_id))):
        call.services.images.delete(own(call, ec2_id).id, call.context)
    return {"Return": True}


@action("DescribeImageAttribute", policy=_LIST, takes=("ImageId", "Attribute"))
def describe_attribute(call: Call) -> Item:
    """description, kernel, ramdisk, launchPermission and blockDeviceMapping."""
    attribute, ec2_id = call.given["Attribute"], call.given["ImageId"]
    image: Image = call.services.images.get(call.ids.target("ami", image_imports.as_ami(ec2_id)), call.context)
    shown = _items(call, [image])[0]
    values: dict[str, Item] = {
        "description": {"Description": {"Value": shown["Description"]}},
        "kernel": {"KernelId": {"Value": shown["KernelId"]}},
        "ramdisk": {"RamdiskId": {"Value": shown["RamdiskId"]}},
        "launchPermission": {"LaunchPermissions": [{"Group": "all"}] if shown["Public"] else []},
        "blockDeviceMapping": {"BlockDeviceMappings": []},
    }
    if attribute not in values:
        raise errors.unsupported("Attribute", attribute)
    return {"ImageId": ec2_id, **values[attribute]}


@action(
    "ModifyImageAttribute",
    policy=_CREATE,
    takes=(
        *("ImageId", "Attribute", "OperationType", "UserGroups", "Value", "Description.Value"),
        *("LaunchPermission.Add.Group", "LaunchPermission.Remove.Group"),
    ),
)
def modify_attribute(call: Call) -> None:
    """The description, and whether everybody may launch the image, in either of EC2's two ways to say it."""
    given = call.given
    image = own(call, given["ImageId"])
    permission, description = given.get("LaunchPermission", {}), given.get("Description", {}).get("Value")
    groups = {verb.lower(): [each["Group"] for each in permission.get(verb, ())] for verb in ("Add", "Remove")}
    match given.get("Attribute"):
        case "description":
            description = given.get("Value")
        case "launchPermission":
            groups.setdefault(given.get("OperationType", ""), []).extend(given.get("UserGroups", ()))
        case str(attribute):
            raise errors.unsupported("Attribute", attribute)
    for operation, named in groups.items():
        if operation not in ("add", "remove") or set(named) - {"all"}:
            raise errors.bad_value("LaunchPermission", operation if operation not in ("add", "remove") else named)
    if description is None and not any(groups.values()):
        raise errors.missing_parameter("Attribute")
    if description is not None:
        call.services.images.set_properties(image.id, {"description": description or None}, call.context)
    if any(groups.values()):
        visibility = "public" if groups["add"] else "private"
        call.services.images.set_visibility(image.id, visibility, call.context)


@action("ResetImageAttribute", policy=_CREATE, takes=("ImageId", "Attribute"))
def reset_attribute(call: Call) -> None:
    """launchPermission: the image is the project's alone again."""
    if call.given["Attribute"] != "launchPermission":
        raise errors.unsupported("Attribute", call.given["Attribute"])
    call.services.images.set_visibility(own(call, call.given["ImageId"]).id, "private", call.context)
