"""A certificate authority: a key, its certificate, and what it signs and decrypts.

Its files are written once and never replaced: what was issued, and what was encrypted for it, stands and falls with them.
"""

import datetime
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from nova.cert.issued import Issued
from nova.conf import BadConfiguration
from nova.structs.certificate import IssuedCertificate

_CA_BITS, _USER_BITS = 3072, 2048
_CA_DAYS = 3650
_LIST_LASTS = datetime.timedelta(days=1)
# Clocks differ: what is new is good everywhere.
_EARLIER = datetime.timedelta(minutes=5)


class Authority:
    """The authority of a directory, made on first use; issuer is who signs it, None for a root.

    Raises BadConfiguration where its files cannot be used.
    """

    def __init__(
        self, directory: Path, names: tuple[str, str], subject: x509.Name, issuer: "Authority | None" = None
    ) -> None:
        certificate_file, key_file = (directory / name for name in names)
        self._key: rsa.RSAPrivateKey
        try:
            key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _alone(directory):
                if certificate_file.exists() and not key_file.exists():
                    raise BadConfiguration(f"{certificate_file} is there and its key, {key_file}, is not")
                if not key_file.exists():
                    _write(key_file, _pem(_new_key(_CA_BITS)))
                self._key = _read_key(key_file)
                if not certificate_file.exists():
                    certificate = _certify(self._key, subject, issuer)
                    _write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
                self.certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        except (OSError, ValueError) as error:
            raise BadConfiguration(f"the authority in {directory} cannot be used: {error}") from error
        if self.certificate.public_key() != self._key.public_key():
            raise BadConfiguration(f"{certificate_file} is not the certificate of {key_file}")
        self._issued = Issued(directory / "issued.sqlite")

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, user_id: str, project_id: str, subject: x509.Name, days: int) -> IssuedCertificate:
        """A key for a user, and its certificate."""
        key = _new_key(_USER_BITS)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = _builder(key.public_key(), subject, self.certificate.subject, days)
        certificate = self.sign(
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True, key_encipherment=True), critical=True)
            .add_extension(usage, critical=False)
        )
        self._issued.add(certificate.serial_number, user_id, project_id, certificate.not_valid_after_utc)
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        return IssuedCertificate(certificate=pem, private_key=_pem(key).decode())

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """SHA-256; the certificate names this authority's key."""
        mine = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return builder.add_extension(mine, critical=False).sign(self._key, hashes.SHA256())

    def revoke(self, user_id: str | None, project_id: str | None) -> int:
        """None stands for any user, or any project; how many certificates were not revoked before."""
        return self._issued.revoke(user_id, project_id)

    def revocation_list(self) -> str:
        """PEM, made for each call; its number is the time in milliseconds, so that a later list has a higher one."""
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - _EARLIER)
            .next_update(now + _LIST_LASTS)
            .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
        )
        for revoked in self._issued.revoked():
            entry = x509.RevokedCertificateBuilder().serial_number(revoked.serial).revocation_date(revoked.at)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def decrypt(self, encrypted: bytes) -> bytes:
        """What was encrypted for this certificate. Raises ValueError."""
        # Bundles of images know no other padding.
        return self._key.decrypt(encrypted, padding.PKCS1v15())


def _certify(key: rsa.RSAPrivateKey, subject: x509.Name, issuer: Authority | None) -> x509.Certificate:
    """An authority's certificate: a root signs itself, and may sign authorities that sign none."""
    name = subject if issuer is None else issuer.certificate.subject
    path = 1 if issuer is None else 0
    builder = (
        _builder(key.public_key(), subject, name, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True, key_encipherment=True), critical=True)
    )
    return builder.sign(key, hashes.SHA256()) if issuer is None else issuer.sign(builder)


def _builder(key: rsa.RSAPublicKey, subject: x509.Name, issuer: x509.Name, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(**granted: bool) -> x509.KeyUsage:
    uses = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{use: granted.get(use, False) for use in uses})


def _new_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    kind = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())


def _read_key(path: Path) -> rsa.RSAPrivateKey:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise BadConfiguration(f"{path} may be read by others (mode {mode:o}); it must be 600")
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise BadConfiguration(f"{path} is no RSA key")
    return key


def _write(path: Path, content: bytes) -> None:
    """Write a file that is not there yet: whole, on the disk, and for its owner alone."""
    part = path.with_name(f".{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    part.rename(path)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """No other process makes this authority meanwhile."""
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
