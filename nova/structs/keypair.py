"""A key pair: the public half of a user's key."""

import datetime

import msgspec


class Keypair(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """type is "ssh" or "x509". private_key is set once, in the answer that made the pair here."""

    user_id: str
    name: str
    public_key: str
    fingerprint: str
    type: str = "ssh"
    id: int = 0
    created_at: datetime.datetime | None = None
    private_key: str | None = None
