"""Actions between a server and images: rebuild, rescue, and images and backups made of it.

Source: Compute API reference, "Servers - run an action".
"""

import uuid as uuids
from typing import Any

import msgspec

from nova import errors
from nova.api.compute import mapped_images, server_view
from nova.api.compute.addresses import access_addresses
from nova.api.compute.app import Reply
from nova.api.compute.images import check_is_metadata
from nova.api.compute.operate import operate
from nova.api.compute.personality import personality
from nova.api.compute.request import Request
from nova.api.compute.servers import (
    CERTIFICATES_ARE_FOR_IMAGES,
    CERTIFICATES_ARE_NOT_CHECKED,
    check_metadata,
    make_password,
)
from nova.api.compute.versions import IMAGE_ID_IN_BODY, IMAGE_METADATA_QUOTA_GONE, RESCUE_OF_VOLUMES, VOLUMES_REIMAGED
from nova.clients.rollback import Rollback
from nova.http.declaration import action
from nova.http.schema import (
    ANY,
    BASE64,
    BOOLISH,
    DESCRIPTION,
    HOSTNAME,
    METADATA,
    NAME,
    NULL,
    STRING,
    UUID,
    arr,
    enum,
    integer,
    nullable,
    obj,
    optional,
    required,
    string,
    versioned,
)
from nova.http.view import Answer
from nova.structs.image import Image
from nova.structs.instance import Instance

_REBUILD = obj(
    required("imageRef", UUID),
    optional("name", NAME),
    optional("adminPass", STRING),
    optional("metadata", METADATA),
    optional("preserve_ephemeral", BOOLISH),
    optional("OS-DCF:diskConfig", enum("AUTO", "MANUAL")),
    optional("accessIPv4", string(format="ipv4")),
    optional("accessIPv6", string(format="ipv6")),
    optional("personality", arr(obj(optional("path", STRING), optional("contents", BASE64))), until="2.56"),
    optional("description", DESCRIPTION, since="2.19"),
    optional("key_name", nullable(NAME), since="2.54"),
    optional("user_data", nullable(string(format="base64", maxLength=65535)), since="2.57"),
    optional(
        "trusted_image_certificates",
        arr(string(minLength=1), is_nullable=True, minItems=1, maxItems=50, uniqueItems=True),
        since="2.63",
    ),
    optional(
        "hostname",
        versioned(string(minLength=2, maxLength=63, pattern="^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$"), v2_94=HOSTNAME),
        since="2.90",
    ),
)


_REBUILT_SHAPE = obj(required("server", obj(*server_view.REBUILT.shape().fields, optional("adminPass", STRING))))


def _rebuilt(result: tuple[Instance, str | None], request: Request) -> dict[str, Any]:
    instance, password = result
    server = server_view.REBUILT.renderer(request)(instance)
    if password is not None:
        server["adminPass"] = password
    return {"server": server}


@action(
    "rebuild",
    policy="os_compute_api:servers:rebuild",
    body=_REBUILD,
    answer=Answer(_rebuilt, _REBUILT_SHAPE),
    errors=(400, 403, 404, 409),
)
def rebuild(request: Request) -> Reply:
    """Make the server anew from an image; its id, addresses and volumes stay.

    Raises Invalid for an image or key that cannot be used.
    """
    fields, server = request.body, request.server
    if fields.get("trusted_image_certificates"):
        target = {"project_id": server.project_id, "user_id": server.user_id}
        request.check("os_compute_api:servers:rebuild:trusted_certs", target)
    check_metadata(request, fields.get("metadata") or {})
    image = _image(request, fields["imageRef"])
    is_volume_backed = server.image_id is None
    if is_volume_backed and fields.get("trusted_image_certificates"):
        raise errors.Invalid(CERTIFICATES_ARE_FOR_IMAGES)
    if fields.get("trusted_image_certificates"):
        raise errors.Invalid(CERTIFICATES_ARE_NOT_CHECKED)
    if is_volume_backed and not request.since(VOLUMES_REIMAGED):
        raise errors.Invalid("Unable to rebuild with a different image for a volume-backed server.")
    password = fields.get("adminPass") or make_password(request.conf.password_length)
    operate(
        request,
        "rebuild",
        image=image,
        reimages=is_volume_backed,
        columns=_columns(fields),
        properties=_properties(fields),
        key_name=(fields["key_name"] or "") if "key_name" in fields else None,
        personality=personality(request, fields, server.project_id),
        password=password,
    )
    now = request.conductor.server(
        request.context,
        server.uuid,
        project_id=server.project_id,
        **{**server_view.details(request), "with_user_data": True},
    )
    now = _with_changes(now, fields, image)
    headers = {"Location": request.link(f"/servers/{server.uuid}")}
    return Reply((now, password if request.conf.api.enable_instance_password else None), headers)


def _with_changes(server: Instance, fields: dict[str, Any], image: Image) -> Instance:
    """The server as it will be: its record follows once its host is known to take the image."""
    changes = _columns(fields)
    if "key_name" in fields:
        changes["key_name"] = fields["key_name"]
    if server.image_id is not None:
        changes |= {"image": image, "image_id": image.id}
    properties = msgspec.structs.replace(server.properties, **_properties(fields))
    return msgspec.structs.replace(server, **changes, properties=properties)


def _columns(fields: dict[str, Any]) -> dict[str, Any]:
    names = {"name": "name", "hostname": "hostname", "metadata": "metadata", "user_data": "user_data"}
    return {field: fields[key] for key, field in names.items() if key in fields}


def _properties(fields: dict[str, Any]) -> dict[str, Any]:
    names = {
        "description": "description",
        "OS-DCF:diskConfig": "disk_config",
        "trusted_image_certificates": "trusted_certs",
    }
    return {field: fields[key] for key, field in names.items() if key in fields} | access_addresses(fields)


def _image(request: Request, image_id: str) -> Image:
    try:
        image: Image = request.services.images.get(image_id, request.context)
    except errors.ImageNotFound as error:
        raise errors.Invalid(f"Cannot find image {image_id}") from error
    return image


@action(
    "rescue",
    policy="os_compute_api:os-rescue",
    body=obj(optional("adminPass", STRING), optional("rescue_image_ref", UUID), is_nullable=True),
    answer=Answer(lambda result, request: result, obj(optional("adminPass", STRING))),
    status=200,
    errors=(400, 404, 409, 501),
)
def rescue(request: Request) -> dict[str, str]:
    """Boot the server from a rescue image, its own disks attached. Answers with the password for it."""
    fields, server = request.body or {}, request.server
    if server.image_id is None and not request.since(RESCUE_OF_VOLUMES):
        raise errors.Invalid(f"Cannot rescue instance {server.uuid}: Cannot rescue a volume-backed instance")
    image = _image(request, fields["rescue_image_ref"]) if fields.get("rescue_image_ref") else None
    if image is None and server.image_id is None:
        raise errors.Invalid("A server without an image of its own needs a rescue_image_ref.")
    password = fields.get("adminPass") or make_password(request.conf.password_length)
    operate(request, "rescue", image=image, password=password)
    return {"adminPass": password} if request.conf.api.enable_instance_password else {}


@action("unrescue", policy="os_compute_api:os-unrescue", body=ANY, errors=(404, 409, 501))
def unrescue(request: Request) -> None:
    """Boot a rescued server from its own disks again, and remove the rescue disk."""
    operate(request, "unrescue")


_IMAGE_ID = Answer(
    lambda image_id, request: {"image_id": image_id}, versioned(NULL, v2_45=obj(required("image_id", UUID)))
)


@action(
    "createImage",
    policy="os_compute_api:servers:create_image",
    body=obj(required("name", NAME), optional("metadata", METADATA)),
    answer=_IMAGE_ID,
    errors=(400, 403, 404, 409),
)
def create_image(request: Request) -> Reply:
    """Make an image of the server. It is there, without data, when this answers.

    Raises QuotaExceeded for too many properties.
    """
    fields = request.body
    _check_image_metadata(request, fields)
    facts = {"image_type": "snapshot", **(fields.get("metadata") or {})}
    with Rollback() as rollback:
        snapshots: tuple[str, ...] = ()
        if request.server.image_id is None:
            target = {"project_id": request.server.project_id, "user_id": request.server.user_id}
            request.check("os_compute_api:servers:create_image:allow_volume_backed", target)
            snapshots, mapping = mapped_images.snapshot_volumes(request, fields["name"], rollback)
            facts |= mapping
        image = _image_of(request.server, request, fields["name"], facts)
        _make(request, image, "createImage", rollback, snapshots=snapshots)
    return _image_reply(request, image)


@action(
    "createBackup",
    policy="os_compute_api:os-create-backup",
    body=obj(
        required("name", NAME),
        required("backup_type", STRING),
        required("rotation", integer(0)),
        optional("metadata", METADATA),
    ),
    answer=_IMAGE_ID,
    errors=(400, 403, 404, 409),
)
def create_backup(request: Request) -> Reply:
    """Make an image of the server, and delete the oldest ones beyond rotation.

    With rotation 0 nothing is kept, and the answer names no image.
    """
    fields = request.body
    _check_image_metadata(request, fields)
    if request.server.image_id is None:
        raise errors.Invalid("Backup is not supported for volume-backed instances.")
    facts = {"image_type": "backup", "backup_type": fields["backup_type"], **(fields.get("metadata") or {})}
    image = _image_of(request.server, request, fields["name"], facts)
    with Rollback() as rollback:
        _make(request, image, "createBackup", rollback, backup_type=fields["backup_type"], rotation=fields["rotation"])
    return _image_reply(request, image)


def _make(request: Request, image: Image, operation: str, rollback: Rollback, **arguments: Any) -> None:
    """The image's record first, in the user's name; a request that is refused takes it away again."""
    rollback.made(f"image {image.id}", request.services.images.delete, image.id, request.context)
    request.services.images.create(image, request.context)
    operate(request, operation, image_id=image.id, disk_format=image.disk_format, **arguments)


def _image_reply(request: Request, image: Image) -> Reply:
    if request.since(IMAGE_ID_IN_BODY):
        return Reply(image.id)
    return Reply(None, {"Location": request.link(f"/images/{image.id}")})


_FORMATS = ("raw", "qcow2", "vmdk", "vdi")


def _image_of(server: Instance, request: Request, name: str, facts: dict[str, str]) -> Image:
    """What an image made of a server is to be; it inherits from the server's own image."""
    source = server.image or Image(id="")
    kept_back = request.conf.non_inheritable_image_properties
    inherited = {
        key: value for key, value in source.properties.items() if key not in kept_back and key not in mapped_images.OWN
    }
    own_format = request.conf.libvirt.snapshot_image_format or source.disk_format
    is_mapping = server.image_id is None
    return Image(
        id=str(uuids.uuid4()),
        name=name,
        status="queued",
        visibility="private",
        # Nothing at all is a raw disk, and no disk of any other format.
        disk_format="raw" if is_mapping else own_format if own_format in _FORMATS else "qcow2",
        container_format="bare",
        # Its volumes have sizes of their own.
        min_disk=0 if is_mapping else max(source.min_disk, server.flavor.root_gb),
        min_ram=source.min_ram,
        properties={
            **inherited,
            "base_image_ref": server.image_id or "",
            "instance_uuid": server.uuid,
            "user_id": request.context.user_id,
            **facts,
        },
    )


def _check_image_metadata(request: Request, fields: dict[str, Any]) -> None:
    """Before 2.39 the quota of servers' metadata counted for images as well. Raises QuotaExceeded, Invalid."""
    check_is_metadata(fields.get("metadata") or {})
    if not request.since(IMAGE_METADATA_QUOTA_GONE):
        check_metadata(request, fields.get("metadata") or {})
