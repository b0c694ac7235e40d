"""A bundle's archive is a tenant's: whatever it says, no more is taken in than its manifest allows, and no path is followed."""

import gzip
import hashlib
import tarfile
import tracemalloc
import zlib

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from nova import errors
from nova.conductor.image_imports import bundle
from nova.conductor.image_imports.bundle import BundleInvalid
from nova.conductor.image_imports.manifest import Manifest, Part, read

KEY, IV = b"k" * 16, b"i" * 16
MIB = 1 << 20


def unpack(*bundle, **facts):
    return b"".join(pieces(*bundle, **facts))


def pieces(compressed, size, digest, parts=1):
    """The disk of a bundle with these compressed data, whose manifest says a size and a digest."""
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(KEY), modes.CBC(IV)).encryptor()
    data = encryptor.update(padder.update(compressed) + padder.finalize()) + encryptor.finalize()
    step = -(-len(data) // parts)
    named = {str(n): data[n * step : (n + 1) * step] for n in range(parts)}
    manifest = Manifest(
        kind="machine",
        architecture=None,
        kernel_id=None,
        ramdisk_id=None,
        size=size,
        digest=digest,
        key="",
        iv="",
        parts=tuple(Part(name, hashlib.sha1(piece).hexdigest()) for name, piece in named.items()),
    )
    return bundle.disk(manifest, lambda name, most: iter((named[name],)), KEY, IV, most=1 << 40)


def header(size, kind=tarfile.REGTYPE, name="disk.img"):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def compress(*pieces):
    """What a stream that may be very long is when it is compressed."""
    deflater = zlib.compressobj(9, wbits=31)
    return b"".join([*(deflater.compress(piece) for piece in pieces), deflater.flush()])


def test_a_disk_comes_out_as_it_went_in_whatever_its_name():
    tar = header(3 * MIB, name="../../etc/passwd") + bytes(3 * MIB) + bytes(1024)

    assert unpack(gzip.compress(tar), 3 * MIB, hashlib.sha1(tar).hexdigest(), parts=7) == bytes(3 * MIB)


def test_a_disk_with_holes_comes_out_whole(tmp_path):
    tar = sparse(((4096, 3),), 8192, b"abc")

    assert unpack(gzip.compress(tar), 8192, hashlib.sha1(tar).hexdigest()) == bytes(4096) + b"abc" + bytes(4093)


def sparse(pieces, size, data):
    """An archive of a file with holes, in the old form of GNU tar."""
    block = bytearray(header(len(data), tarfile.GNUTYPE_SPARSE))
    for n, numbers in enumerate(pieces):
        for m, number in enumerate(numbers):
            at = 386 + n * 24 + m * 12
            block[at : at + 12] = b"%011o\0" % number
    block[483:495] = b"%011o\0" % size
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data + bytes(-len(data) % 512) + bytes(1024)


ENDLESS = [bytes(MIB)] * 60
# A disk of nothing but a hole costs its bundle nothing, and lets its archive be as long.
HOLE = sparse(((60 * MIB, 0),), 60 * MIB, b"")[:-1024]
NAMES = [header(0, tarfile.GNUTYPE_LONGNAME)] * 2000
BOMBS = {
    "extended header": ([header(50 * MIB, tarfile.XHDTYPE), *ENDLESS], 60 * MIB),
    "long name": ([header(50 * MIB, tarfile.GNUTYPE_LONGNAME), *ENDLESS], 60 * MIB),
    "names of names": ([*NAMES, header(10), bytes(1024)], 10),
    "longer than it says": ([header(10), bytes(512), *ENDLESS], 10),
    "extended header behind the file": ([HOLE, header(50 * MIB, tarfile.XHDTYPE), *ENDLESS[:50]], 60 * MIB),
    "another size": ([header(50 * MIB), *ENDLESS], 10),
    "negative size": ([header(-512), bytes(1024)], 10),
    "device": ([header(10, tarfile.CHRTYPE), bytes(1024)], 10),
    "directory": ([header(0, tarfile.DIRTYPE), bytes(1024)], 0),
    "symbolic link": ([header(0, tarfile.SYMTYPE), bytes(1024)], 0),
    "hard link": ([header(0, tarfile.LNKTYPE), bytes(1024)], 0),
    "nothing": ([bytes(10240)], 0),
    "a part of a header": ([header(10)[:100]], 10),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_an_archive_that_says_what_it_is_not_is_refused_and_takes_no_memory(name):
    archive, size = BOMBS[name]
    compressed, digest = compress(*archive), hashlib.sha1(b"".join(archive)).hexdigest()

    tracemalloc.start()
    try:
        with pytest.raises(BundleInvalid):
            for _ in pieces(compressed, size, digest):
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 20 * MIB


def test_what_stands_behind_the_compressed_data_is_refused():
    tar = header(10) + bytes(512) + bytes(1024)
    good = gzip.compress(tar)

    assert unpack(good, 10, hashlib.sha1(tar).hexdigest()) == bytes(10)
    for bad in (good + b"x", good[:-1], good + good):
        with pytest.raises(BundleInvalid):
            unpack(bad, 10, hashlib.sha1(tar).hexdigest())


def test_a_manifest_may_have_10000_parts_in_any_order():
    parts = "".join(
        f"<part index='{n}'><filename>p{n}</filename><digest algorithm='SHA1'>{n:040x}</digest></part>"
        for n in reversed(range(10_000))
    )
    text = (
        f"<manifest><image><digest>{0:040x}</digest><size>1</size><ec2_encrypted_key>00</ec2_encrypted_key>"
        f"<ec2_encrypted_iv>00</ec2_encrypted_iv><parts>{parts}</parts></image></manifest>"
    )

    manifest = read(text.encode())

    assert [part.name for part in manifest.parts] == [f"p{n}" for n in range(10_000)]


def test_a_manifest_whose_elements_are_deep_is_refused():
    with pytest.raises(errors.ManifestInvalid):
        read(b"<manifest>" * 100_000)
