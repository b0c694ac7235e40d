"""What the EC2 API has the conductor keep."""

import msgspec


class Tag(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tag of a thing, target being its id in EC2's words. None, where tags are deleted, is any key or value."""

    target: str
    key: str | None = None
    value: str | None = None


class ClientToken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The token by which a client may repeat a request, and a digest of the request."""

    token: str
    request: str
