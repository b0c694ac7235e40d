"""An image, as far as building a server needs to know it."""

import msgspec


class Image(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Facts about an image from the Image service. Sizes: bytes, min_disk GiB, min_ram MiB."""

    id: str
    name: str = ""
    status: str = "active"
    owner: str | None = None
    visibility: str = "public"
    disk_format: str = "qcow2"
    container_format: str = "bare"
    size: int = 0
    checksum: str | None = None
    hash_algorithm: str | None = None
    hash_value: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    properties: dict[str, str] = {}
    created_at: str | None = None
