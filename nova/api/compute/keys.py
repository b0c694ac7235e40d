"""Public keys: reading what users bring, making what they ask for. OpenSSH keys and X.509 certificates."""

import base64
import datetime
import hashlib
from dataclasses import dataclass

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nova import errors
from nova.structs.keypair import Keypair

_UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_YEARS = 10


@dataclass(frozen=True)
class KeyMaterial:
    """A public key with its fingerprint and, when it was generated here, its private key."""

    public: str
    fingerprint: str
    private: str | None = None


def describe(kind: str, public: str) -> KeyMaterial:
    """A key the user brought. Raises Invalid for what is no key of this kind."""
    try:
        return _describe_ssh(public) if kind == "ssh" else _describe_x509(public)
    except (ValueError, IndexError, UnsupportedAlgorithm) as error:
        raise errors.Invalid("Keypair data is invalid: failed to generate fingerprint") from error


def generate(kind: str, user_id: str) -> KeyMaterial:
    """A new pair; its private half is nowhere else."""
    return _generate_ssh() if kind == "ssh" else _generate_x509(user_id)


def with_private(stored: Keypair, key: KeyMaterial) -> Keypair:
    """The stored pair with its private half, for the one answer that carries it."""
    return msgspec.structs.replace(stored, private_key=key.private)


def _describe_ssh(public: str) -> KeyMaterial:
    """The fingerprint is MD5 over the key's blob, as in RFC 4716, section 4."""
    serialization.load_ssh_public_key(public.strip().encode())
    blob = base64.b64decode(public.split()[1])
    return KeyMaterial(public, _colons(hashlib.md5(blob, usedforsecurity=False).hexdigest()))


def _describe_x509(public: str) -> KeyMaterial:
    certificate = x509.load_pem_x509_certificate(public.encode())
    return KeyMaterial(public, _colons(certificate.fingerprint(hashes.SHA1()).hex()))


def _generate_ssh() -> KeyMaterial:
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    text = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    described = _describe_ssh(public.decode())
    return KeyMaterial(described.public, described.fingerprint, text.decode())


def _generate_x509(user_id: str) -> KeyMaterial:
    """A self-signed certificate for WinRM log-in: the user's name as UPN, client authentication."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:64])])
    upn = x509.OtherName(_UPN, _der_utf8(f"{user_id}@localhost"))
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([upn]), critical=False)
        .sign(private, hashes.SHA256())
    )
    described = _describe_x509(certificate.public_bytes(serialization.Encoding.PEM).decode())
    text = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyMaterial(described.public, described.fingerprint, text.decode())


def _der_utf8(text: str) -> bytes:
    """A DER UTF8String of at most 127 bytes."""
    encoded = text.encode()[:127]
    return bytes((0x0C, len(encoded))) + encoded


def _colons(digest: str) -> str:
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
