"""An image that the EC2 API has the conductor bring into the Image service."""

import datetime

import msgspec

from nova.structs.ec2 import ClientToken
from nova.structs.image import Image


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Register a file of the object store, a bundle or a disk, or copy an image; one of bucket and source is given.

    image: as it is to be, without its owner; for a bundle its format is that of what the manifest names. bucket, key: the
    manifest or the disk. source: the image that is copied, as the Image service showed it to the caller.
    """

    image: Image
    bucket: str = ""
    key: str = ""
    source: Image | None = None
    client_token: ClientToken | None = None

    @property
    def is_bundle(self) -> bool:
        return self.key.endswith("manifest.xml")

    @property
    def location(self) -> str:
        return f"{self.bucket}/{self.key}" if self.bucket else self.image.name


class ImageImport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image that is on its way, or did not arrive. state: pending or failed; step: what is done now, in words for users.

    reason: why it failed. created_at is UTC.
    """

    request: ImportRequest
    project_id: str
    state: str
    step: str
    created_at: datetime.datetime
    reason: str | None = None
