"""Images that the EC2 API registers and copies: accepted, shown, and given up."""

import re
from functools import partial

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clients.image import Images
from nova.conductor.core import Core
from nova.conductor.image_imports.manifest import Manifest
from nova.conductor.image_imports.service import ImageImports
from nova.db import ec2, image_imports
from nova.structs.context import Context
from nova.structs.image import Image
from nova.structs.image_import import ImageImport, ImportRequest

_DEADLINE_S = 6 * 3600.0
_PART = re.compile(r"(aki|ari)-([0-9a-f]{8,15})")


class ImageImportCalls:
    def __init__(self, core: Core, imports: ImageImports) -> None:
        self._db = core.db
        self._images: Images = core.step_context.images
        self._imports = imports

    def import_image(self, context: Context, request: ImportRequest) -> Image:
        """Durable when this returns: the row and the record in the Image service are there."""
        if (made_before := self._made_before(context, request)) is not None:
            return made_before
        request, digest = self._completed(context, request)
        self._db.write(lambda c: image_imports.add(c, context, request, digest, _DEADLINE_S))
        try:
            # In the caller's name: the Image service decides whether this user may have another image.
            self._images.create(request.image, context)
            is_begun = self._db.write(lambda c: _begin(c, context, request))
        except ec2.TokenIsTaken:
            self._give_up(request)
            return self._made_before(context, request) or request.image
        except errors.DomainError:
            self._give_up(request)
            raise
        if not is_begun:
            raise errors.Unavailable(service="The Image service", reason="it did not answer in time")
        self._imports.wake()
        return request.image

    def image_imports(self, context: Context) -> list[ImageImport]:
        return self._db.read(lambda c: image_imports.of_project(c, context.project_id))

    def cancel_image_import(self, context: Context, image_id: str) -> bool:
        is_known = self._db.write(lambda c: image_imports.cancel(c, context.project_id, image_id), is_repeatable=True)
        self._imports.wake()
        return is_known

    def _made_before(self, context: Context, request: ImportRequest) -> Image | None:
        token = request.client_token
        if token is None:
            return None
        image_id = self._db.read(lambda c: ec2.reservation(c, context.project_id, token))
        return msgspec.structs.replace(request.image, id=image_id) if image_id else None

    def _give_up(self, request: ImportRequest) -> None:
        """Its record may be there all the same: it is removed beside."""
        self._db.write(partial(image_imports.abandon, image_id=request.image.id), is_repeatable=True)
        self._imports.wake()

    def _completed(self, context: Context, request: ImportRequest) -> tuple[ImportRequest, str]:
        """The request with what the manifest says of the image, and the manifest's digest."""
        arrivals = self._imports.arrivals
        if request.source is not None:
            arrivals.check_size(request.source.size)
            return request, ""
        if not request.is_bundle:
            arrivals.check_object(context.project_id, request.bucket, request.key)
            return request, ""
        manifest, digest = arrivals.manifest(context.project_id, request.bucket, request.key)
        image = _of_kind(request.image, manifest)
        parts = {name: self._part(context, getattr(manifest, name)) for name in ("kernel_id", "ramdisk_id")}
        properties = {**{name: part for name, part in parts.items() if part}, **image.properties}
        if manifest.architecture:
            properties.setdefault("architecture", manifest.architecture)
        if image.disk_format == "raw" and "kernel_id" in properties:
            image = msgspec.structs.replace(image, disk_format="ami", container_format="ami")
        return msgspec.structs.replace(request, image=msgspec.structs.replace(image, properties=properties)), digest

    def _part(self, context: Context, ec2_id: str | None) -> str | None:
        """The image of a kernel or ramdisk that the caller may see, by its id in EC2's words."""
        if ec2_id is None:
            return None
        match = _PART.fullmatch(ec2_id)
        number = int(match[2], 16) if match else 0
        image_id = self._db.read(lambda c: ec2.targets(c, "ami", [number])).get(number)
        image = self._images.get(image_id, context) if image_id else None
        if match is None or image is None or image.container_format != match[1]:
            raise errors.ManifestInvalid(reason="it names a kernel or ramdisk that is none")
        return image.id


def _begin(connection: Connection, context: Context, request: ImportRequest) -> bool:
    if request.client_token is not None:
        ec2.keep_token(connection, context.project_id, request.client_token, request.image.id)
    return image_imports.begin(connection, request.image.id)


def _of_kind(image: Image, manifest: Manifest) -> Image:
    kind = manifest.kind
    formats = ("raw", "bare") if kind == "machine" else (kind, kind)
    return msgspec.structs.replace(image, disk_format=formats[0], container_format=formats[1])
