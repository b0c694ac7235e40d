"""RegisterImage and CopyImage: images that a conductor brings into the Image service. Source: EC2 API reference, "AMIs".

They are shown from the moment they are accepted: pending while the conductor is at it, failed with the reason when it gave up.
"""

import re
import uuid
from typing import Any

from nova import errors as domain
from nova import image_format
from nova.api.ec2 import errors
from nova.api.ec2.call import Call
from nova.api.ec2.declaration import action
from nova.api.ec2.ids import not_found
from nova.api.ec2.regions import region_name
from nova.clients.objects import BucketNotFound, KeyNotFound
from nova.structs.ec2 import ClientToken
from nova.structs.image import Image
from nova.structs.image_import import ImageImport, ImportRequest

Item = dict[str, Any]

_CREATE = "os_compute_api:servers:create_image"
_CODES = {
    BucketNotFound: "NoSuchBucket",
    KeyNotFound: "NoSuchKey",
    domain.ManifestInvalid: "InvalidManifest",
    domain.TooLarge: "InvalidManifest",
}
# By what a disk's name ends with.
_FORMATS = {"qcow2": "qcow2", "raw": "raw", "img": "raw", "iso": "iso", "vhd": "vhd", "vmdk": "vmdk"}
_ARCHITECTURES = ("i386", "x86_64", "arm64", "aarch64")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LONGEST_KEY = 1024
# What an image has of another service under its id: a copy that had it, too, would take it away when it is deleted.
_NOT_COPIED = ("cinder_encryption_key_id", "block_device_mapping", "bdm_v2")
# The Image service's own.
_ITS_OWN = ("os_glance", "owner_specified.", "image_location")


@action(
    "RegisterImage",
    policy=_CREATE,
    takes=(
        *("Name", "Description", "ImageLocation", "Architecture", "KernelId", "RamdiskId", "RootDeviceName"),
        "TagSpecifications",
    ),
    holds={"VirtualizationType": ("hvm",)},
    codes=_CODES,
)
def register(call: Call) -> Item:
    """An image of a file in the object store: a bundle by its manifest, or a disk. The answer does not wait for it."""
    given, tags = call.given, call.wanted_tags("image")
    if "ImageLocation" not in given:
        raise errors.missing_parameter("ImageLocation")
    bucket, key = _place(given["ImageLocation"])
    properties = {
        "image_location": f"{bucket}/{key}",
        **_described(given),
        **{name: image_id for name, image_id in _parts(call).items() if image_id},
    }
    if "Architecture" in given:
        if given["Architecture"] not in _ARCHITECTURES:
            raise errors.bad_value("Architecture", given["Architecture"])
        properties["architecture"] = given["Architecture"].replace("arm64", "aarch64")
    if "RootDeviceName" in given:
        properties["root_device_name"] = _device(given["RootDeviceName"])
    disk_format = "raw" if key.endswith("manifest.xml") else _FORMATS[key.rpartition(".")[2]]
    image = _image(_name(given["Name"]), disk_format, properties)
    return _accept(call, ImportRequest(image=image, bucket=bucket, key=key), tags)


@action(
    "CopyImage",
    policy=_CREATE,
    takes=("Name", "Description", "SourceImageId", "SourceRegion", "ClientToken", "TagSpecifications"),
    holds={"Encrypted": (False,), "CopyImageTags": (False,)},
    codes={domain.IdempotencyMismatch: "IdempotentParameterMismatch"},
)
def copy(call: Call) -> Item:
    """A copy of an image that the caller may see, within the region."""
    given, tags = call.given, call.wanted_tags("image")
    if given["SourceRegion"] != region_name(call):
        raise errors.bad_value("SourceRegion", given["SourceRegion"], "Images are copied within the region alone.")
    source: Image = call.services.images.get(call.ids.target("ami", as_ami(given["SourceImageId"])), call.context)
    kept = {name: value for name, value in source.properties.items() if not name.startswith(_ITS_OWN)}
    if source.status != "active":
        raise errors.BadRequest("The image is not available.", "InvalidAMIID.Unavailable")
    if not _can_be_copied(source):
        raise errors.unsupported("SourceImageId", given["SourceImageId"])
    image = _image(_name(given["Name"]), source.disk_format, kept | _described(given), source)
    request = ImportRequest(image=image, source=source, client_token=_token(call))
    return _accept(call, request, tags)


def shown(call: Call) -> list[ImageImport]:
    """The project's images that are on their way, and those that did not arrive."""
    return call.conductor.image_imports(call.context)


def cancel(call: Call, image_id: str) -> bool:
    """False: it is not on its way, and has not failed."""
    return call.conductor.cancel_image_import(call.context, image_id)


def as_ami(ec2_id: str) -> str:
    """Kernels and ramdisks have ids of their own, and are images like the others."""
    return re.sub(r"^a[kr]i-", "ami-", ec2_id)


def _accept(call: Call, request: ImportRequest, tags: dict[str, str]) -> Item:
    image = call.conductor.import_image(call.context, request)
    ec2_id = call.ids.one("ami", image.id)
    call.tag(ec2_id, tags)
    kind = image.container_format
    return {"ImageId": ec2_id.replace("ami-", f"{kind}-", 1) if kind in ("aki", "ari") else ec2_id}


def _image(name: str, disk_format: str, properties: dict[str, str], source: Image | None = None) -> Image:
    return Image(
        id=str(uuid.uuid4()),
        name=name,
        visibility="private",
        disk_format=disk_format,
        container_format=source.container_format if source else "bare",
        min_disk=source.min_disk if source else 0,
        min_ram=source.min_ram if source else 0,
        properties=properties,
    )


def _place(location: str) -> tuple[str, str]:
    """Bucket and key of [/]BUCKET/KEY. Raises BadRequest."""
    bucket, _, key = location.removeprefix("/").partition("/")
    segments = key.split("/")
    is_key = key.isprintable() and 0 < len(key.encode()) <= _LONGEST_KEY and not {"", ".", ".."} & set(segments)
    if not _BUCKET.fullmatch(bucket) or ".." in bucket or not is_key:
        raise errors.bad_value("ImageLocation", location, "It is BUCKET/KEY.")
    if not key.endswith("manifest.xml") and key.rpartition(".")[2] not in _FORMATS:
        ends = ", ".join(f".{end}" for end in sorted(_FORMATS))
        raise errors.bad_value("ImageLocation", location, f"It ends in manifest.xml or one of {ends}.")
    return bucket, key


def _name(name: str) -> str:
    if not name.strip() or len(name) > 255:
        raise errors.bad_value("Name", name)
    return name


def _described(given: dict[str, Any]) -> dict[str, str]:
    description = given.get("Description")
    if description is not None and len(description) > 255:
        raise errors.bad_value("Description", description)
    return {"description": description} if description else {}


def _device(name: str) -> str:
    if not re.fullmatch(r"/dev/[a-z0-9]{1,32}", name):
        raise errors.bad_value("RootDeviceName", name)
    return name


def _parts(call: Call) -> dict[str, str | None]:
    """The kernel and the ramdisk that are asked for, which the caller may see."""
    return {
        "kernel_id": _part(call, "KernelId", "aki"),
        "ramdisk_id": _part(call, "RamdiskId", "ari"),
    }


def _part(call: Call, parameter: str, kind: str) -> str | None:
    ec2_id = call.given.get(parameter)
    if ec2_id is None:
        return None
    image: Image = call.services.images.get(call.ids.target("ami", as_ami(ec2_id)), call.context)
    if image.container_format != kind or not ec2_id.startswith(f"{kind}-"):
        raise not_found(kind, ec2_id)
    return image.id


def _can_be_copied(source: Image) -> bool:
    if any(name in source.properties for name in _NOT_COPIED) or not source.size:
        return False
    if source.disk_format in ("aki", "ari"):
        return True
    try:
        image_format.content_of(source)
    except image_format.UnsafeImage:
        return False
    return True


def _token(call: Call) -> ClientToken | None:
    token = call.given.get("ClientToken")
    if token is None:
        return None
    if not (token.isascii() and token.isprintable() and 0 < len(token) <= 64):
        raise errors.bad_value("ClientToken", token)
    return ClientToken(token=token, request=call.digest())
