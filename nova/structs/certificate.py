"""Certificates as nova-cert gives them out."""

import msgspec


class IssuedCertificate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A certificate and its key, PEM. The key is nowhere else: who gets it keeps it."""

    certificate: str
    private_key: str

    def __repr__(self) -> str:
        # A log must not have the key.
        return "IssuedCertificate(...)"
