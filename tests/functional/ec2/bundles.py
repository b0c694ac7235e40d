"""Bundles of images, as EC2's tools make them: archived, compressed, encrypted, cut into parts, described by a manifest."""

import gzip
import hashlib
import io
import os
import tarfile

from cryptography import x509
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PART = 100_000


def archive(*disks, **facts):
    """An archive of files, one in every bundle that is good; facts change their headers."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for disk in disks:
            tar.addfile(member(len(disk), **facts), io.BytesIO(disk))
    return file.getvalue()


def member(size, **facts):
    info = tarfile.TarInfo("disk.img")
    info.size = size
    for name, value in facts.items():
        setattr(info, name, value)
    return info


class Bundle:
    """certificate: of who is to read it, PEM. Whatever stands in a manifest may be said to be another thing."""

    def __init__(self, disk, tar=None, compressed=None):
        self.key, self.iv = os.urandom(16), os.urandom(16)
        self.tar = archive(disk) if tar is None else tar
        self.size = len(disk)
        self.digest = hashlib.sha1(self.tar).hexdigest()
        padder = padding.PKCS7(128).padder()
        data = gzip.compress(self.tar) if compressed is None else compressed
        padded = padder.update(data) + padder.finalize()
        encryptor = Cipher(algorithms.AES(self.key), modes.CBC(self.iv)).encryptor()
        encrypted = encryptor.update(padded) + encryptor.finalize()
        self.parts = {
            f"disk.part.{n}": encrypted[at : at + PART] for n, at in enumerate(range(0, len(encrypted), PART))
        }

    def manifest(self, certificate, configuration="<architecture>x86_64</architecture>", digests=None, names=None):
        names = names or list(self.parts)
        digests = digests or {name: hashlib.sha1(data).hexdigest() for name, data in self.parts.items()}
        parts = "".join(
            f'<part index="{n}"><filename>{name}</filename><digest algorithm="SHA1">{digests[name]}</digest></part>'
            for n, name in enumerate(names)
        )
        return (
            f'<?xml version="1.0" ?><manifest><version>2007-10-10</version><machine_configuration>{configuration}'
            f"</machine_configuration><image><name>disk</name><type>machine</type>"
            f'<digest algorithm="SHA1">{self.digest}</digest><size>{self.size}</size>'
            f'<ec2_encrypted_key algorithm="AES-128-CBC">{seal(certificate, self.key)}</ec2_encrypted_key>'
            f"<ec2_encrypted_iv>{seal(certificate, self.iv)}</ec2_encrypted_iv>"
            f'<parts count="{len(names)}">{parts}</parts></image><signature>00</signature></manifest>'
        ).encode()


def seal(certificate, secret):
    """A key or an initial vector, for a certificate."""
    public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    return public.encrypt(secret.hex().encode(), PKCS1v15()).hex()
